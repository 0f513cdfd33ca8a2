"""Maps without a map service: each cell of a raster has the colour of its nearest grid column."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from evaluation.drawing import DIVERGING, MEAN_SCALE, R2_SCALE, Plot, packed, plot

Line = List[Optional[float]]
_DEGREES = 2.5  # of a cell: a column of ClimSim's grid has about 11
RASTER_LON = np.arange(-180 + _DEGREES / 2, 180, _DEGREES)
RASTER_LAT = np.arange(-90 + _DEGREES / 2, 90, _DEGREES)


def nearest_columns(latitude: Sequence[float], longitude: Sequence[float]) -> np.ndarray:
    """Return the index of the grid column nearest to each cell, (72, 144)."""
    cells = _on_sphere(*np.meshgrid(RASTER_LAT, RASTER_LON, indexing="ij"))  # (72, 144, 3)
    columns = _on_sphere(np.asarray(latitude), np.asarray(longitude))  # (C, 3)
    nearest: np.ndarray = np.argmax(cells @ columns.T, axis=-1)
    return nearest


def _on_sphere(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Return unit vectors (..., 3) of points in degrees."""
    lat, lon = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


class Atlas:
    """The maps of one grid, with the coasts of its own land."""

    def __init__(self, result: Mapping[str, Any], land: Sequence[Optional[float]]) -> None:
        self._nearest = nearest_columns(result["latitude"], result["longitude"])
        self._coasts = _coasts(_numbers(land)[self._nearest] > 0.5)

    def mean(
        self, values: Sequence[Optional[float]], unit: str, limits: Tuple[float, float]
    ) -> Plot:
        """Draw a mean, in shades from the lower limit on."""
        return self._draw(values, unit, MEAN_SCALE, limits)

    def bias(self, values: Sequence[Optional[float]], unit: str) -> Plot:
        """Draw a difference, white where it is 0."""
        sizes = np.abs(_numbers(values))
        largest = float(np.nanpercentile(sizes, 98)) if np.isfinite(sizes).any() else 0.0
        return self._draw(values, unit, DIVERGING, (-(largest or 1.0), largest or 1.0))

    def r2(self, values: Sequence[Optional[float]]) -> Plot:
        """Draw R2 from 0 to 1."""
        return self._draw(values, "R2", R2_SCALE, (0.0, 1.0))

    def _draw(
        self,
        values: Sequence[Optional[float]],
        unit: str,
        scale: Any,
        limits: Tuple[float, float],
    ) -> Plot:
        heat = {
            "type": "heatmap",
            "z": packed(_numbers(values)[self._nearest]),
            "x": packed(RASTER_LON),
            "y": packed(RASTER_LAT),
            "zmin": limits[0],
            "zmax": limits[1],
            "colorscale": scale,
            "colorbar": {
                "title": {"text": unit, "side": "right"},
                "orientation": "h",
                "thickness": 8,
                "y": -0.12,
                "yanchor": "top",
                "exponentformat": "power",
            },
            "hovertemplate": f"%{{y:.0f}}°, %{{x:.0f}}°: %{{z:.4g}} {unit}<extra></extra>",
        }
        coasts = {
            "type": "scatter",
            "mode": "lines",
            "x": self._coasts[0],
            "y": self._coasts[1],
            "line": {"color": "#1d2733", "width": 1},
            "hoverinfo": "skip",
        }
        x = {
            "range": [-180, 180],
            "tickvals": [-120, -60, 0, 60, 120],
            "ticktext": ["120°W", "60°W", "0°", "60°E", "120°E"],
        }
        y = {
            "range": [-90, 90],
            "tickvals": [-60, -30, 0, 30, 60],
            "ticktext": ["60°S", "30°S", "0°", "30°N", "60°N"],
        }
        bare = {"showgrid": False, "zeroline": False}
        return plot(320, [heat, coasts], {**x, **bare}, {**y, **bare})


def limits_of(*values: Sequence[Optional[float]]) -> Tuple[float, float]:
    """Return the range that the maps of a truth and its prediction share."""
    every = np.concatenate([_numbers(each) for each in values])
    if not np.isfinite(every).any():
        return 0.0, 1.0
    low, high = np.nanpercentile(every, [2, 98])
    return float(low), float(high if high > low else low + 1)


def _numbers(values: Sequence[Optional[float]]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _coasts(land: np.ndarray) -> Tuple[Line, Line]:
    """Return a line (x, y) along the edges between land and sea in a raster; None lifts the pen."""
    half = _DEGREES / 2
    x: Line = []
    y: Line = []
    for row, column in np.argwhere(land[:, 1:] != land[:, :-1]):
        east, middle = float(RASTER_LON[column] + half), float(RASTER_LAT[row])
        x += [east, east, None]
        y += [middle - half, middle + half, None]
    for row, column in np.argwhere(land[1:] != land[:-1]):
        north, middle = float(RASTER_LAT[row] + half), float(RASTER_LON[column])
        x += [middle - half, middle + half, None]
        y += [north, north, None]
    return x, y
