"""NetCDF files and Zarr stores in ClimSim's variables: predictions from elsewhere, and their truth.

The form is that of `make predict`: `ptend_*` (time, lev, ncol) and `cam_out_*` (time, ncol) in the
units of `leapkit.core.columns`, level 0 at the model top. A truth also holds the inputs that the
metrics need.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from evaluation.truths import Step
from leapkit.climate.diagnostics import NEEDED_INPUTS
from leapkit.core.columns import INPUTS, LEVELS, OUTPUT_SCALARS, TENDENCY_PROFILES, UNITS
from leapkit.core.errors import KitError
from leapkit.core.files import sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.data import units
from leapkit.data.opened_datasets import explained, opened

REMEDY = "write it as `make predict` does: ptend_* (time, lev, ncol), cam_out_* (time, ncol)"
SUFFIXES = (".nc", ".nc4", ".cdf", ".zarr")
_STEPS_AT_ONCE = 16  # 36 MB of targets on ClimSim's grid: a chunk of a store is decoded once
_TARGETS = tuple(name for name, _ in TENDENCY_PROFILES + OUTPUT_SCALARS)


class StepVariables:
    """Some variables of a file, read a few steps at a time. Raises KitError if one is missing.

    stamps   YYYY-MM-DD-SSSSS of its steps, in order
    columns  of its grid
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self.path = path
        self._names = names
        self._opened = _open(path)
        for name in names:
            self._require(name)
        self.columns = int(self._opened.sizes["ncol"])
        self.stamps = _stamps(self._opened, path)
        self._block: Tuple[int, np.ndarray] = (-1, np.empty((0, 0, 0)))

    def _require(self, name: str) -> None:
        if name not in self._opened:
            raise KitError(f"lacks the variable {name}", self.path, REMEDY)
        variable = self._opened[name]
        expected = {"time", "ncol"} | ({"lev"} if name.startswith("ptend") else set())
        if set(variable.dims) != expected:
            what = f"{name} has the dimensions {variable.dims}, not {sorted(expected)}"
            raise KitError(what, self.path, REMEDY)
        if variable.sizes.get("lev", LEVELS) != LEVELS:
            what = f"{name} has {variable.sizes['lev']} levels, not {LEVELS}"
            raise KitError(what, self.path, REMEDY)
        unit = str(variable.attrs.get("units", UNITS[name]))
        if not units.means(unit, UNITS[name]):
            what = f"{name} is in {unit}, not in {UNITS[name]}"
            raise KitError(what, self.path, f"convert it to {UNITS[name]}")

    def step(self, number: int) -> np.ndarray:
        """Return (C, n) float64 of a step: the columns of the names, one after another.

        Raises KitError if a value is missing.
        """
        block, within = divmod(number, _STEPS_AT_ONCE)
        if block != self._block[0]:
            self._block = (block, self._read(block * _STEPS_AT_ONCE))
        values: np.ndarray = self._block[1][within]
        if not np.isfinite(values).all():
            what = f"holds NaN or infinity at the step {self.stamps[number]}"
            raise KitError(what, self.path, "predict again, or leave the step out")
        return values

    def _read(self, start: int) -> np.ndarray:
        """Return (steps, C, n) float64 of the steps from `start` on."""
        part = self._opened.isel(time=slice(start, start + _STEPS_AT_ONCE))
        columns = []
        with explained(self.path):
            for name in self._names:
                values = part[name].transpose("time", "ncol", ...).values.astype(np.float64)
                columns.append(values.reshape(*values.shape[:2], -1))
        return np.concatenate(columns, axis=2)

    def digest(self, index: HashIndex) -> str:
        """Return the sha256 of the file, or of all files of a store."""
        if not self.path.is_dir():
            return index.of(self.path)
        return index.of_many(
            [path for path in sorted(self.path.rglob("*")) if path.is_file()], self.path
        )


class DatasetPrediction:
    """Predictions of steps in a file from elsewhere."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._variables = StepVariables(path, _TARGETS)
        emulator = self._variables._opened.attrs.get("emulator", "")
        self.origin = path.name + (f", predicted by {emulator}" if emulator else "")
        self.stamps = self._variables.stamps
        self.columns = self._variables.columns

    def values(self, step: Step) -> np.ndarray:
        return self._variables.step(step.number)

    def inputs(self, index: HashIndex) -> Dict[str, str]:
        return {"prediction": self._variables.digest(index)}


class DatasetTruth:
    """Truth and inputs in a file, at the steps of a prediction.

    Raises KitError if it lacks one of them.
    """

    title = "rows of the truth"

    def __init__(self, path: Path, stamps: Sequence[str]) -> None:
        self._targets = StepVariables(path, _TARGETS)
        self._inputs = StepVariables(path, NEEDED_INPUTS)
        self.columns = self._targets.columns
        self.stamps = list(stamps)
        position = {stamp: k for k, stamp in enumerate(self._targets.stamps)}
        missing = [stamp for stamp in stamps if stamp not in position]
        if missing:
            what = f"lacks the step {missing[0]}, which was predicted"
            raise KitError(what, path, "name the truth of the same steps with TRUTH=")
        self._positions = [position[stamp] for stamp in stamps]

    def steps(self) -> Iterator[Step]:
        known = [INPUTS.index(name) for name in NEEDED_INPUTS]
        for number, position in enumerate(self._positions):
            inputs = np.full((self.columns, len(INPUTS)), np.nan)
            inputs[:, known] = self._inputs.step(position)
            yield Step(number, self.stamps[number], (), inputs, self._targets.step(position))

    def inputs(self, index: HashIndex) -> Dict[str, str]:
        return {"truth": self._targets.digest(index), "steps": sha256_json(self.stamps)}


def _open(path: Path) -> Any:
    """Return the xarray.Dataset of a file or store, with times and columns. Raises KitError."""
    dataset = opened(path, decode_times=True)
    if "time" not in dataset.dims and "ncol" in dataset.dims:
        dataset = dataset.expand_dims("time")
    for name in ("time", "ncol"):
        if not dataset.sizes.get(name):
            raise KitError(f"has no dimension {name}, or an empty one", path, REMEDY)
    if "lev" in dataset.coords and np.any(np.diff(dataset["lev"].values) < 0):
        what = "its level 0 is not the model top: lev decreases"
        raise KitError(what, path, "turn its levels over")
    return dataset


def _stamps(opened: Any, path: Path) -> List[str]:
    """Return YYYY-MM-DD-SSSSS of every step, from `time` or from ClimSim's `ymd` and `tod`."""
    if {"ymd", "tod"} <= set(opened.variables):
        days, seconds = (np.ravel(opened[name].values) for name in ("ymd", "tod"))
        texts = [
            f"{int(day) // 10000:04d}-{int(day) // 100 % 100:02d}-{int(day) % 100:02d}-{int(s):05d}"
            for day, s in zip(days, seconds)
        ]
    else:
        texts = [_stamp_of(moment, path) for moment in _moments(opened, path)]
    if len(texts) != opened.sizes["time"] or len(set(texts)) != len(texts):
        raise KitError("two of its steps have the same time", path, REMEDY)
    return texts


def _moments(opened: Any, path: Path) -> List[Any]:
    if "time" not in opened.coords:
        raise KitError(
            "has no coordinate `time`, so nothing says which steps these are", path, REMEDY
        )
    values = opened["time"].values
    return list(values.astype("datetime64[s]").tolist() if values.dtype.kind == "M" else values)


def _stamp_of(moment: Any, path: Path) -> str:
    """Return the stamp of a time of the calendar, or of a text that is a stamp."""
    if isinstance(moment, str):
        return moment
    try:
        seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
        return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}-{seconds:05d}"
    except AttributeError as error:
        what = "its `time` is no time of a calendar (units as 'days since 0001-01-01')"
        raise KitError(what, path, REMEDY) from error
