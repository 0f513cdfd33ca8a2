"""What runs in the blend's image or environment: the blend itself, and the makers of data."""

from __future__ import annotations

from typing import List, Sequence

from launch import process, step_arguments
from launch.code_version import code_version
from launch.folders import require_writable
from launch.runtimes import containers, environments, image_runtimes
from launch.settings import Settings, sample_world
from leapkit.core.errors import KitError

WORLD = "/world"  # where a container of the service `world` sees the folder that it may write to


def on_results(settings: Settings, service: str, arguments: Sequence[str]) -> int:
    """Run the blend with `arguments` on the data and the results, in either runtime."""
    if not settings.in_containers:
        return in_environment(["-m", "blend", *arguments, *step_arguments.host_folders(settings)])
    return image_runtimes.on_results(settings, {service: arguments})


def in_environment(arguments: Sequence[str]) -> int:
    """Run Python with `arguments` in the blend's environment."""
    env = environments.environment({"LEAP_CODE": code_version()})
    return process.run([str(environments.blend_python()), *arguments], env)


def tables(settings: Settings) -> List[str]:
    """Return the tables of TABLE by the names that the blend knows them by, where it runs."""
    if settings.in_containers:
        return containers.tables_inside(settings)[0]
    return [blend.source for blend in settings.blends]


def world_arguments(settings: Settings) -> List[str]:
    """Return what follows `python` to make the sample world."""
    folder = f"{WORLD}/{sample_world().name}" if settings.in_containers else sample_world()
    return ["-m", "leapkit.sampleworld", f"--to={folder}"]


def make_world(settings: Settings) -> None:
    """Make the sample world. Raises KitError if its maker fails."""
    world = sample_world()
    require_writable(world, "copy the kit to a folder that you may write to, or name your RAW_DATA")
    world.parent.mkdir(parents=True, exist_ok=True)
    arguments = world_arguments(settings)
    if settings.in_containers:
        mounts = {"LEAP_RAW_DATA_PARENT": world.parent}
        code = image_runtimes.on_world(settings, arguments, mounts, world.parent)
    else:
        code = in_environment(arguments)
    if code:
        raise KitError(
            "could not be made (the lines above say why)",
            "the sample world",
            "run the same command again",
        )
