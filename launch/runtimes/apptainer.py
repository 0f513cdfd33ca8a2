"""The apptainer runtime: each step in a SIF file, as the caller, with the mounts of compose.yaml.

No root, no engine and no setuid program is needed: user namespaces do. Limits of memory and of
processes are those of the job that it runs in.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from launch import process
from launch.bundles import bundled
from launch.code_version import code_version
from launch.registry import REPOSITORY
from launch.runtimes import container_user, containers, engine, sif_making, sifs
from launch.runtimes.compose_services import entrypoint, mounts_of
from launch.settings import Settings, sample_world
from leapkit.core.errors import explain_os_errors

RUNNER = REPOSITORY / "launch" / "runtimes" / "apptainer_run.py"
# A root that is read-only, no capability, no network; nothing of the caller's environment, home,
# processes or IPC, and no mount that the machine's configuration adds.
CONFINED = (
    *("--containall", "--cleanenv", "--no-home", "--no-privs", "--no-mount", "bind-paths"),
    *("--net", "--network", "none", "--pwd", "/"),
)
# As the Dockerfiles have it. Apptainer would make HOME the caller's, which does not exist inside.
HOME = "/tmp"
# What runs in the blend's image, which has one stack.
OF_THE_BLEND = ("blend", "verify", "evaluate", "report", "world")


def command(
    settings: Settings,
    service: str,
    arguments: Sequence[str],
    folders: Optional[Mapping[str, Path]] = None,
) -> Tuple[List[str], Dict[str, str]]:
    """Return (what runs a service in its SIF, what it adds to the environment of the caller).

    arguments  what follows the entrypoint, as `step_arguments.member_arguments` gives it
    folders    {variable of compose.yaml: folder} of `world`, `evaluate` and `emulator`
    A batch job may run it on another machine that sees the same folders. Raises KitError if there
    is no SIF of this code.
    """
    image = images_of(settings, [service])[service]
    sif = sifs.find(service, image)
    variables = {"LEAP_CODE": code_version(), "LEAP_IMAGE": sif.provenance}
    if service not in OF_THE_BLEND:
        variables["LEAP_STACK"] = settings["STACK"]
    gpu = ["--nv"] if image.endswith("-cuda") else []
    given = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    bound = mounts_of(settings, service, folders or {})
    given += [word for mount in bound for word in ("--mount", mount.option)]
    return inside(sif.path, [*entrypoint(service), *arguments], [*gpu, *given]), {}


def inside(sif: Path, command: Sequence[str], options: Sequence[str] = ()) -> List[str]:
    """Return what runs a command in a SIF, confined.

    options  of `apptainer exec`, beside those that confine it
    """
    run = [engine.apptainer_program(), "--quiet", "exec", *CONFINED, *options, str(sif)]
    return [sys.executable, str(RUNNER), *run, "env", f"HOME={HOME}", *command]


def prepare(settings: Settings, services: Sequence[str]) -> None:
    """Make the SIFs of services, unless they are there and hold this code.

    Where a Docker engine answers, their images are built first. Elsewhere an archive of `docker
    save` in the folder of SIFs becomes one, and after `make unbundle` its SIFs are taken. Raises
    KitError if there is none of them.
    """
    if bundled.has_sifs() or engine.problem():
        sif_making.from_archives(images_of(settings, services))
    else:
        make_files(settings, services)


def make_files(settings: Settings, services: Sequence[str]) -> List[Path]:
    """Build the images of services and return their SIFs.

    Without Apptainer they are archives, of which a machine that has it makes SIFs.
    """
    containers.build_images(settings, services, container_user.of(settings.results.root))
    suffix = sifs.ARCHIVE if engine.apptainer_problem() else sifs.SIF
    return sif_making.from_engine(images_of(settings, services), suffix)


def images_of(settings: Settings, services: Sequence[str]) -> Dict[str, str]:
    """Return {service: the name of its image} in this run."""
    accelerator = settings["ACCELERATOR"]
    return {
        service: sifs.image_of(
            service,
            settings.emulator.name if service in sifs.OF_THE_EMULATOR else settings["STACK"],
            accelerator,
        )
        for service in services
    }


def on_results(settings: Settings, steps: Mapping[str, Sequence[str]]) -> int:
    """Run {service: arguments} side by side on the data and the results; return the exit code."""
    prepare(settings, list(steps))
    _make_folders(settings, list(steps))
    commands = {name: command(settings, name, arguments)[0] for name, arguments in steps.items()}
    return process.side_by_side(commands, os.environ)


def in_a_job(
    settings: Settings, service: str, arguments: Sequence[str]
) -> Tuple[List[str], Dict[str, str]]:
    """Return what `command` does, once the SIF and the folders that it mounts are made.

    service  a member, `blend`, or `world`, which makes the sample world
    """
    prepare(settings, [service])
    _make_folders(settings, [service])
    return command(settings, service, arguments, {"LEAP_RAW_DATA_PARENT": sample_world().parent})


def _make_folders(settings: Settings, services: Sequence[str]) -> None:
    """Make the folders of results that services mount."""
    _make(containers.folders_of(settings.results, services))


def _make(folders: Sequence[Path]) -> None:
    """Make folders to which the caller may write, also those that containers of Docker wrote to."""
    for folder in folders:
        with explain_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    container_user.take_back(folders)


def on_folder(
    settings: Settings,
    service: str,
    arguments: Sequence[str],
    mounts: Mapping[str, Path],
    made: Path,
) -> int:
    """Run a service that writes to a folder of the user's: `world`, `evaluate` or `emulator`.

    mounts  {variable of compose.yaml: folder}
    made    the folder in which files or folders are made
    """
    prepare(settings, [service])
    _make([made])
    return process.run(command(settings, service, arguments, mounts)[0], os.environ)
