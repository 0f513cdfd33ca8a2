"""The grid of a world: where its columns are, how large they are, and how thick their layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapkit.climate.constants import GRAVITY


@dataclass(frozen=True)
class Grid:
    """The columns and the hybrid levels of a world, float64; level 0 is the model top.

    source      where the numbers come from, for a report
    lat, lon    of the centres of the columns in degrees, (C,)
    area        of the columns in steradians, (C,); only their ratios count
    hyai, hybi  of the 61 interfaces and hyam, hybm of the 60 middles: p = hya p0 + hyb ps
    p0          in Pa
    """

    source: str
    lat: np.ndarray
    lon: np.ndarray
    area: np.ndarray
    hyai: np.ndarray
    hybi: np.ndarray
    hyam: np.ndarray
    hybm: np.ndarray
    p0: float

    @property
    def columns(self) -> int:
        return len(self.lat)

    @property
    def area_weights(self) -> np.ndarray:
        """Return a / mean(a), (C,), ClimSim's weights of the columns."""
        weights: np.ndarray = self.area / self.area.mean()
        return weights


def layer_pressure(grid: Grid, ps: np.ndarray) -> np.ndarray:
    """Return mid-layer pressure hyam p0 + hybm ps in Pa, (n, 60), of ps (n,) in Pa."""
    pressure: np.ndarray = grid.hyam * grid.p0 + np.multiply.outer(ps, grid.hybm)
    return pressure


def layer_thickness(grid: Grid, ps: np.ndarray) -> np.ndarray:
    """Return dp in Pa, (n, 60), between the interfaces hyai p0 + hybi ps; ps (n,) in Pa.

    Source: docs/reference/evaluation.md, "Energy unit".
    """
    thickness: np.ndarray = np.diff(grid.hyai) * grid.p0 + np.multiply.outer(ps, np.diff(grid.hybi))
    return thickness


def layer_mass(grid: Grid, ps: np.ndarray) -> np.ndarray:
    """Return dp/g in kg/m2, (n, 60): what weights the levels of a column; ps (n,) in Pa."""
    return layer_thickness(grid, ps) / GRAVITY
