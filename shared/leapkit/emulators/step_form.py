"""Predictions as ClimSim's own step files: the state after each step, as the model would write it.

state after = state before + tendency x 1200 s, and the fluxes as they are. The kit's reader takes
the tendencies out again (leapkit.data.step_reader), so what trains on step files trains on the
predictions of a teacher. A folder holds both files of each step, .mli and .mlo.
"""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import Any, Dict, Mapping

import numpy as np

from leapkit.core.columns import LEVELS, OUTPUT_SCALARS, STATE_PROFILES, STEP_SECONDS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.step_files import StepPair

_STATES = LEVELS * len(STATE_PROFILES)
# What a state and a flux are at least. The model's floor of vapour is 1e-12 kg/kg, and its files
# hold no less (docs/data.md, "Step files"); a network's tendency may lead below.
FLOORS = {"state_q0001": 1e-12, "state_q0002": 0.0, "state_q0003": 0.0}


def state_after(x: np.ndarray, y: np.ndarray) -> Dict[str, np.ndarray]:
    """Return the variables of an .mlo: profiles (60, C) and fluxes (C,), float64.

    x  (C, 556) raw inputs, Kaggle order
    y  (C, 368) raw predictions, Kaggle order
    """
    after = x[:, :_STATES] + y[:, :_STATES] * STEP_SECONDS
    variables = {}
    for k, (name, _) in enumerate(STATE_PROFILES):
        profile = after[:, k * LEVELS : (k + 1) * LEVELS].T
        variables[name] = np.maximum(profile, FLOORS[name]) if name in FLOORS else profile
    for k, (name, _) in enumerate(OUTPUT_SCALARS):
        variables[name] = np.maximum(y[:, _STATES + k], 0.0)
    return variables


def write_step(
    root: Path, step: StepPair, x: np.ndarray, y: np.ndarray, attributes: Mapping[str, Any]
) -> Path:
    """Write the two files of a step below root/YYYY-MM and return the path of the .mlo.

    The .mli is the given one: a second name of it, or a copy. `root` is a folder in the making,
    whose files nobody reads before it is whole: they are not renamed one by one.
    step        whose .mli was read
    x           (C, 556) raw inputs of its columns, Kaggle order
    y           (C, 368) raw predictions, Kaggle order
    attributes  of the file: what made it
    Raises KitError if the disk is full, or netCDF4 is not installed.
    """
    written = StepPair(root / step.month, step.stamp)
    with explain_os_errors(written.mlo):
        written.folder.mkdir(parents=True, exist_ok=True)
        try:
            os.link(os.path.realpath(str(step.mli)), str(written.mli))
        except OSError:  # another file system, or a bind mount of a container
            shutil.copyfile(str(step.mli), str(written.mli))
        _write(written.mlo, step.stamp, state_after(x, y), attributes)
    return written.mlo


def _write(
    path: Path, stamp: str, variables: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> None:
    """Write one file as ClimSim's are: CDF-5, float64, ymd and tod, no time axis."""
    netcdf = _library()
    columns = len(variables["cam_out_NETSW"])
    with netcdf.Dataset(str(path), "w", format="NETCDF3_64BIT_DATA") as f:
        f.set_fill_off()  # every value is written below
        f.createDimension("ncol", columns)
        f.createDimension("lev", LEVELS)
        f.setncatts({"calendar": "NO_LEAP", **attributes})
        for name in ("ymd", "tod"):
            f.createVariable(name, "i4", ())
        for name in sorted(variables):
            f.createVariable(name, "f8", ("lev", "ncol")[-variables[name].ndim :])
        f["ymd"][...] = int(stamp[:10].replace("-", ""))
        f["tod"][...] = int(stamp[11:])
        for name in sorted(variables):
            f[name][...] = variables[name]


def _library() -> Any:
    try:
        return importlib.import_module("netCDF4")
    except ImportError as error:
        raise KitError("netCDF4 is not installed", "step files", "pip install netCDF4") from error
