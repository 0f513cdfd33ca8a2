"""The SBOMs of a bundle: what each of its images or SIF files holds, for who lets it in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List

from launch.bundles import scope
from launch.choices import Choice
from launch.runtimes import engine
from launch.sboms import described, sbom
from launch.settings import Settings
from leapkit.core.errors import KitError
from leapkit.core.files import read_json

FOLDER = "sbom"


def gather(folder: Path, settings: Settings) -> List[Path]:
    """Let a folder hold a document of each image of a bundle; return them.

    Archives that become SIF files elsewhere are described as the images that they are. Raises
    KitError if an image gives no inventory.
    """
    if settings["RUNTIME"] == "apptainer" and engine.apptainer_problem():
        settings = replace(settings, choices={**settings.choices, "RUNTIME": _DOCKER})
    paths = []
    for chosen, services in scope.images(settings):
        for one in described.of_run(chosen, services):
            path = folder / (one.stem + sbom.SUFFIX)
            if path not in paths and not _is_of(path, one.subject.digest):
                print("\n".join(sbom.write(path, one)), flush=True)
            paths.append(path)
    return sorted(set(paths))


_DOCKER = Choice("docker", "Apptainer is not installed")


def _is_of(path: Path, digest: str) -> bool:
    """Return whether a document is of an image: images that have the same id hold the same."""
    try:
        return bool(read_json(path)["metadata"]["component"]["hashes"][0]["content"] == digest)
    except (KitError, KeyError, IndexError, TypeError):
        return False
