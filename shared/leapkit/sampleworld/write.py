"""Write step files in the real format: CDF-5, float64, the same variables in the same order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import netCDF4
import numpy as np

from leapkit.sampleworld.constants import LEVELS, N_COLUMNS
from leapkit.sampleworld.grid import Grid, HybridLevels, cubed_sphere, hybrid_levels
from leapkit.sampleworld.physics import step
from leapkit.sampleworld.records import StepInput, StepOutput
from leapkit.sampleworld.state import make_state
from leapkit.sampleworld.steptime import StepTime

# The order of the variables in the files, after ymd and tod.
MLI = (
    "cam_in_ALDIF",
    "cam_in_ALDIR",
    "cam_in_ASDIF",
    "cam_in_ASDIR",
    "cam_in_ICEFRAC",
    "cam_in_LANDFRAC",
    "cam_in_LWUP",
    "cam_in_OCNFRAC",
    "cam_in_SNOWHICE",
    "cam_in_SNOWHLAND",
    "pbuf_COSZRS",
    "pbuf_LHFLX",
    "pbuf_SHFLX",
    "pbuf_SOLIN",
    "pbuf_TAUX",
    "pbuf_TAUY",
    "state_pmid",
    "state_ps",
    "state_q0001",
    "state_q0002",
    "state_q0003",
    "state_t",
    "state_u",
    "state_v",
    "pbuf_CH4",
    "pbuf_N2O",
    "pbuf_ozone",
)
MLO = (
    "cam_out_FLWDS",
    "cam_out_NETSW",
    "cam_out_PRECC",
    "cam_out_PRECSC",
    "cam_out_SOLL",
    "cam_out_SOLLD",
    "cam_out_SOLS",
    "cam_out_SOLSD",
    "state_q0001",
    "state_q0002",
    "state_q0003",
    "state_t",
    "state_u",
    "state_v",
)


def step_variables(
    when: StepTime, grid: Grid, levels: HybridLevels, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the mli and the mlo variables of one step by name, (60, C) or (C,)."""
    before = make_state(when, grid, levels, seed)
    return _named(before, MLI), _named(step(before, levels), MLO)


def _named(record: StepInput | StepOutput, names: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: getattr(record, name.rsplit("_", 1)[1].lower()) for name in names}


def write_steps(
    root: Path, times: Sequence[StepTime], seed: int, columns: int = N_COLUMNS
) -> list[Path]:
    """Write the mli and mlo file of each time below root/YYYY-MM; return the paths in pairs.

    Each file depends on its time, the seed and the number of columns only. A killed run leaves no
    part of a file under a final name. Raises ValueError for a number of columns outside 1..384.
    """
    grid, levels = cubed_sphere(columns), hybrid_levels()
    paths = []
    for when in times:
        folder = Path(root) / when.folder
        folder.mkdir(parents=True, exist_ok=True)
        for kind, variables in zip(("mli", "mlo"), step_variables(when, grid, levels, seed)):
            path = folder / f"E3SM-MMF.{kind}.{when.stamp}.nc"
            _write(path, when, variables)
            paths.append(path)
    return paths


def _write(path: Path, when: StepTime, variables: dict[str, np.ndarray]) -> None:
    """Write under a temporary name in the same folder, then rename."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with netCDF4.Dataset(str(unfinished), "w", format="NETCDF3_64BIT_DATA") as file:
            _fill(file, when, variables)
        os.replace(str(unfinished), str(path))
    finally:
        if unfinished.exists():
            unfinished.unlink()


def _fill(file: netCDF4.Dataset, when: StepTime, variables: dict[str, np.ndarray]) -> None:
    columns = next(iter(variables.values())).shape[-1]
    file.set_fill_off()  # every value is written below
    file.createDimension("ncol", columns)
    file.createDimension("lev", LEVELS)
    file.setncatts({"ne": np.int32(4), "fv_nphys": np.int32(2), "calendar": "NO_LEAP"})
    for name in ("ymd", "tod"):
        file.createVariable(name, "i4", ())
    for name, values in variables.items():
        file.createVariable(name, "f8", ("lev", "ncol")[-values.ndim :])
    file["ymd"][...] = when.ymd
    file["tod"][...] = when.seconds
    for name, values in variables.items():
        file[name][...] = values
