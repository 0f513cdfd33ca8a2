"""The arguments of a run's steps: one list for both runtimes, built once.

A container has its folders at fixed places (/raw_data, /submission, /weights), which its entrypoint
or its command line's defaults name; in the venv runtime `host_folders` names the same ones here.
"""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence

from launch import registry
from launch.settings import Settings
from leapkit.core.experiments import Experiment


def member_arguments(settings: Settings, experiments: Sequence[Experiment]) -> List[str]:
    """Return what follows `python -m members.<name>`."""
    precision = settings["STEP_PRECISION"]
    gpus = settings["GPUS"]
    options = settings["OPTIONS"]
    return [
        settings.mode,
        f"--profile={settings['PROFILE']}",
        f"--device={settings['DEVICE']}",
        f"--precision={settings['PRECISION']}",
        f"--experiments={registry.ids(experiments)}",
        *([f"--step-precision={precision}"] if precision else []),
        *([f"--gpus={gpus}"] if gpus else []),
        *([f"--options={options}"] if options else []),
    ]


def blend_arguments(settings: Settings, run: registry.Registry, tables: Sequence[str]) -> List[str]:
    """Return what follows `python -m blend`.

    run     the experiments whose artifacts a search may choose from
    tables  the tables of TABLE, by the names that the process knows them by
    """
    searches = registry.searches(run).items()
    return [
        "run",
        "--table=" + ",".join(tables),
        "--artifacts=" + ";".join(f"{search}={','.join(names)}" for search, names in searches),
        f"--postprocess={settings['POSTPROCESS']}",
    ]


def verify_arguments(artifacts: str) -> List[str]:
    """Return what follows `python -m blend` to check parquets, all of them if none is named."""
    return ["verify", f"--artifacts={artifacts}"]


def host_folders(settings: Settings, member: Optional[str] = None) -> List[str]:
    """Return the folders on this machine, for a member with that of its checkpoints."""
    folders = [f"--raw-data={settings.raw.root}", f"--submission={settings.results.root}"]
    return folders + ([f"--weights={settings.weights(member)}"] if member else [])


def fetch_arguments(settings: Settings, requested: Mapping[str, str]) -> List[str]:
    """Return what follows `python` to fetch data, or only to look if WHAT names nothing."""
    arguments = ["-m", "fetch", f"--raw-data={settings.raw.root}"]
    for member in registry.members():
        arguments.append(f"--weights={member}={settings.weights(member)}")
    for variable in ("WHAT", "MONTHS", "DRIVE", "DROP"):
        arguments.append(f"--{variable.lower()}={requested.get(variable, '')}")
    return arguments
