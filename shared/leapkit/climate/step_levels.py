"""What a step file says of the levels: the mid-layer pressure that a grid must give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from leapkit.climate.grid import Grid, layer_pressure
from leapkit.core.errors import KitError
from leapkit.core.layout import RawData
from leapkit.core.step_files import list_months, read_month
from leapkit.data import step_file
from leapkit.data.classic_netcdf import REMEDY


@dataclass(frozen=True)
class StepLevels:
    """The columns of a step file, and its levels if it tells them.

    pressure  state_pmid in Pa, (60, C); None if the file lacks it
    ps        state_ps in Pa, (C,)
    """

    path: Path
    columns: int
    pressure: Optional[np.ndarray]
    ps: np.ndarray

    def difference(self, grid: Grid) -> float:
        """Return the largest relative difference to the mid-layer pressure of a grid, else 0."""
        if self.pressure is None:
            return 0.0
        return float(np.abs(layer_pressure(grid, self.ps).T / self.pressure - 1.0).max())


def first_step(raw: RawData) -> Optional[Path]:
    """Return the input file of a world's first step; None if it has no steps."""
    if not raw.steps.is_dir():
        return None
    for month in list_months(raw.steps):
        pairs = read_month(raw.steps / month).pairs
        if pairs:
            return pairs[0].mli
    return None


def read_levels(path: Path) -> StepLevels:
    """Return the levels of a step file. Raises KitError if it cannot be read."""
    with step_file.opened(path) as (header, array_of):
        if "state_ps" not in header.variables:
            raise KitError("the variable state_ps is missing", path, REMEDY)
        ps = step_file.arranged(header.variables["state_ps"], array_of("state_ps"), ("ncol",), path)
        pressure = None
        if "state_pmid" in header.variables:
            stored = array_of("state_pmid")
            axes = ("lev", "ncol")
            pressure = step_file.arranged(header.variables["state_pmid"], stored, axes, path)
            pressure = np.array(pressure, dtype=np.float64)
        return StepLevels(path, len(ps), pressure, np.array(ps, dtype=np.float64))
