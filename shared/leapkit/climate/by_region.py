"""Scores and budgets by month and by region."""

from __future__ import annotations

from typing import Dict, Iterator, List, Tuple

import numpy as np

from leapkit.climate.diagnostics import DIAGNOSTICS
from leapkit.climate.energy_units import VARIABLES
from leapkit.climate.errors import GroupedErrors
from leapkit.climate.regions import CELLS, REGIONS, in_region
from leapkit.climate.results import Budget, RegionScores
from leapkit.climate.scores import by_variable
from leapkit.core.columns import LEVELS, TARGETS, TENDENCY_PROFILES, UNITS

ALL_MONTHS = ""
_PROFILES = LEVELS * len(TENDENCY_PROFILES)  # targets on levels
_NAMES = (*VARIABLES, *(name for name, _ in DIAGNOSTICS))
_UNITS = (*(UNITS[name] for name in VARIABLES), *(unit for _, unit in DIAGNOSTICS))


def all_months(months: Dict[str, GroupedErrors]) -> Dict[str, GroupedErrors]:
    """Return the cells of all months together under the name "", then those of each month."""
    total = GroupedErrors(CELLS, next(iter(months.values())).truth_mean.shape[1])
    for _, cells in sorted(months.items()):
        total.merge(cells)
    return {ALL_MONTHS: total, **{month: months[month] for month in sorted(months)}}


def _pools(months: Dict[str, GroupedErrors]) -> Iterator[Tuple[str, str, GroupedErrors]]:
    """Yield (month, region, errors of one group) of every region that has rows."""
    for month, cells in all_months(months).items():
        for region in REGIONS:
            pool = cells.pooled(np.where(in_region(region), 0, -1), 1)
            if pool.rows[0]:
                yield month, region, pool


def region_scores(months: Dict[str, GroupedErrors]) -> Tuple[RegionScores, ...]:
    """Return the scores of each month and region that has rows, weighted by area.

    months  errors by month and cell, (CELLS, 368 targets and the diagnostics) in raw units

    R2 is that of all rows of the region about their common mean. That of a profile is the mean
    over its levels, each at least 0: levels where the truth hardly varies would drown the others.
    """
    found: List[RegionScores] = []
    for month, region, pool in _pools(months):
        r2 = pool.r2()[0]
        r2[:_PROFILES] = np.maximum(r2[:_PROFILES], 0)
        found.append(
            RegionScores(
                region=region,
                month=month,
                rows=int(pool.rows[0]),
                variables=_NAMES,
                units=_UNITS,
                r2=_by_variable(r2),
                rmse=_by_variable(pool.rmse()[0]),
                bias=_by_variable(pool.bias()[0]),
            )
        )
    return tuple(found)


def _by_variable(values: np.ndarray) -> np.ndarray:
    """Return values of targets and diagnostics as those of variables and diagnostics, (21,)."""
    return np.concatenate([by_variable(values[: len(TARGETS)]), values[len(TARGETS) :]])


def budgets(months: Dict[str, GroupedErrors]) -> Tuple[Budget, ...]:
    """Return the diagnostics of each month and region that has rows, weighted by area."""
    return tuple(
        Budget(
            quantity=quantity,
            unit=unit,
            region=region,
            month=month,
            truth_mean=float(pool.truth_mean[0, position]),
            truth_rms=float(pool.truth_rms()[0, position]),
            prediction_mean=float(pool.prediction_mean[0, position]),
            prediction_rms=float(pool.prediction_rms()[0, position]),
            error_mean=float(pool.bias()[0, position]),
            error_rms=float(pool.rmse()[0, position]),
        )
        for month, region, pool in _pools(months)
        for position, (quantity, unit) in enumerate(DIAGNOSTICS, len(TARGETS))
    )
