"""The files that `make predict` reads: step files, or one data set in NetCDF or Zarr.

Standard library only: the launcher looks at them before it starts anything.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from leapkit.core.errors import KitError
from leapkit.core.step_files import MONTH, StepPair, parse_name

MOST_FILES = 100_000  # a receipt names each, and is read at once
_ZARR = (".zgroup", "zarr.json")  # of versions 2 and 3
_REMEDY = "name a folder of YYYY-MM/*.mli.*.nc, such files, or one NetCDF or Zarr data set"


@dataclass(frozen=True)
class PredictionInputs:
    """What is read: steps in the order of time, or one data set.

    steps    whose .mli is read; the .mlo need not exist
    dataset  a NetCDF file or a Zarr folder, if there are no steps
    """

    steps: Tuple[StepPair, ...] = ()
    dataset: Path = Path()

    @property
    def files(self) -> Dict[str, Path]:
        """Return {name in a receipt: file or folder}: the same wherever they lie."""
        if self.steps:
            return {step.mli.name: step.mli for step in self.steps}
        return {self.dataset.name: self.dataset}


def find(words: Sequence[str]) -> PredictionInputs:
    """Return what the words name: folders, files, or patterns such as 0008-0[78]/*.mli.*.nc.

    Of step files the .mli count, the .mlo are passed over. Raises KitError if something does not
    exist, holds no input, or is neither a step file nor the only data set.
    """
    paths = [path for word in words for path in _named(word)]
    if not paths:
        raise KitError("names nothing", "INPUTS", _REMEDY)
    if len(paths) == 1 and is_dataset(paths[0]):
        return PredictionInputs(dataset=paths[0])
    files = [file for path in paths for file in _step_files(path)]
    if not files:
        raise KitError("names no .mli step file", "INPUTS", _REMEDY)
    if len(files) > MOST_FILES:
        remedy = f"predict at most {MOST_FILES:,} at once, as by year"
        raise KitError(f"names {len(files):,} step files", "INPUTS", remedy)
    return PredictionInputs(steps=tuple(in_order(files)))


def in_order(files: Sequence[Path]) -> List[StepPair]:
    """Return the steps of .mli files in the order of time. Raises KitError for one named twice."""
    steps: Dict[str, StepPair] = {}
    for file in files:
        step = parse_name(file.name)
        assert step is not None
        before = steps.setdefault(step.stamp, StepPair(file.parent, step.stamp))
        if before.folder != file.parent:
            raise KitError("is the same step as " + str(before.mli), file, "leave one out")
    return [steps[stamp] for stamp in sorted(steps)]


def _named(word: str) -> List[Path]:
    """Return the path of a word, or those that match it as a pattern."""
    path = Path(word)
    if path.exists():
        return [path]
    matching = sorted(glob.glob(word)) if glob.has_magic(word) else []
    if not matching:
        what = "no file matches it" if glob.has_magic(word) else "does not exist"
        raise KitError(what, f"INPUTS={word}", "check the path")
    return [Path(name) for name in matching]


def is_dataset(path: Path) -> bool:
    """Return whether a path is no step file and no folder of them: NetCDF of another kind, Zarr."""
    if path.is_dir():
        return any((path / name).exists() for name in _ZARR)
    return parse_name(path.name) is None


def _step_files(path: Path) -> List[Path]:
    """Return the .mli files that a path stands for. Raises KitError if there are none."""
    if not path.is_dir():
        step = parse_name(path.name)
        if step is None:
            what = "is not a step file (E3SM-MMF.mli.YYYY-MM-DD-SSSSS.nc), and not the only input"
            raise KitError(what, path, "predict each data set by a command of its own")
        return [path] if step.kind == "mli" else []
    months = [folder for folder in path.iterdir() if folder.is_dir() and MONTH.match(folder.name)]
    files = [file for folder in [path, *months] for file in folder.iterdir() if _is_mli(file)]
    if not files:
        raise KitError("holds no .mli step file", path, _REMEDY)
    return files


def _is_mli(file: Path) -> bool:
    step = parse_name(file.name)
    return step is not None and step.kind == "mli"
