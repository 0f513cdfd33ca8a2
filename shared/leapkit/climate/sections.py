"""Errors by latitude and pressure, and maps of the grid columns."""

from __future__ import annotations

from typing import Dict

import numpy as np

from leapkit.climate.diagnostics import DIAGNOSTICS
from leapkit.climate.errors import GroupedErrors
from leapkit.climate.grid import Grid, layer_pressure
from leapkit.climate.regions import latitude_bins
from leapkit.climate.results import ColumnMap, ZonalSection
from leapkit.core.columns import LEVELS, OUTPUT_SCALARS, TARGETS, TENDENCY_PROFILES

# The grid of ne4 has rows of columns some 10 degrees apart; each of these bins holds some.
LATITUDE_EDGES: np.ndarray = np.linspace(-90.0, 90.0, 19)
MAPPED = (*OUTPUT_SCALARS, *DIAGNOSTICS)
_FIRST_MAPPED = len(TARGETS) - len(OUTPUT_SCALARS)


def zonal_sections(
    raw: GroupedErrors, ps: GroupedErrors, grid: Grid, edges: np.ndarray = LATITUDE_EDGES
) -> Dict[str, ZonalSection]:
    """Return the section of each profile's tendency, by variable, in raw units.

    raw    errors per grid column (C, 368 or more)
    ps     surface pressure per grid column in Pa, (C, 1), as its truth
    edges  of the bins in degrees north, rising

    Source: docs/reference/evaluation.md, "Zonal sections".
    """
    bins = latitude_bins(grid.lat, edges)
    pools = raw.pooled(bins, len(edges) - 1, grid.area)
    mean_r2 = _bin_means(raw.r2(), bins, len(edges) - 1, grid.area)
    bias = pools.bias()
    pooled_r2 = pools.r2()
    truth = np.where(pools.weight[:, None] > 0, pools.truth_mean, np.nan)
    surface = ps.pooled(bins, len(edges) - 1, grid.area)
    surface_pressure = np.where(surface.weight > 0, surface.truth_mean[:, 0], np.nan)
    pressure = layer_pressure(grid, surface_pressure) / 100.0  # linear in ps, as its mean
    sections = {}
    for index, (variable, unit) in enumerate(TENDENCY_PROFILES):
        part = (slice(None), slice(index * LEVELS, (index + 1) * LEVELS))
        sections[variable] = ZonalSection(
            variable=variable,
            unit=unit,
            latitude=0.5 * (edges[1:] + edges[:-1]),
            pressure=pressure,
            r2=mean_r2[part],
            r2_pooled=pooled_r2[part],
            bias=bias[part],
            truth_mean=truth[part],
        )
    return sections


def _bin_means(values: np.ndarray, bins: np.ndarray, count: int, area: np.ndarray) -> np.ndarray:
    """Return the area-weighted means (count, Q) of columns (C, Q) without those that are NaN."""
    known = ~np.isnan(values).all(axis=1)
    means = np.full((count, values.shape[1]), np.nan)
    for index in range(count):
        members = known & (bins == index)
        if members.any():
            means[index] = area[members] @ values[members] / area[members].sum()
    return means


def column_maps(raw: GroupedErrors) -> Dict[str, ColumnMap]:
    """Return the maps of the eight fluxes and of the diagnostics, by quantity, in raw units.

    raw  errors per grid column (C, 368 targets and the diagnostics)
    """
    known = raw.weight > 0
    maps = {}
    bias, rmse, r2 = raw.bias(), raw.rmse(), raw.r2()
    for position, (quantity, unit) in enumerate(MAPPED, _FIRST_MAPPED):
        maps[quantity] = ColumnMap(
            quantity=quantity,
            unit=unit,
            truth_mean=np.where(known, raw.truth_mean[:, position], np.nan),
            prediction_mean=np.where(known, raw.prediction_mean[:, position], np.nan),
            bias=bias[:, position],
            rmse=rmse[:, position],
            r2=r2[:, position],
        )
    return maps
