"""The SIF files of a bundle, each with the record that `runtimes/sifs.py` keeps beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, List, Sequence

from launch.bundles import scope
from launch.folders import require_writable
from launch.runtimes import apptainer, engine, sif_making, sifs
from launch.settings import Settings
from leapkit.core.errors import KitError
from leapkit.core.files import publish_copy, sha256

FOLDER = "sifs"


def gather(folder: Path, settings: Settings) -> List[Path]:
    """Let a folder hold what Apptainer needs, which is made first, and nothing else; return it.

    That is SIF files, or archives where Apptainer is not installed, each with its record. Raises
    KitError if one cannot be made.
    """
    made: List[Path] = []
    for chosen, services in scope.images(settings):
        if engine.problem():
            images = apptainer.images_of(chosen, services)
            sif_making.from_archives(images)
            made += [sifs.find(service, image).path for service, image in images.items()]
        else:
            made += apptainer.make_files(chosen, services)
    files = [file for path in made for file in (path, sifs.record_path(path))]
    folder.mkdir(parents=True, exist_ok=True)
    for path in set(folder.iterdir()) - {folder / file.name for file in files}:
        path.unlink()
    return _copies(files, folder)


def place(paths: Iterable[Path]) -> List[str]:
    """Copy SIFs, archives and records to where they lie on this machine; return the names.

    Raises KitError if nothing can be written there, or if there is no SIF among them.
    """
    target = sifs.folder()
    require_writable(target, "name a folder that you may write to with LEAP_SIFS=folder")
    # Records last: without one, a file is no SIF.
    ordered = sorted(paths, key=lambda path: path.suffix == ".json")
    placed = [path for path in ordered if path.suffix in (sifs.SIF, sifs.ARCHIVE)]
    if not placed:
        raise KitError("holds no SIF", "the bundle", "make it again")
    _copies(ordered, target)
    print(f"{target}: {', '.join(path.name for path in placed)}", flush=True)
    return [path.name for path in placed]


def _copies(files: Sequence[Path], folder: Path) -> List[Path]:
    """Copy files into a folder, unless they are there. A link, where both are on one disk."""
    copies = [folder / file.name for file in files]
    for file, copy in zip(files, copies):
        if not copy.exists() or sha256(copy) != sha256(file):
            print(f"copying {file.name}", flush=True)
            publish_copy(file, copy)
    return copies
