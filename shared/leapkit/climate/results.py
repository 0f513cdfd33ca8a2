"""What an evaluation gives: arrays with names and units, ready to be drawn or written."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, Tuple

import numpy as np


@dataclass(frozen=True)
class ScoreTable:
    """ClimSim's metrics of targets or variables, float64 (T,); NaN where a number is undefined.

    units       of mae, rmse and bias
    mae, rmse, bias  per grid column over time, area-weighted, then averaged over the columns
    r2          per grid column over time, then averaged over the columns
    r2_clipped  the same, with each column's R2 at least 0: one column cannot spoil a level
    kaggle_r2   over all rows, in raw units, as the competition counts it
    """

    names: Tuple[str, ...]
    units: Tuple[str, ...]
    mae: np.ndarray
    rmse: np.ndarray
    bias: np.ndarray
    r2: np.ndarray
    r2_clipped: np.ndarray
    kaggle_r2: np.ndarray


@dataclass(frozen=True)
class ZonalSection:
    """A profile's tendency by latitude and level, (B, 60); NaN for a bin without columns.

    variable, unit        such as ptend_t in K/s
    latitude              mid of the bins in degrees north, (B,), from south to north
    pressure              mean mid-layer pressure of each bin, (B, 60) in hPa
    r2                    per grid column over time, then the area-weighted mean of the bin
    r2_pooled             of all rows of the bin in one, area-weighted
    bias                  area-weighted time mean of prediction - truth
    truth_mean            area-weighted time mean
    """

    variable: str
    unit: str
    latitude: np.ndarray
    pressure: np.ndarray
    r2: np.ndarray
    r2_pooled: np.ndarray
    bias: np.ndarray
    truth_mean: np.ndarray


@dataclass(frozen=True)
class ColumnMap:
    """A quantity per grid column over time, (C,); NaN for a column without rows."""

    quantity: str
    unit: str
    truth_mean: np.ndarray
    prediction_mean: np.ndarray
    bias: np.ndarray
    rmse: np.ndarray
    r2: np.ndarray


@dataclass(frozen=True)
class PrecipitationPdf:
    """The distribution of PRECC in a region, weighted by area.

    edges              of the bins in mm/day, (B + 1,), equal in logarithm
    truth, prediction  share of area and time in each bin by its width, (B,) in 1/(mm/day)
    ..._dry            share below the first edge; the prediction's holds negative rain
    ..._beyond         share above the last edge
    """

    region: str
    edges: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    truth_dry: float
    prediction_dry: float
    truth_beyond: float
    prediction_beyond: float


@dataclass(frozen=True)
class RegionScores:
    """Scores of the rows of a month in a region, weighted by area; month "" is all of them.

    variables  names of the 14 variables, then those of the diagnostics
    units      of rmse and bias: raw units, no energy unit
    r2, rmse, bias  of a profile: the mean over its 60 levels; R2 of a level counts as at least 0
    """

    region: str
    month: str
    rows: int
    variables: Tuple[str, ...]
    units: Tuple[str, ...]
    r2: np.ndarray
    rmse: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Budget:
    """A diagnostic of a month in a region, weighted by area; month "" is all of them.

    quantity, unit    one of diagnostics.DIAGNOSTICS
    ..._mean, ..._rms of the diagnostic over rows, of the truth and of the prediction
    error_mean, error_rms  of prediction - truth: what the prediction alone does not close
    """

    quantity: str
    unit: str
    region: str
    month: str
    truth_mean: float
    truth_rms: float
    prediction_mean: float
    prediction_rms: float
    error_mean: float
    error_rms: float


@dataclass(frozen=True)
class EvaluationResult:
    """All numbers of one network's (or blend's) predictions against the truth.

    rows, columns     how many rows, of how many different grid columns
    months            that the rows come from, sorted
    grid_source       where latitudes, areas and levels come from
    latitude, longitude  of the grid columns in degrees, (C,)
    kaggle            mean R2 of the 368 targets as Kaggle counts them
    kaggle_predicted  mean R2 of the 292 targets that networks predict, each at least 0
    targets           (368,) in Kaggle order; variables (14,)
    sections          by profile: ptend_t, ptend_q0001, ...
    maps              by quantity: the eight scalars, the diagnostics
    precipitation     by region
    regions           for each month, "" first, each of regions.REGIONS
    budgets           the same for each diagnostic
    """

    rows: int
    columns: int
    months: Tuple[str, ...]
    grid_source: str
    latitude: np.ndarray
    longitude: np.ndarray
    kaggle: float
    kaggle_predicted: float
    targets: ScoreTable
    variables: ScoreTable
    sections: Dict[str, ZonalSection]
    maps: Dict[str, ColumnMap]
    precipitation: Dict[str, PrecipitationPdf]
    regions: Tuple[RegionScores, ...]
    budgets: Tuple[Budget, ...]


def plain(value: Any) -> Any:
    """Return a result as what JSON holds: dicts, lists, strings and numbers, NaN as None."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
