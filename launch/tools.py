"""The tools around a run: worlds, statistics, arrays, fetching data and checking parquets."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Mapping, Optional, Sequence

from launch import process, step_arguments
from launch.blend_tools import WORLD, in_environment, on_results
from launch.runtimes import environments, image_runtimes
from launch.settings import Settings
from leapkit.core.errors import KitError


def verify(settings: Settings, artifacts: str) -> int:
    """Check the parquets in submission/subs, and admit the user's own by writing their receipts."""
    return on_results(settings, "verify", step_arguments.verify_arguments(artifacts))


def fetch(settings: Settings, requested: Mapping[str, str]) -> int:
    """Fetch the data that WHAT names, on the host, as containers have no network."""
    arguments = step_arguments.fetch_arguments(settings, requested)
    return process.run([str(environments.fetch_python()), *arguments], environments.environment({}))


def train_statistics(settings: Settings) -> int:
    """Compute both families' statistics from train.csv, below the folder of the raw data."""
    module, root = "leapkit.worlds.train_statistics", settings.raw.root
    if not settings.in_containers:
        return in_environment(["-m", module, f"--raw-data={root}"])
    arguments = ["-m", module, f"--raw-data={WORLD}/{root.name}"]
    mounts = {"LEAP_RAW_DATA_PARENT": root.parent}
    return image_runtimes.on_world(
        settings, arguments, mounts, settings.raw.statistics("adam").parent
    )


def split(settings: Settings, arguments: Sequence[str]) -> int:
    """Make a scored world from step files."""
    # The world is made under another name beside its place.
    to = step_folders(arguments).to
    return _on_steps(settings, "leapkit.worlds.make_world", arguments, to and to.resolve().parent)


def store(settings: Settings, arguments: Sequence[str]) -> int:
    """Write step files as one array a month, or let a Dask scheduler's workers write them."""
    if step_folders(arguments).steps is None:
        if not settings.raw.steps.is_dir():
            remedy = "run `make fetch WHAT=steps MONTHS=0008-01:0008-03`, or name one with --steps"
            raise KitError("the folder of step files does not exist", settings.raw.steps, remedy)
        arguments = [f"--steps={settings.raw.steps}", *arguments]
    if names_a_scheduler(arguments):
        return _on_a_cluster("leapkit.worlds.month_arrays", arguments)
    to = step_folders(arguments).to
    return _on_steps(settings, "leapkit.worlds.month_arrays", arguments, to and to.resolve())


def names_a_scheduler(arguments: Sequence[str]) -> bool:
    """Return whether a Dask scheduler is given the months."""
    return any(argument.split("=")[0] == "--scheduler" for argument in arguments)


def _on_a_cluster(module: str, arguments: Sequence[str]) -> int:
    """Run a module with this Python: a cluster's Dask must be of the version that it has."""
    packages = ("numpy", "tqdm", "distributed")
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise KitError(
            "lacks " + ", ".join(missing),
            sys.executable,
            "run `pip install ./shared distributed`, or name the cluster's Python with PYTHON=",
        )
    return process.run([sys.executable, "-m", module, *arguments], environments.environment({}))


def step_folders(arguments: Sequence[str]) -> argparse.Namespace:
    """Return --steps, --to and --statistics as paths (None if absent), and the `others`.

    Raises KitError if a folder that is read does not exist.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in ("--steps", "--to", "--statistics"):
        parser.add_argument(flag, type=Path)
    folders, others = parser.parse_known_args(list(arguments))
    for folder in (folders.steps, folders.statistics):
        if folder and not folder.is_dir():
            raise KitError("the folder does not exist", folder, "check the path")
    return argparse.Namespace(others=others, **vars(folders))


def _on_steps(
    settings: Settings, module: str, arguments: Sequence[str], made: Optional[Path]
) -> int:
    """Run a module that makes a folder (--to) from step files, in either runtime.

    made  the folder in which it makes files or folders
    """
    folders = step_folders(arguments)
    if not settings.in_containers or not (folders.steps and folders.to and made):
        return in_environment(["-m", module, *arguments])
    # The container sees the user's folders under names of its own.
    to = folders.to.resolve()
    to.parent.mkdir(parents=True, exist_ok=True)
    mounts = {"LEAP_RAW_DATA_PARENT": to.parent, "LEAP_STEPS": folders.steps.resolve()}
    inside = ["-m", module, "--steps=/steps", f"--to={WORLD}/{to.name}", *folders.others]
    if folders.statistics:
        mounts["LEAP_STATISTICS"] = folders.statistics.resolve()
        inside.append("--statistics=/statistics")
    return image_runtimes.on_world(settings, inside, mounts, made)
