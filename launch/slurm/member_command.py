"""What a batch job runs: a step in its SIF file, or in the virtual environment of its room."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from launch import step_arguments
from launch.code_version import code_version
from launch.runtimes import apptainer, environments
from launch.settings import Settings


def command(
    settings: Settings, service: str, arguments: Sequence[str]
) -> Tuple[List[str], Dict[str, str]]:
    """Return (what runs a step, what it adds to the environment of the job).

    service    a member, `blend` or `world`
    arguments  what follows the module, as launch.step_arguments gives it; of `world` all of them
    SIF or environment is made first, on this machine: a job on another one finds it on the file
    system that both see. Raises KitError if it cannot be made.
    """
    if settings["RUNTIME"] == "apptainer":
        return apptainer.in_a_job(settings, service, arguments)
    variables = environments.variables({"LEAP_CODE": code_version()})
    if service == "world":
        return [str(environments.blend_python()), *arguments], variables
    if service == "blend":
        module = [str(environments.blend_python()), "-m", "blend"]
        return [*module, *arguments, *step_arguments.host_folders(settings)], variables
    stack = settings["STACK"]
    python = environments.member_python(service, stack, settings["ACCELERATOR"])
    folders = step_arguments.host_folders(settings, service)
    variables["LEAP_STACK"] = stack
    return [str(python), "-m", f"members.{service}", *folders, *arguments], variables
