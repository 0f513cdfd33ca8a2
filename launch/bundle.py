"""make bundle: all that a machine without a network needs, in one folder, with its sums.

What is right already stays as it is, so the same command continues after a stop.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Mapping, Sequence

from launch import (
    bundle_choices,
    bundle_images,
    bundle_manifest,
    bundle_readme,
    bundle_sboms,
    bundle_sifs,
    bundle_wheels,
    code_archive,
    containers,
)
from launch.bundle_manifest import Manifest
from launch.code_version import code_version
from launch.container_user import User
from launch.folders import require_writable
from launch.registry import REPOSITORY
from launch.settings import Settings
from leapkit.core import file_lock
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
    folder = bundle_choices.folder("bundle", requested)
    if REPOSITORY in (folder, *folder.parents):
        raise KitError("lies in the kit itself", f"BUNDLE={folder}", "name a folder elsewhere")
    settings = bundle_choices.of_this_machine(requested)
    for line in bundle_choices.lines(settings):
        print(line, flush=True)
    require_writable(folder, "name a folder that you may write to with BUNDLE=folder")
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    refusal = KitError("another command writes it", folder, "wait until that has ended")
    with file_lock.hold(folder, refusal), explain_os_errors(folder):
        _claim(folder)
        _say_what_is_left_out()
        manifest = _make(folder, settings)
        is_new = bundle_manifest.write(folder, manifest)
        _remove_others(folder, manifest)
    print("whole" if is_new else "nothing to do: the bundle is whole", flush=True)
    print(f"{folder}: {len(manifest.files)} files, {manifest.total / 1e9:.2f} GB", flush=True)
    print(f"sha256 of {bundle_manifest.SUMS}: {sha256(folder / bundle_manifest.SUMS)}", flush=True)
    return 0


def _claim(folder: Path) -> None:
    """Mark a new folder as a bundle's. Raises KitError if it holds anything else."""
    names = set(os.listdir(str(folder)))
    is_one = names & {UNFINISHED, bundle_manifest.SUMS} or bundle_manifest.read_if_whole(folder)
    if not is_one:
        if names:
            what = f"holds {printable(min(names))}, and is no bundle"
            raise KitError(what, folder, "name an empty folder, or one that does not exist")
        (folder / UNFINISHED).touch()
    for path in bundle_manifest.present(folder):
        if not _is_a_bundles(path):
            remedy = "remove it, or name another folder"
            raise KitError("is no file of a bundle", folder / path, remedy)


def _is_a_bundles(path: str) -> bool:
    """Return whether a file in a bundle's folder is one that `make bundle` writes."""
    parent, _, name = path.rpartition("/")
    if parent:
        return parent in (bundle_wheels.FOLDER, bundle_sifs.FOLDER, bundle_sboms.FOLDER)
    written = (
        *(bundle_manifest.NAME, bundle_manifest.SUMS, bundle_readme.FILE),
        *(code_archive.FILE, bundle_images.FILE),
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
    archive, readme = folder / code_archive.FILE, folder / bundle_readme.FILE
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
    _keep(readme, bundle_readme.text(manifest).encode())
    files = sorted([archive, readme, *contents.files])
    entries = {str(path.relative_to(folder)): bundle_manifest.entry(path) for path in files}
    return replace(manifest, files=entries)


def _keep(path: Path, content: bytes) -> None:
    """Write a file unless it holds this already."""
    if not path.exists() or path.read_bytes() != content:
        with atomic(path) as temporary:
            temporary.write_bytes(content)


def _wheels(folder: Path, settings: Settings) -> Contents:
    members = bundle_choices.members(settings)
    pythons = bundle_wheels.locks(members, settings["STACK"], settings["ACCELERATOR"])
    wheels = bundle_wheels.download(folder / bundle_wheels.FOLDER, pythons)
    locks = [lock.stem for lock in pythons]
    return Contents(wheels, list(set(pythons.values())), locks, bundle_wheels.glibc(wheels))


def _images(folder: Path, settings: Settings) -> Contents:
    names: List[str] = []
    for chosen, services in bundle_choices.images(settings):
        env = containers.variables(chosen, code_version(), User(os.getuid(), os.getgid()))
        containers.build(chosen, services, env)
        names += containers.names_of(chosen, services, env).values()
    path = folder / bundle_images.FILE
    before = bundle_manifest.read_if_whole(folder)
    known = before.files.get(bundle_images.FILE) if before else None
    is_damaged = known and path.exists() and bundle_manifest.entry(path) != known
    if is_damaged or bundle_images.saved(path) != bundle_images.ids(names):
        bundle_images.save(path, names)
    return Contents([path, *bundle_sboms.gather(folder / bundle_sboms.FOLDER, settings)])


def _sifs(folder: Path, settings: Settings) -> Contents:
    files = bundle_sifs.gather(folder / bundle_sifs.FOLDER, settings)
    return Contents([*files, *bundle_sboms.gather(folder / bundle_sboms.FOLDER, settings)])


_MAKERS = {"venv": _wheels, "docker": _images, "apptainer": _sifs}


def _remove_others(folder: Path, manifest: Manifest) -> None:
    """Remove what an earlier bundle in this folder held, and what a stop left half written."""
    kept = {bundle_manifest.NAME, bundle_manifest.SUMS, *manifest.files}
    for path in set(bundle_manifest.present(folder)) - kept:
        (folder / path).unlink()
