"""make bundle: all that a machine without a network needs, in one folder, with its sums.

What is right already stays as it is, so the same command continues after a stop.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Mapping, Sequence

from launch.bundles import (
    code_archive,
    image_archive,
    manifests,
    readme_text,
    sbom_files,
    scope,
    sif_files,
    wheelhouse,
)
from launch.bundles.manifests import Manifest
from launch.code_version import code_version
from launch.folders import require_writable
from launch.registry import REPOSITORY
from launch.runtimes import containers
from launch.runtimes.container_user import User
from launch.settings import Settings
from leapkit.core import amounts, file_lock
from leapkit.core.errors import KitError, explain_os_errors, printable
from leapkit.core.files import TEMPORARY, atomic, sha256
from leapkit.core.receipts import now

UNFINISHED = TEMPORARY + "bundle"  # says that a folder without a manifest becomes a bundle
SOME = 5  # names in one line


@dataclass(frozen=True)
class Contents:
    """What a runtime needs, and the entries of the manifest of the same names."""

    files: Sequence[Path]
    pythons: Sequence[str] = ()
    locks: Sequence[str] = ()
    glibc: str = ""


def run(requested: Mapping[str, str]) -> int:
    """Make the bundle that BUNDLE names. Raises KitError if something cannot be had."""
    folder = scope.folder("bundle", requested)
    if REPOSITORY in (folder, *folder.parents):
        raise KitError("lies in the kit itself", f"BUNDLE={folder}", "name a folder elsewhere")
    settings = scope.of_this_machine(requested)
    for line in scope.lines(settings):
        print(line, flush=True)
    require_writable(folder, "name a folder that you may write to with BUNDLE=folder")
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    refusal = KitError("another command writes it", folder, "wait until that has ended")
    with file_lock.hold(folder, refusal), explain_os_errors(folder):
        _claim(folder)
        _say_what_is_left_out()
        manifest = _make(folder, settings)
        is_new = manifests.write(folder, manifest)
        _remove_others(folder, manifest)
    print("whole" if is_new else "nothing to do: the bundle is whole", flush=True)
    print(f"{folder}: {len(manifest.files)} files, {amounts.size(manifest.total)}", flush=True)
    print(f"sha256 of {manifests.SUMS}: {sha256(folder / manifests.SUMS)}", flush=True)
    return 0


def _claim(folder: Path) -> None:
    """Mark a new folder as a bundle's. Raises KitError if it holds anything else."""
    names = set(os.listdir(str(folder)))
    is_one = names & {UNFINISHED, manifests.SUMS} or manifests.read_if_whole(folder)
    if not is_one:
        if names:
            what = f"holds {printable(min(names))}, and is no bundle"
            raise KitError(what, folder, "name an empty folder, or one that does not exist")
        (folder / UNFINISHED).touch()
    for path in manifests.present(folder):
        if not _is_a_bundles(path):
            remedy = "remove it, or name another folder"
            raise KitError("is no file of a bundle", folder / path, remedy)


def _is_a_bundles(path: str) -> bool:
    """Return whether a file in a bundle's folder is one that `make bundle` writes."""
    parent, _, name = path.rpartition("/")
    if parent:
        return parent in (wheelhouse.FOLDER, sif_files.FOLDER, sbom_files.FOLDER)
    written = (
        *(manifests.NAME, manifests.SUMS, readme_text.FILE),
        *(code_archive.FILE, image_archive.FILE),
    )
    return name in written or name.startswith(TEMPORARY)


def _say_what_is_left_out() -> None:
    names = code_archive.untracked()
    if names:
        some = printable(", ".join(names[:SOME]) + (", ..." if names[SOME:] else ""))
        print(f"not in it, as git does not track them: {some}", flush=True)


def _make(folder: Path, settings: Settings) -> Manifest:
    """Write all files but the manifest and its sums, as far as they are not right yet."""
    contents = _MAKERS[settings["RUNTIME"]](folder, settings)
    archive, readme = folder / code_archive.FILE, folder / readme_text.FILE
    _keep(archive, code_archive.content())
    manifest = Manifest(
        code=code_version(),
        made=now(),
        runtime=settings["RUNTIME"],
        stack=settings["STACK"],
        accelerator=settings["ACCELERATOR"],
        experiments=settings["EXPERIMENTS"],
        machine=platform.machine(),
        glibc=contents.glibc,
        pythons=sorted(contents.pythons),
        locks=sorted(contents.locks),
        files={},
    )
    _keep(readme, readme_text.text(manifest).encode())
    files = sorted([archive, readme, *contents.files])
    entries = {str(path.relative_to(folder)): manifests.entry(path) for path in files}
    return replace(manifest, files=entries)


def _keep(path: Path, content: bytes) -> None:
    """Write a file unless it holds this already."""
    if not path.exists() or path.read_bytes() != content:
        with atomic(path) as temporary:
            temporary.write_bytes(content)


def _wheels(folder: Path, settings: Settings) -> Contents:
    members = scope.members(settings)
    pythons = wheelhouse.locks(members, settings["STACK"], settings["ACCELERATOR"])
    wheels = wheelhouse.download(folder / wheelhouse.FOLDER, pythons)
    locks = [lock.stem for lock in pythons]
    return Contents(wheels, list(set(pythons.values())), locks, wheelhouse.glibc(wheels))


def _images(folder: Path, settings: Settings) -> Contents:
    names: List[str] = []
    for chosen, services in scope.images(settings):
        env = containers.variables(chosen, code_version(), User(os.getuid(), os.getgid()))
        containers.build(chosen, services, env)
        names += containers.names_of(chosen, services, env).values()
    path = folder / image_archive.FILE
    before = manifests.read_if_whole(folder)
    known = before.files.get(image_archive.FILE) if before else None
    is_damaged = known and path.exists() and manifests.entry(path) != known
    if is_damaged or image_archive.saved(path) != image_archive.ids(names):
        image_archive.save(path, names)
    return Contents([path, *sbom_files.gather(folder / sbom_files.FOLDER, settings)])


def _sifs(folder: Path, settings: Settings) -> Contents:
    files = sif_files.gather(folder / sif_files.FOLDER, settings)
    return Contents([*files, *sbom_files.gather(folder / sbom_files.FOLDER, settings)])


_MAKERS = {"venv": _wheels, "docker": _images, "apptainer": _sifs}


def _remove_others(folder: Path, manifest: Manifest) -> None:
    """Remove what an earlier bundle in this folder held, and what a stop left half written."""
    kept = {manifests.NAME, manifests.SUMS, *manifest.files}
    for path in set(manifests.present(folder)) - kept:
        (folder / path).unlink()
