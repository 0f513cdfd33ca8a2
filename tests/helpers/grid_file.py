"""Files like ClimSim's file of its grid."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import numpy as np
import pytest

from leapkit.climate.grid import Grid

netCDF4 = pytest.importorskip("netCDF4")

Contents = Dict[str, np.ndarray]


def contents_of(grid: Grid) -> Contents:
    """Return what ClimSim's grid file would hold of a grid, by variable."""
    names = ("lat", "lon", "area", "hyai", "hybi", "hyam", "hybm")
    return {**{name: getattr(grid, name) for name in names}, "P0": np.array(grid.p0)}


def write_grid(path: Path, contents: Contents, form: str = "NETCDF3_64BIT_DATA") -> Path:
    axes = {"la": "ncol", "lo": "ncol", "ar": "ncol"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(str(path), "w", format=form) as file:
        for name, values in contents.items():
            if values.ndim:
                axis = axes.get(name[:2], "ilev" if name.endswith("i") else "lev")
                if axis not in file.dimensions:
                    file.createDimension(axis, len(values))
            variable = file.createVariable(name, "f8", (axis,) if values.ndim else ())
            variable[...] = values
    return path
