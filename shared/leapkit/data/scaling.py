"""The two families' statistics and the exact arithmetic of standardising.

Facts: docs/reference/data_pipeline.md, "Statistics" and "Standardising". Everything here is float64
until the one cast to float32 that a network is given. The families are never mixed: their floors
differ by a factor of 100 on dead variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from leapkit.core.columns import (
    INPUTS,
    INPUTS_TO_NETWORK,
    LINEAR,
    TARGETS,
    TARGETS_TO_KAGGLE,
    TARGETS_TO_NETWORK,
    ZERO,
    kaggle_positions,
)
from leapkit.core.errors import KitError
from leapkit.core.files import read_json, write_json
from leapkit.data.kaggle_csv import read_old_weights
from leapkit.data.moments import Moments


@dataclass(frozen=True)
class Family:
    """How a family of members standardises.

    std_floor     what a smaller standard deviation is replaced by
    cast_inputs   dtype that mean and std of inputs are rounded to before use (then float64 again)
    kept_float64  inputs that stay float64 when test.csv is rounded to float32: tiny cloud liquid
    first_rows    rows of train.csv that its statistics are of, whole chunks; None for all
    """

    name: str
    std_floor: float
    cast_inputs: str
    kept_float64: Tuple[str, ...]
    first_rows: Optional[int] = None

    def __post_init__(self) -> None:
        unknown = set(self.kept_float64) - set(INPUTS)
        if unknown or self.cast_inputs not in ("float32", "float64") or not self.std_floor > 0:
            raise ValueError(f"family {self.name}: bad floor, cast or variables {sorted(unknown)}")
        if self.first_rows is not None and (self.first_rows <= 0 or self.first_rows % CHUNK_ROWS):
            raise ValueError(
                f"family {self.name}: {self.first_rows} rows are not a whole number of chunks"
            )


# Rows of train.csv whose moments are taken together: a divisor of the team's chunks of 625,000, of
# which fdzm used 15.
CHUNK_ROWS = 250
FAMILIES: Dict[str, Family] = {
    "adam": Family("adam", 1e-10, "float64", tuple(f"state_q0002_{k}" for k in range(12, 29))),
    "fdzm": Family(
        "fdzm", 1e-8, "float32", tuple(f"state_q0002_{k}" for k in range(12, 28)), 15 * 625_000
    ),
}
# Targets whose old weight is 0: the zero ones, and three levels that Kaggle ablated.
ABLATED: Tuple[str, ...] = ZERO + tuple(f"ptend_q0002_{k}" for k in (12, 13, 14))
# Lists, as numpy takes a tuple for one index per axis.
_INPUTS = list(INPUTS_TO_NETWORK)
_TARGETS = list(TARGETS_TO_NETWORK)
_REMEDY = "run `make fetch WHAT=statistics`, or make them with `make statistics` or `make split`"
WEIGHT_FLOOR = 1e-15  # a target's weight is 1 / max(std, WEIGHT_FLOOR)


@dataclass(frozen=True)
class Scaling:
    """Mean and std of the inputs and of the weighted targets, and the weights.

    All float64, Kaggle order.
    """

    family: Family
    input_mean: np.ndarray  # (556,)
    input_std: np.ndarray  # (556,)
    target_mean: np.ndarray  # (368,) of y * weight
    target_std: np.ndarray  # (368,) of y * weight
    weight: np.ndarray  # (368,)

    def scaled_inputs(self, x: np.ndarray) -> np.ndarray:
        """x (n, 556) float64 raw, Kaggle order -> (n, 556) float32 standardised, network order."""
        z: np.ndarray = ((x - self.input_mean) / self.input_std).astype(np.float32)
        return z[:, INPUTS_TO_NETWORK]

    def scaled_test_inputs(self, x: np.ndarray) -> np.ndarray:
        """Standardise as scaled_inputs, after the published rounding of test.csv to float32.

        The family's kept_float64 inputs are not rounded.
        """
        rounded = x.astype(np.float32).astype(np.float64)
        kept = [INPUTS.index(name) for name in self.family.kept_float64]
        rounded[:, kept] = x[:, kept]
        return self.scaled_inputs(rounded)

    def scaled_targets(self, y: np.ndarray) -> np.ndarray:
        """y (n, 368) float64 raw, Kaggle order -> (n, 368) float32 standardised, network order."""
        z: np.ndarray = ((y * self.weight - self.target_mean) / self.target_std).astype(np.float32)
        return z[:, TARGETS_TO_NETWORK]

    def standardise_by_level(
        self, x: np.ndarray, y: np.ndarray, inputs: np.ndarray, targets: np.ndarray
    ) -> None:
        """Standardise rows stored level by level, as in step files: x (556, n) and y (368, n).

        Writes into inputs (n, 556) and targets (n, 368) what scaled_inputs and scaled_targets give,
        the same bits at twice the speed.
        """
        z = x[_INPUTS]
        z -= self.input_mean[_INPUTS][:, None]
        z /= self.input_std[_INPUTS][:, None]
        inputs[...] = z.T
        z = y[_TARGETS]
        z *= self.weight[_TARGETS][:, None]
        z -= self.target_mean[_TARGETS][:, None]
        z /= self.target_std[_TARGETS][:, None]
        targets[...] = z.T

    def weighted(self, z: np.ndarray) -> np.ndarray:
        """z (n, 368) standardised, network order -> (n, 368) float64 y * weight, Kaggle order.

        The common unit of both families: affine in raw units, and of order one.
        """
        y = z[:, TARGETS_TO_KAGGLE].astype(np.float64)
        weighted: np.ndarray = y * self.target_std + self.target_mean
        return weighted

    def raw(self, z: np.ndarray, state_q0002: np.ndarray) -> np.ndarray:
        """Return submission values from network output and raw state_q0002_12..27.

        z (n, 368) float32 and state_q0002 (n, 16) float64 -> (n, 368) float64, Kaggle order,
        physical units: 0 in the 60 zero targets, -q/1200 in the 16 linear ones,
        (z * std + mean) / weight elsewhere (docs/reference/data_pipeline.md, "Submission values").
        """
        y = self.weighted(z)
        special = kaggle_positions(ZERO + LINEAR)
        weight = self.weight.copy()
        # Overwritten below; the old weight is 0 in 63 of them and must not divide.
        weight[special] = 1.0
        y /= weight
        y[:, kaggle_positions(ZERO)] = 0.0
        y[:, kaggle_positions(LINEAR)] = linear_tendency(state_q0002)
        return y


def linear_tendency(state_q0002: np.ndarray) -> np.ndarray:
    """Return ptend_q0002_12..27 (kg/kg/s) from raw state_q0002_12..27 (n, 16).

    The model removes this cloud water in one step of 1200 s.
    """
    return -state_q0002 / 1200


def load_scaling(folder: Path, family: str, weights: Path) -> Scaling:
    """Return the scaling from <folder>/{mean,std}.json (924 keys) and the CSV of old weights.

    Raises KitError for a missing or damaged file and for a weight that would divide by 0.
    """
    kind = FAMILIES[family]
    cast = np.dtype(kind.cast_inputs)
    cut = len(INPUTS)
    mean = _read_table(folder / "mean.json")
    std = _read_table(folder / "std.json")
    if (std <= 0).any():
        what = "holds a standard deviation that is not positive"
        raise KitError(what, folder / "std.json", _REMEDY)
    weight = read_old_weights(weights)
    dead = [TARGETS[k] for k in np.flatnonzero(weight == 0) if TARGETS[k] not in set(ABLATED)]
    if dead:
        what = f"the weight of {dead[0]} is 0, so a prediction of it has no raw value"
        raise KitError(what, weights, _REMEDY)
    return Scaling(
        kind,
        mean[:cut].astype(cast).astype(np.float64),
        std[:cut].astype(cast).astype(np.float64),
        mean[cut:],
        std[cut:],
        weight,
    )


def _read_table(path: Path) -> np.ndarray:
    """Return the (924,) numbers of a JSON table of the inputs and targets. Raises KitError."""
    table: Any = read_json(path, _REMEDY)
    names: Sequence[str] = INPUTS + TARGETS
    missing = [name for name in names if not isinstance(table, dict) or name not in table]
    if missing:
        raise KitError(f"lacks {missing[0]} ({len(missing)} are missing)", path, _REMEDY)
    wrong = [name for name in names if not isinstance(table[name], (int, float))]
    if wrong:
        raise KitError(f"the value of {wrong[0]} is not a number", path, _REMEDY)
    numbers = np.array([float(table[name]) for name in names])
    if not np.isfinite(numbers).all():
        raise KitError("holds a NaN or an infinity", path, _REMEDY)
    return numbers


def old_weights(targets: Moments) -> np.ndarray:
    """Return Kaggle's first weights from the moments of raw targets.

    1 / max(std, 1e-15), and 0 for ablated targets.
    """
    weight: np.ndarray = 1.0 / np.maximum(targets.std(), WEIGHT_FLOOR)
    weight[kaggle_positions(ABLATED)] = 0.0
    return weight


def scaling_tables(
    family: str, moments: Moments, weight: np.ndarray
) -> Dict[str, Dict[str, float]]:
    """Return the contents of mean.json and std.json of a family.

    moments  of the 924 raw inputs and targets
    """
    factor = np.concatenate([np.ones(len(INPUTS)), weight])
    names: Sequence[str] = INPUTS + TARGETS
    mean = moments.mean * factor + 0.0  # -0.0 where a weight is 0 becomes 0.0
    std = np.maximum(moments.std() * factor, FAMILIES[family].std_floor)
    return {
        "mean.json": dict(zip(names, mean.tolist())),
        "std.json": dict(zip(names, std.tolist())),
    }


def write_scaling(folder: Path, family: str, moments: Moments, weight: np.ndarray) -> None:
    """Write mean.json and std.json of a family."""
    for name, table in scaling_tables(family, moments, weight).items():
        write_json(folder / name, table)
