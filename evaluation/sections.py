"""Plots by latitude and pressure: R2 with the contours of 0.7 and 0.9, and the mean bias."""

from __future__ import annotations

import math
from typing import Any, List, Mapping, Optional, Sequence

from evaluation.drawing import DIVERGING, R2_SCALE, Plot, plot, titled
from evaluation.plots import clipped

DAY = 86400.0
# {variable: (factor, unit)} of a bias as it is drawn
UNIT_OF_BIAS = {"ptend_t": (DAY, "K/day"), "ptend_q0001": (1000 * DAY, "g/kg/day")}
# R2 that the field marks (climsim-kaggle-edition, `climsim3_offline.ipynb`), and their colours.
MARKED = ((0.7, "#f29f05"), (0.9, "#d7263d"))
_COLOUR_BAR = {"thickness": 10, "exponentformat": "power"}
Values = Sequence[Sequence[Optional[float]]]


def r2(section: Mapping[str, Any], score: str) -> Plot:
    """Draw a section of R2.

    score  r2: per column over time, the mean of the bin; r2_pooled: of all rows of the bin
    """
    place = {
        "type": "contour",
        "z": [[clipped(value) for value in line] for line in _by_level(section[score])],
        **_place_of(section),
    }
    filled = {
        **place,
        "zmin": 0,
        "zmax": 1,
        "colorscale": R2_SCALE,
        "contours": {"start": 0, "end": 1, "size": 0.1, "showlines": False},
        "colorbar": {**_COLOUR_BAR, "title": {"text": "R2"}},
        "hovertemplate": "%{text}, %{y:.0f} hPa: %{z:.3f}<extra></extra>",
    }
    lines = [
        {
            **place,
            "contours": {"start": level, "end": level, "size": 1, "coloring": "none"},
            "line": {"color": colour, "width": 2.5},
            "showscale": False,
            "hoverinfo": "skip",
        }
        for level, colour in MARKED
    ]
    return _in_atmosphere([filled, *lines])


def bias(section: Mapping[str, Any]) -> Plot:
    """Draw a section of the mean of prediction - truth."""
    factor, unit = UNIT_OF_BIAS[section["variable"]]
    values = [
        [None if value is None else value * factor for value in line]
        for line in _by_level(section["bias"])
    ]
    largest = _almost_largest(values)
    contour = {
        "type": "contour",
        "z": values,
        **_place_of(section),
        "zmin": -largest,
        "zmax": largest,
        "colorscale": DIVERGING,
        "contours": {"start": -largest, "end": largest, "size": largest / 8, "showlines": False},
        "colorbar": {**_COLOUR_BAR, "title": {"text": unit}},
        "hovertemplate": f"%{{text}}, %{{y:.0f}} hPa: %{{z:.3g}} {unit}<extra></extra>",
    }
    return _in_atmosphere([contour])


def _place_of(section: Mapping[str, Any]) -> Plot:
    """Return where a section's values lie: over sine of latitude, as area does, and pressure."""
    pressure = pressure_of(section)
    names = [degrees(latitude) for latitude in section["latitude"]]
    return {
        "x": [_sine(latitude) for latitude in section["latitude"]],
        "y": pressure,
        "text": [names] * len(pressure),
    }


def _sine(latitude: float) -> float:
    return round(math.sin(math.radians(latitude)), 5)


def degrees(latitude: float) -> str:
    """Return a latitude as a reader writes it: 30°S."""
    return f"{abs(latitude):.0f}°" + ("S" if latitude < 0 else "N" if latitude > 0 else "")


def pressure_of(section: Mapping[str, Any]) -> List[float]:
    """Return the mean pressure of each level in hPa, (60,)."""
    known = [line for line in section["pressure"] if line[0] is not None]
    return [sum(of_level) / len(known) for of_level in zip(*known)]


def _by_level(values: Values) -> List[List[Optional[float]]]:
    """Turn (latitude, level) into (level, latitude), as Plotly takes it."""
    return [list(line) for line in zip(*values)]


def _almost_largest(values: Values) -> float:
    """Return what one in fifty exceeds: a single cell does not bleach all others."""
    sizes = sorted(abs(value) for line in values for value in line if value is not None)
    return (sizes[int(0.98 * (len(sizes) - 1))] if sizes else 0.0) or 1.0


def _in_atmosphere(traces: Sequence[Plot]) -> Plot:
    """Return a plot of latitude and pressure, the ground below."""
    latitudes = (-60, -40, -20, 0, 20, 40, 60)
    x = {
        **titled("latitude"),
        "tickvals": [_sine(latitude) for latitude in latitudes],
        "ticktext": [degrees(latitude) for latitude in latitudes],
        "range": [_sine(-85), _sine(85)],
        "zeroline": False,
    }
    y = {
        **titled("pressure, hPa"),
        "autorange": "reversed",
        "tickvals": [0, 200, 400, 600, 800, 1000],
    }
    return plot(400, traces, x, y)
