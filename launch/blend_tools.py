"""What runs in the blend's image or environment: the blend itself, and the makers of data."""

from __future__ import annotations

from typing import Sequence

from launch import environments, process, runtimes, step_arguments
from launch.code_version import code_version
from launch.folders import require_writable
from launch.settings import Settings, sample_world
from leapkit.core.errors import KitError

WORLD = "/world"  # where a container of the service `world` sees the folder that it may write to


def on_results(settings: Settings, service: str, arguments: Sequence[str]) -> int:
    """Run the blend with `arguments` on the data and the results, in either runtime."""
    if not settings.in_containers:
        return in_environment(["-m", "blend", *arguments, *step_arguments.host_folders(settings)])
    return runtimes.on_results(settings, {service: arguments})


def in_environment(arguments: Sequence[str]) -> int:
    """Run Python with `arguments` in the blend's environment."""
    env = environments.environment({"LEAP_CODE": code_version()})
    return process.run([str(environments.blend_python()), *arguments], env)


def make_world(settings: Settings) -> None:
    """Make the sample world. Raises KitError if its maker fails."""
    world = sample_world()
    require_writable(world, "copy the kit to a folder that you may write to, or name your RAW_DATA")
    world.parent.mkdir(parents=True, exist_ok=True)
    module = ["-m", "leapkit.sampleworld"]
    if settings.in_containers:
        mounts = {"LEAP_RAW_DATA_PARENT": world.parent}
        arguments = [*module, f"--to={WORLD}/{world.name}"]
        code = runtimes.on_world(settings, arguments, mounts, world.parent)
    else:
        code = in_environment([*module, f"--to={world}"])
    if code:
        raise KitError(
            "could not be made (the lines above say why)",
            "the sample world",
            "run the same command again",
        )
