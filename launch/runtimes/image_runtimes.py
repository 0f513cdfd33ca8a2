"""The runtimes that run steps in images: docker by its engine, apptainer from SIF files."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, Sequence

from launch.runtimes import apptainer, container_user, containers
from launch.settings import Settings


def on_results(settings: Settings, steps: Mapping[str, Sequence[str]]) -> int:
    """Run {service: arguments} side by side on the data and the results.

    Return the first exit code that is not 0.
    """
    if settings["RUNTIME"] == "apptainer":
        return apptainer.on_results(settings, steps)
    return containers.on_results(settings, steps)


def on_world(
    settings: Settings, arguments: Sequence[str], mounts: Mapping[str, Path], made: Path
) -> int:
    """Run Python with `arguments` as the service that may write below LEAP_RAW_DATA_PARENT.

    mounts  {variable of compose.yaml: folder}; the container sees LEAP_RAW_DATA_PARENT as /world
    made    the folder in which files or folders are made
    """
    return on_folder(settings, "world", arguments, mounts, made)


def require(settings: Settings, services: Sequence[str]) -> None:
    """Make the images of services, if these run in some. Raises KitError if one cannot be had."""
    if settings["RUNTIME"] == "apptainer":
        apptainer.prepare(settings, services)
    elif settings["RUNTIME"] == "docker":
        containers.build_images(settings, services, container_user.of(settings.results.root))


def prepare(settings: Settings, folder: Path) -> None:
    """Make a folder to which steps will write beside the launcher.

    Containers of Docker are given it while it is empty. Raises KitError if they may not write.
    """
    if settings["RUNTIME"] == "docker":
        container_user.prepare(folder, container_user.of(folder))


def on_folder(
    settings: Settings,
    service: str,
    arguments: Sequence[str],
    mounts: Mapping[str, Path],
    made: Path,
) -> int:
    """Run a service that writes to a folder of the user's: `world`, `evaluate`, `report` ...

    mounts  {variable of compose.yaml: folder}
    made    the folder in which files or folders are made
    """
    if settings["RUNTIME"] == "apptainer":
        return apptainer.on_folder(settings, service, arguments, mounts, made)
    return containers.on_folder(settings, service, arguments, mounts, made)
