"""ClimSim's metrics per target and per variable, and Kaggle's R2 beside them."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from leapkit.climate.energy_units import (
    TARGET_UNITS,
    VARIABLE_OF_TARGET,
    VARIABLE_UNITS,
    VARIABLES,
)
from leapkit.climate.errors import GroupedErrors
from leapkit.climate.grid import Grid
from leapkit.climate.results import ScoreTable
from leapkit.core.columns import PREDICTED, TARGETS, ZERO, kaggle_positions


def target_scores(energy: GroupedErrors, raw: GroupedErrors, grid: Grid) -> ScoreTable:
    """Return the metrics of the 368 targets, in Kaggle order.

    energy  errors per grid column (C, 368) in W/m2
    raw     errors per grid column (C, 368 or more) in raw units

    Source: docs/reference/evaluation.md, "Scores", with the weight a / mean(a) of "Energy unit".
    Each is taken per grid column over time, and then averaged over the columns that have rows.
    """
    present = energy.weight > 0
    area = grid.area_weights[present, None]
    r2 = energy.r2()[energy.rows > 1]
    return ScoreTable(
        names=TARGETS,
        units=TARGET_UNITS,
        mae=_mean(area * energy.mae()[present]),
        rmse=_mean(area * energy.rmse()[present]),
        bias=_mean(area * energy.bias()[present]),
        r2=_mean(r2),
        r2_clipped=_mean(np.maximum(r2, 0)),
        kaggle_r2=kaggle_r2(raw),
    )


def kaggle_r2(raw: GroupedErrors) -> np.ndarray:
    """Return R2 over all rows in raw units, (368,), as `leapkit.data.score.submission_score`.

    The 60 targets that Kaggle multiplies by 0 count as 1.
    """
    everything = raw.pooled(np.zeros(len(raw.rows), dtype=int), 1)
    r2: np.ndarray = everything.r2()[0, : len(TARGETS)]
    r2[kaggle_positions(ZERO)] = 1.0
    return r2


def kaggle_means(r2: np.ndarray) -> Tuple[float, float]:
    """Return mean R2 of the 368 targets, and of the 292 predicted ones clipped at 0 from below."""
    predicted = r2[kaggle_positions(PREDICTED)]
    return float(r2.mean()), float(np.maximum(predicted, 0).mean())


def variable_scores(targets: ScoreTable) -> ScoreTable:
    """Return the metrics of the 14 variables: means over the levels of a profile, as ClimSim."""
    return ScoreTable(
        VARIABLES,
        VARIABLE_UNITS,
        *(
            by_variable(getattr(targets, name))
            for name in ("mae", "rmse", "bias", "r2", "r2_clipped", "kaggle_r2")
        ),
    )


def by_variable(values: np.ndarray) -> np.ndarray:
    """Return means over levels, (..., 14), of the values of targets (..., 368)."""
    variable = np.array(VARIABLE_OF_TARGET)
    return np.stack(
        [values[..., variable == index].mean(axis=-1) for index in range(len(VARIABLES))], axis=-1
    )


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over columns, NaN where there is none."""
    return values.mean(axis=0) if len(values) else np.full(values.shape[1], np.nan)
