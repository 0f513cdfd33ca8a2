"""Find and read the grid of a world: ClimSim's grid file, or the formulas of the sample world."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import numpy as np

from leapkit.climate.grid import Grid
from leapkit.climate.step_levels import StepLevels, first_step, read_levels
from leapkit.core.columns import LEVELS
from leapkit.core.errors import KitError
from leapkit.core.layout import GRID_FILE, RawData
from leapkit.data import step_file
from leapkit.data.netcdf_header import Header
from leapkit.data.netcdf_library import ArrayOf
from leapkit.sampleworld import grid as sample_world
from leapkit.sampleworld.constants import N_COLUMNS, REFERENCE_PRESSURE

REMEDY = (
    f"put {GRID_FILE} of LEAP/ClimSim_low-res in its place:"
    " `make fetch WHAT=steps MONTHS=<month>` does, for a month that you have"
)
# variable -> its axes; the 61 interfaces between levels lie on ilev
_AXES = {
    "lat": ("ncol",),
    "lon": ("ncol",),
    "area": ("ncol",),
    "hyai": ("ilev",),
    "hybi": ("ilev",),
    "hyam": ("lev",),
    "hybm": ("lev",),
    "P0": (),
}
_CLOSE = 1e-5  # relative, of pressure: real files agree to 2e-16, files in float32 to 1e-7


def find_grid(raw: RawData) -> Grid:
    """Return the grid of a world: from its grid file if it has one, else the sample world's.

    The mid-layer pressure of a step file proves that a grid is that of the world. Raises KitError
    for a grid file that is damaged or of another grid, and if there is none.
    """
    step = first_step(raw)
    levels = read_levels(step) if step else None
    for path in raw.grid_files:
        if path.exists():
            grid = read_grid(path)
            if levels is not None:
                _require_match(grid, levels, path)
            return grid
    if levels is not None and levels.columns <= N_COLUMNS:
        grid = sample_grid(levels.columns)
        if levels.difference(grid) <= _CLOSE:
            return grid
    raise KitError("the grid file of these step files is missing", raw.grid_files[0], REMEDY)


def sample_grid(columns: int = N_COLUMNS) -> Grid:
    """Return the grid of a sample world of 1 to 384 columns, from its formulas: no file is read."""
    sphere = sample_world.cubed_sphere(columns)
    levels = sample_world.hybrid_levels()
    return Grid(
        source="the sample world's formulas",
        lat=sphere.lat,
        lon=sphere.lon,
        area=sphere.area,
        hyai=levels.hyai,
        hybi=levels.hybi,
        hyam=levels.hyam,
        hybm=levels.hybm,
        p0=REFERENCE_PRESSURE,
    )


def read_grid(path: Path) -> Grid:
    """Return the grid of a file in any form of netCDF. Raises KitError if it cannot be one."""
    with step_file.opened(path) as (header, array_of):
        values = {name: _variable(header, array_of, name, path) for name in _AXES}
    problem = _problem(values)
    if problem:
        raise KitError(f"is no grid of ClimSim: {problem}", path, REMEDY)
    p0 = float(values.pop("P0"))
    return Grid(source=path.name, p0=p0, **values)


def _variable(header: Header, array_of: ArrayOf, name: str, path: Path) -> np.ndarray:
    if name not in header.variables:
        raise KitError(f"is no grid of ClimSim: the variable {name} is missing", path, REMEDY)
    stored = step_file.arranged(header.variables[name], array_of(name), _AXES[name], path)
    if np.dtype(stored.dtype).kind not in "fiu":
        raise KitError(f"is no grid of ClimSim: {name} holds no numbers", path, REMEDY)
    return np.array(stored, dtype=np.float64)


def _problem(values: Dict[str, np.ndarray]) -> str:
    """Return what is wrong with the variables of a grid file, "" if nothing is."""
    for name, array in values.items():
        if not np.isfinite(array).all() or (np.abs(array) > 1e15).any():
            return f"{name} holds what is no number"
    lengths = {name: len(values[name]) for name, axes in _AXES.items() if axes}
    levels = {
        LEVELS + (name[-1] == "i") - length for name, length in lengths.items() if "hy" in name
    }
    if levels != {0}:
        return f"it has {lengths['hyam']} levels and {lengths['hyai']} interfaces, not 60 and 61"
    if not 5e4 < values["P0"] < 2e5:
        return f"P0 is {float(values['P0']):g}, no pressure in Pa"
    lat = values["lat"]
    if not len(lat) or np.abs(lat).max() > 90 or np.abs(values["lon"]).max() > 360:
        return "lat or lon lie outside the sphere"
    if np.abs(lat).max() <= np.pi / 2 and np.abs(values["lon"]).max() <= 2 * np.pi:
        return "lat and lon are in radians, not in degrees"
    if not (values["area"] > 0).all():
        return "area is not above 0"
    interfaces = values["hyai"] + values["hybi"]
    middles = values["hyam"] + values["hybm"]
    if not (np.diff(interfaces) > 0).all():
        return "its interfaces do not go down from the model top"
    if not ((interfaces[:-1] <= middles) & (middles <= interfaces[1:])).all():
        return "a level lies outside its interfaces"
    return ""


def _require_match(grid: Grid, levels: StepLevels, path: Path) -> None:
    if grid.columns != levels.columns:
        what = f"has {grid.columns} columns, the step files have {levels.columns}"
        raise KitError(f"is the grid of other data: it {what}", path, REMEDY)
    difference = levels.difference(grid)
    if difference > _CLOSE:
        what = f"is the grid of other data: its levels are up to {100 * difference:.2g} % off those"
        raise KitError(f"{what} of {levels.path.name}", path, REMEDY)
