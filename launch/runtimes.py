"""The runtimes that run steps in images: docker by its engine, apptainer from SIF files."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, Sequence

from launch import apptainer, containers
from launch.settings import Settings


def on_results(settings: Settings, steps: Mapping[str, Sequence[str]]) -> int:
    """Run {service: arguments} side by side on the data and the results.

    Return the first exit code that is not 0.
    """
    if settings["RUNTIME"] == "apptainer":
        return apptainer.on_results(settings, steps)
    return containers.on_results(settings, steps)


def on_world(
    settings: Settings,
    arguments: Sequence[str],
    mounts: Mapping[str, Path],
    made: Path,
    service: str = "world",
) -> int:
    """Run a service with `arguments` on folders of the user's.

    mounts   {variable of compose.yaml: folder}; `world` sees LEAP_RAW_DATA_PARENT as /world
    made     the folder in which files or folders are made
    service  `world`, whose arguments are Python's own, or `evaluate`
    """
    if settings["RUNTIME"] == "apptainer":
        return apptainer.on_world(settings, arguments, mounts, made, service)
    return containers.on_world(settings, arguments, mounts, made, service)
