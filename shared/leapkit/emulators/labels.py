"""What a teacher predicts of a step, written as the .mlo file that the climate model would write.

So whatever reads step files, as the training loop, can learn from a teacher's predictions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Tuple

import numpy as np

from leapkit.core.columns import LEVELS, OUTPUT_SCALARS, STATE_PROFILES, STEP_SECONDS
from leapkit.core.errors import KitError
from leapkit.core.files import atomic
from leapkit.core.step_files import StepPair
from leapkit.data.step_ranges import RANGES
from leapkit.data.step_reader import StepReader

# A state after the step has no negative water, and at least the model's own floor of vapour; a flux
# downward or a rate of precipitation is not negative.
_FLOORS = {"state_q0001": 1e-12, "state_q0002": 0.0, "state_q0003": 0.0}
_STATES = LEVELS * len(STATE_PROFILES)


def step_after(x: np.ndarray, y: np.ndarray) -> Dict[str, np.ndarray]:
    """Return {variable: (60, C) or (C,)} float64 of the .mlo file in which a step is x + 1200 s y.

    x, y  (C, 556) inputs and (C, 368) targets, raw units, Kaggle order

    A value beyond what a step file may hold (leapkit.data.step_ranges), such as negative water,
    becomes the nearest one that it may: the truth lies within these bounds, so that only brings a
    prediction nearer to it.
    """
    before = x[:, :_STATES].T.reshape(-1, LEVELS, len(x))  # (6, 60, C)
    tendency = y[:, :_STATES].T.reshape(before.shape)
    states = {
        name: before[k] + _bounded("p" + name.replace("state", "tend"), tendency[k]) * STEP_SECONDS
        for k, (name, _) in enumerate(STATE_PROFILES)
    }
    scalars = {name: y[:, _STATES + k] for k, (name, _) in enumerate(OUTPUT_SCALARS)}
    return {name: _bounded(name, values) for name, values in {**scalars, **states}.items()}


def _bounded(name: str, values: np.ndarray) -> np.ndarray:
    if name not in RANGES:  # a tendency of water or wind: what it leads to is bounded
        return values
    lowest, highest = _limits(name)
    bounded: np.ndarray = np.clip(values, lowest, highest)
    return bounded


def _limits(name: str) -> Tuple[float, float]:
    lowest, highest = RANGES[name]
    if name == "ptend_t":  # read back as a difference, which rounds
        return 0.999 * lowest, 0.999 * highest
    if name.startswith("cam_out"):
        lowest = max(lowest, 0.0)
    return max(lowest, _FLOORS.get(name, lowest)), highest


def write_label(pair: StepPair, x: np.ndarray, y: np.ndarray) -> None:
    """Write the .mlo file of a step whose .mli file exists, from inputs x and predictions y.

    It is in ClimSim's form, CDF-5 in float64, and read back before it counts. Raises KitError if a
    prediction is not finite, or is no state of an atmosphere.
    """
    if not np.isfinite(y).all():
        raise KitError(
            "the teacher's prediction is NaN or infinite", pair.mli, "check its checkpoints"
        )
    variables = step_after(x, y)
    with atomic(pair.mlo) as temporary:
        _write(temporary, pair.stamp, variables)
    StepReader().levels(pair)


def _write(path: Path, stamp: str, variables: Dict[str, np.ndarray]) -> None:
    import netCDF4

    year, month, day, second = stamp.split("-")
    with netCDF4.Dataset(str(path), "w", format="NETCDF3_64BIT_DATA") as file:
        file.set_fill_off()  # every value is written below
        file.createDimension("ncol", next(iter(variables.values())).shape[-1])
        file.createDimension("lev", LEVELS)
        file.setncatts({"calendar": "NO_LEAP"})
        for name in ("ymd", "tod"):
            file.createVariable(name, "i4", ())
        for name, values in variables.items():
            file.createVariable(name, "f8", ("lev", "ncol")[-values.ndim :])
        file["ymd"][...] = int(year + month + day)
        file["tod"][...] = int(second)
        for name, values in variables.items():
            file[name][...] = values
