"""`make evaluate`: which predictions are evaluated, and by which names their process knows them."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Mapping

from launch import registry, step_arguments
from launch.blend_tools import in_environment
from launch.runtimes import image_runtimes
from launch.settings import Settings
from leapkit.core.errors import KitError

# Where a container sees the folders of PREDICTIONS and TRUTH.
PREDICTIONS = "/predictions"
TRUTH = "/truth"


def run(settings: Settings, requested: Mapping[str, str]) -> int:
    """Evaluate predictions in the blend's image or environment, and say where the pages are.

    Raises KitError if a file that PREDICTIONS or TRUTH names does not exist.
    """
    predictions = _paths("PREDICTIONS", requested)
    truth = _paths("TRUTH", requested)
    choices = [
        f"--rows={requested.get('ROWS', '')}",
        "--artifacts=" + ",".join(registry.named_artifacts(requested.get("ARTIFACTS", ""))),
    ]
    if settings.in_containers:
        mounts = _folders(predictions, truth)
        inside = _files(
            [Path(PREDICTIONS, path.name) for path in predictions],
            [Path(TRUTH, path.name) for path in truth],
        )
        made = settings.results.evaluation
        code = image_runtimes.on_folder(settings, "evaluate", [*choices, *inside], mounts, made)
    else:
        folders = step_arguments.host_folders(settings)
        code = in_environment(["-m", "evaluation", *choices, *_files(predictions, truth), *folders])
    if not code:
        print(f"pages: {settings.results.evaluation / 'index.html'}", flush=True)
    return code


def _paths(variable: str, requested: Mapping[str, str]) -> List[Path]:
    """Return the files and folders that a variable names. Raises KitError if one is missing."""
    value = requested.get(variable, "")
    words = value.split(",") if variable == "PREDICTIONS" else [value]
    paths = [Path(word).resolve() for word in words if word]
    for path in paths:
        if not path.exists():
            raise KitError("does not exist", f"{variable}={path}", "check the path")
    return paths


def _files(predictions: List[Path], truth: List[Path]) -> List[str]:
    """Return the arguments that name files, by the paths that their reader knows."""
    arguments = [f"--prediction={path}" for path in predictions]
    return arguments + [f"--truth={path}" for path in truth]


def _folders(predictions: List[Path], truth: List[Path]) -> Dict[str, Path]:
    """Return the folders that a container sees. Raises KitError if PREDICTIONS lie in several."""
    above = {path.parent for path in predictions}
    if len(above) > 1:
        raise KitError(
            f"its files lie in {len(above)} folders, and a container sees one",
            "PREDICTIONS",
            "put them into one folder, or use RUNTIME=venv",
        )
    folders = {"LEAP_PREDICTIONS": list(above), "LEAP_TRUTH": [path.parent for path in truth]}
    return {variable: named[0] for variable, named in folders.items() if named}
