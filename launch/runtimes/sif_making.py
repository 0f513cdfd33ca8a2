"""SIF files from the images: out of a Docker engine, or out of archives of `docker save`."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence

from launch import machine, process
from launch.folders import require_writable
from launch.runtimes import engine, sifs
from leapkit.core import file_lock, files
from leapkit.core.errors import KitError

# gzip is what every squashfs reads. Its first level takes a tenth of the default's time, for 13 %
# more bytes.
FASTER = ("--mksquashfs-args", "-comp gzip -Xcompression-level 1")


def from_engine(images: Mapping[str, str], suffix: str = sifs.SIF) -> List[Path]:
    """Return the SIF (or the archive) of each service's image, made unless it is there.

    images  {service: name of its image}, which the engine has; several services may share one
    Commands at once make it once. Raises KitError if one cannot be made.
    """
    made = []
    for image, service in _services(images).items():
        image_id = machine.image_id(image)
        if not image_id:
            raise KitError("the engine does not have it", image, "run the same command again")
        path = sifs.path(image, image_id, suffix)
        with _one_at_a_time(service, path) as is_missing:
            if is_missing and suffix == sifs.ARCHIVE:
                _save(service, image, image_id, path)
            elif is_missing:
                folder = str(sifs.folder())
                with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=folder) as scratch:
                    archive = Path(scratch) / "image.tar"
                    _run(["docker", "save", "--output", str(archive), image], image)
                    _build(service, image, image_id, archive)
        made.append(path)
    return made


def from_archives(images: Mapping[str, str]) -> None:
    """Make the SIF of each service's image from an archive, unless one of this code is there.

    Raises KitError if there is no archive of this code either, or one cannot be made.
    """
    for image, service in _services(images).items():
        if sifs.of_this_code(sifs.of_image(image), service):
            continue
        fitting = sifs.of_this_code(sifs.of_image(image, sifs.ARCHIVE), service)
        if not fitting:
            sifs.find(service, image)  # says what is wrong with what there is
            continue
        archive = fitting[0]
        with _one_at_a_time(service, sifs.path(image, archive.id)) as is_missing:
            if is_missing:
                sifs.check(archive)
                _build(service, image, archive.id, archive.path)


def _services(images: Mapping[str, str]) -> Dict[str, str]:
    """Return {image: a service that has it}."""
    return {image: service for service, image in images.items()}


@contextlib.contextmanager
def _one_at_a_time(service: str, path: Path) -> Iterator[bool]:
    """Yield whether a file has to be made. Another command that makes it is waited for.

    Raises KitError if the folder of SIFs cannot be written to.
    """
    if _is_made(path, service):
        yield False
        return
    require_writable(sifs.folder(), "name a folder that you may write to with LEAP_SIFS=folder")
    sifs.folder().mkdir(parents=True, exist_ok=True)
    with file_lock.hold(path.with_name(f".{path.name}.lock")):
        is_missing = not _is_made(path, service)
        if is_missing:
            print(f"making {path} (a minute or more, once)", flush=True)
        yield is_missing


def _is_made(path: Path, service: str) -> bool:
    if not (path.exists() and sifs.record_path(path).exists()):
        return False
    return bool(sifs.of_this_code([sifs.read(path)], service))


def _save(service: str, image: str, image_id: str, path: Path) -> None:
    """Make an archive, then its record, without which it is none."""
    with files.atomic(path) as temporary:
        _run(["docker", "save", "--output", str(temporary), image], image)
        digest = files.sha256(temporary)
    _record(service, path, image, image_id, digest)


def _build(service: str, image: str, image_id: str, archive: Path) -> None:
    """Make the SIF of an archive, then its record, without which it is none."""
    path = sifs.path(image, image_id)
    program = engine.apptainer_program()
    faster = FASTER if Path(program).name == "apptainer" else ()  # SingularityCE has no such option
    build = [program, "--quiet", "build", "--disable-cache", "--force", *faster]
    with files.atomic(path) as temporary:
        _run([*build, str(temporary), f"docker-archive:{archive}"], image)
        digest = files.sha256(temporary)
    _record(service, path, image, image_id, digest)


def _record(service: str, path: Path, image: str, image_id: str, digest: str) -> None:
    code = sifs.code_of(service, image)
    sifs.ImageFile(path, image, image_id, digest, code, time.time()).write_record()


def _run(command: Sequence[str], image: str) -> None:
    if process.run(command, os.environ):
        raise KitError(
            "could not be made into a file (the lines above say why)",
            image,
            "check the disks, or name others with LEAP_SIFS=folder and APPTAINER_TMPDIR=folder",
        )
