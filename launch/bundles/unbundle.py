"""make unbundle: check every file of a bundle, then install what it holds, without a network."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import replace
from pathlib import Path
from typing import List, Mapping, Tuple

from launch.bundles import (
    bundled,
    code_archive,
    image_archive,
    manifests,
    scope,
    sif_files,
    wheelhouse,
)
from launch.bundles.bundled import Record
from launch.bundles.manifests import SUMS, Manifest
from launch.folders import require_writable
from launch.runtimes import apptainer, containers, engine, environments, sif_making, stacks
from launch.runtimes.container_user import User
from leapkit.core.errors import KitError
from leapkit.core.files import sha256
from leapkit.core.stacks import ACCELERATORS


def run(requested: Mapping[str, str]) -> int:
    """Install the bundle that BUNDLE names. Raises KitError if it is not whole or not for here."""
    folder = scope.folder("unbundle", requested)
    require_writable(bundled.PATH.parent, "copy the kit to a folder that you may write to")
    manifest = manifests.verified(folder)
    print(f"{folder}: {len(manifest.files)} files, all as their sums say", flush=True)
    print(f"sha256 of {SUMS}: {sha256(folder / SUMS)}", flush=True)
    _require_sense(folder, manifest)
    record = _of_same_code(folder, manifest)
    _require_machine(folder, manifest)
    _INSTALLERS[manifest.runtime](folder, manifest, record)
    print(f"you can run now: {scope.command(manifest)}", flush=True)
    return 0


def _require_sense(folder: Path, manifest: Manifest) -> None:
    """Raises KitError if a manifest names what this kit does not have."""
    allowed = {
        "runtime": ([manifest.runtime], _INSTALLERS),
        "stack": ([manifest.stack], stacks.STACKS),
        "accelerator": ([manifest.accelerator], ACCELERATORS),
        "pythons": (manifest.pythons, stacks.pythons()),
        "locks": (manifest.locks, [path.stem for path in stacks.LOCKS.glob("*.txt")]),
    }
    for name, (values, known) in allowed.items():
        unknown = [value for value in values if value not in known]
        if unknown:
            where = folder / manifests.NAME
            remedy = "use `make unbundle` of the code that the bundle holds"
            raise KitError(f"{name}: this kit does not know {unknown[0]}", where, remedy)


def _of_same_code(folder: Path, manifest: Manifest) -> Record:
    """Return the record of a bundle, without what it installs.

    Raises KitError if the kit here is not the one that the bundle is of.
    """
    archive = folder / code_archive.FILE
    if code_archive.FILE not in manifest.files:
        raise KitError("the file is missing", archive, manifests.COPY_AGAIN)
    record = Record(manifest.code, code_archive.sums(archive))
    changed = record.changed()
    if changed:
        raise KitError(
            f"is of other code than this kit: {changed[0]} differs",
            folder,
            f"unpack {archive} and run `make unbundle` in the {code_archive.TOP} that it makes",
        )
    before = bundled.record()
    return before if before and before.files == record.files else record


def _require_machine(folder: Path, manifest: Manifest) -> None:
    """Raises KitError if this machine has another processor or a C library that is too old."""
    remedy = "make one on a machine like this"
    if manifest.machine != platform.machine():
        what = f"is for {manifest.machine}, and this machine is {platform.machine()}"
        raise KitError(what, folder, remedy)
    if _numbers(manifest.glibc) > _numbers(_glibc()):
        what = f"needs glibc {manifest.glibc}, and this machine has {_glibc() or 'none'}"
        raise KitError(what, folder, remedy + ", or with RUNTIME=docker")


def _glibc() -> str:
    """Return the version of this machine's C library: "2.36", "" if it is another one."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").replace("glibc", "").strip()
    except (ValueError, OSError):  # musl knows no such name
        return ""


def _numbers(version: str) -> Tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version))


def _install_wheels(folder: Path, manifest: Manifest, record: Record) -> None:
    """Make the environments. The folder must stay for later ones."""
    wheelhouse.require_interpreters(manifest.pythons)
    wheels = str(folder / wheelhouse.FOLDER)
    replace(record, wheels=wheels, locks=manifest.locks).write()
    settings = scope.of_bundle(manifest)
    members = scope.members(settings)
    environments.member_pythons(members, manifest.stack, manifest.accelerator)
    environments.blend_python()
    environments.fetch_python()


def _install_images(folder: Path, manifest: Manifest, record: Record) -> None:
    """Load the images into the engine."""
    problem = engine.problem()
    if problem:
        raise KitError(problem.what, "RUNTIME=docker", problem.remedy)
    settings = scope.of_bundle(manifest)
    names: List[str] = []
    for chosen, services in scope.images(settings):
        env = containers.variables(chosen, manifest.code, User(os.getuid(), os.getgid()))
        names += containers.names_of(chosen, services, env).values()
    loaded = image_archive.load(folder / image_archive.FILE, names)
    replace(record, images={**record.images, **loaded}).write()


def _install_sifs(folder: Path, manifest: Manifest, record: Record) -> None:
    """Copy the SIF files, or the archives of which they are made, to where they are looked for."""
    problem = engine.apptainer_problem()
    if problem:
        raise KitError(problem.what, "RUNTIME=apptainer", problem.remedy)
    below = sif_files.FOLDER + "/"
    placed = sif_files.place(folder / path for path in manifest.files if path.startswith(below))
    replace(record, sifs=placed).write()
    settings = scope.of_bundle(manifest)
    for chosen, services in scope.images(settings):
        sif_making.from_archives(apptainer.images_of(chosen, services))


_INSTALLERS = {"venv": _install_wheels, "docker": _install_images, "apptainer": _install_sifs}
