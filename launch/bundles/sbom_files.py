"""The SBOMs of a bundle: what each of its images or SIF files holds, for who lets it in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Iterable, Iterator, List

from launch.bundles import scope
from launch.choices import Choice
from launch.runtimes import engine
from launch.sboms import described, sbom
from launch.sboms.described import Described
from launch.settings import Settings
from leapkit.core.errors import KitError
from leapkit.core.files import read_json

FOLDER = "sbom"
_DOCKER = Choice("docker", "Apptainer is not installed")


def of_sifs(settings: Settings) -> Iterator[Described]:
    """Yield the SIF files of a bundle; the images themselves if Apptainer is not installed here."""
    if engine.apptainer_problem():
        settings = replace(settings, choices={**settings.choices, "RUNTIME": _DOCKER})
    for chosen, services in scope.images(settings):
        yield from described.of_run(chosen, services)


def gather(folder: Path, images: Iterable[Described]) -> List[Path]:
    """Let a folder hold a document of each image; return them, each once.

    Raises KitError if an image gives no inventory.
    """
    paths = []
    for one in images:
        path = folder / (one.stem + sbom.SUFFIX)
        if not _is_of(path, one.subject.digest):
            print("\n".join(sbom.write(path, one)), flush=True)
        paths.append(path)
    return sorted(set(paths))


def _is_of(path: Path, digest: str) -> bool:
    """Return whether a document is of an image: images that have the same id hold the same."""
    try:
        return bool(read_json(path)["metadata"]["component"]["hashes"][0]["content"] == digest)
    except (KitError, KeyError, IndexError, TypeError):
        return False
