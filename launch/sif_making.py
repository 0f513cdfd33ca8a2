"""SIF files from the images: out of a Docker engine, or out of archives of `docker save`."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Iterator, Mapping, Sequence

from launch import engine, machine, sifs
from launch.folders import require_writable
from leapkit.core import file_lock, files
from leapkit.core.errors import KitError

# gzip is what every squashfs reads. Its first level takes a tenth of the default's time, for 13 %
# more bytes.
FASTER = ("--mksquashfs-args", "-comp gzip -Xcompression-level 1")


def make(images: Mapping[str, str], from_engine: bool) -> None:
    """Make the SIF of each service's image, unless it is there. Commands at once make it once.

    images       {service: name of its image}; several may share one
    from_engine  whether a Docker engine has the images, built a moment ago; else archives are taken
    Raises KitError if one cannot be made.
    """
    for image, service in {image: service for service, image in images.items()}.items():
        if from_engine:
            _from_engine(service, image)
        elif not sifs.of_this_code(sifs.of_image(image), service):
            _from_archive(service, image)


def _from_engine(service: str, image: str) -> None:
    inspect = ["docker", "image", "inspect", "--format", "{{.Id}}", image]
    image_id = (machine.output_of(inspect) or "").strip()
    if not image_id:
        raise KitError("the engine does not have it", image, "run the same command again")
    with _one_at_a_time(service, image, image_id) as is_missing:
        if is_missing:
            folder = str(sifs.folder())
            with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=folder) as scratch:
                archive = Path(scratch) / "image.tar"
                _run(["docker", "save", "--output", str(archive), image], image)
                _build(service, image, image_id, archive)


def _from_archive(service: str, image: str) -> None:
    """Raises KitError if no archive holds this clone's code, or it is not that of its record."""
    archives = sifs.of_image(image, sifs.ARCHIVE)
    fitting = sifs.of_this_code(archives, service)
    if not fitting:
        sifs.find(service, image)  # says what is wrong
        raise AssertionError(image)
    archive = fitting[0]
    with _one_at_a_time(service, image, archive.id) as is_missing:
        if is_missing:
            sifs.check(archive)
            _build(service, image, archive.id, archive.path)


@contextlib.contextmanager
def _one_at_a_time(service: str, image: str, image_id: str) -> Iterator[bool]:
    """Yield whether the SIF of an image has to be made. Another command that makes it is awaited.

    Raises KitError if the folder of SIFs cannot be written to.
    """
    path = sifs.path(image, image_id)
    if _is_made(path, service):
        yield False
        return
    require_writable(sifs.folder(), "name a folder that you may write to with LEAP_SIFS=folder")
    sifs.folder().mkdir(parents=True, exist_ok=True)
    with file_lock.hold(path.with_name(f".{path.name}.lock")):
        yield not _is_made(path, service)


def _is_made(path: Path, service: str) -> bool:
    if not (path.exists() and sifs.record_path(path).exists()):
        return False
    return bool(sifs.of_this_code([sifs.read(path)], service))


def _build(service: str, image: str, image_id: str, archive: Path) -> None:
    """Make the SIF of an archive of `docker save`, then its record, without which it is none."""
    path = sifs.path(image, image_id)
    program = engine.apptainer_program()
    faster = FASTER if Path(program).name == "apptainer" else ()  # SingularityCE has no such option
    print(f"making {path} (a minute or more, once)", flush=True)
    code = sifs.code_of(service)
    with files.atomic(path) as temporary:
        source = f"docker-archive:{archive}"
        build = [program, "--quiet", "build", "--disable-cache", "--force", *faster]
        _run([*build, str(temporary), source], image)
        digest = files.sha256(temporary)
    sifs.ImageFile(path, image, image_id, digest, code, time.time()).write_record()


def _run(command: Sequence[str], image: str) -> None:
    if subprocess.call(list(command), stdin=subprocess.DEVNULL):
        raise KitError(
            "could not be made into a SIF (the lines above say why)",
            image,
            "check the disks, or name others with LEAP_SIFS=folder and APPTAINER_TMPDIR=folder",
        )
