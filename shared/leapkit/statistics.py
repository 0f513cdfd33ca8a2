"""The two families' statistics and the exact arithmetic around them (reference/data_pipeline.md section 3).

Everything here is float64 until the one cast to float32 that a network is given. The families are never mixed:
their floors differ by a factor of 100 on dead columns.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, Sequence, Tuple

import numpy as np

from leapkit.columns import (
    INPUTS,
    INPUTS_TO_NETWORK,
    LINEAR,
    TARGETS,
    TARGETS_TO_KAGGLE,
    TARGETS_TO_NETWORK,
    ZERO,
    kaggle_positions,
)
from leapkit.errors import KitError
from leapkit.files import read_json, write_json
from leapkit.kaggle import read_old_weights


@dataclass(frozen=True)
class Family:
    """How a family of members standardises.

    std_floor     what a smaller standard deviation is replaced by
    cast_inputs   dtype that mean and std of inputs are rounded to before use (then promoted to float64)
    kept_float64  inputs that stay float64 where test.csv is rounded to float32: the tiny cloud-liquid levels
    """

    name: str
    std_floor: float
    cast_inputs: str
    kept_float64: Tuple[str, ...]

    def __post_init__(self) -> None:
        unknown = set(self.kept_float64) - set(INPUTS)
        if unknown or self.cast_inputs not in ("float32", "float64") or not self.std_floor > 0:
            raise ValueError("family %s: bad floor, cast or columns %s" % (self.name, sorted(unknown)))


FAMILIES: Dict[str, Family] = {
    "adam": Family("adam", 1e-10, "float64", tuple("state_q0002_%d" % k for k in range(12, 29))),
    "fdzm": Family("fdzm", 1e-8, "float32", tuple("state_q0002_%d" % k for k in range(12, 28))),
}
# Targets whose old weight is 0: the zero columns, and three levels of cloud liquid that Kaggle had ablated.
ABLATED: Tuple[str, ...] = ZERO + tuple("ptend_q0002_%d" % k for k in (12, 13, 14))
WEIGHT_FLOOR = 1e-15  # a target's weight is 1 / max(std, WEIGHT_FLOOR)


@dataclass(frozen=True)
class Statistics:
    """Mean and std of 556 inputs and of 368 weighted targets, and the weights: float64, Kaggle order."""

    family: Family
    input_mean: np.ndarray   # (556,)
    input_std: np.ndarray    # (556,)
    target_mean: np.ndarray  # (368,) of y * weight
    target_std: np.ndarray   # (368,) of y * weight
    weight: np.ndarray       # (368,)

    def train_inputs(self, x: np.ndarray) -> np.ndarray:
        """x (n, 556) float64 raw, Kaggle order -> (n, 556) float32 standardised, network order."""
        z = ((x - self.input_mean) / self.input_std).astype(np.float32)
        return z[:, INPUTS_TO_NETWORK]

    def test_inputs(self, x: np.ndarray) -> np.ndarray:
        """As train_inputs, after the published rounding of test.csv to float32 (but for the kept columns)."""
        rounded = x.astype(np.float32).astype(np.float64)
        kept = [INPUTS.index(name) for name in self.family.kept_float64]
        rounded[:, kept] = x[:, kept]
        return self.train_inputs(rounded)

    def targets(self, y: np.ndarray) -> np.ndarray:
        """y (n, 368) float64 raw, Kaggle order -> (n, 368) float32 standardised, network order."""
        z = ((y * self.weight - self.target_mean) / self.target_std).astype(np.float32)
        return z[:, TARGETS_TO_NETWORK]

    def weighted(self, z: np.ndarray) -> np.ndarray:
        """z (n, 368) standardised, network order -> (n, 368) float64 y * weight, Kaggle order.

        The common unit of both families: affine in raw units, and of order one.
        """
        return z[:, TARGETS_TO_KAGGLE].astype(np.float64) * self.target_std + self.target_mean

    def raw(self, z: np.ndarray, state_q0002: np.ndarray) -> np.ndarray:
        """z (n, 368) float32 network output and raw state_q0002_12..27 (n, 16) -> the submission's values.

        (n, 368) float64, Kaggle order, physical units: 0 in the 60 zero columns, -q/1200 in the 16 linear ones,
        (z * std + mean) / weight elsewhere (reference/data_pipeline.md section 4).
        """
        y = self.weighted(z)
        special = kaggle_positions(ZERO + LINEAR)
        weight = self.weight.copy()
        weight[special] = 1.0  # overwritten below; the old weight is 0 in 63 of them and must not divide
        y /= weight
        y[:, kaggle_positions(ZERO)] = 0.0
        y[:, kaggle_positions(LINEAR)] = linear_tendency(state_q0002)
        return y


def linear_tendency(state_q0002: np.ndarray) -> np.ndarray:
    """ptend_q0002_12..27 (kg/kg/s) from raw state_q0002_12..27 (n, 16): the model removes this cloud in one step."""
    return -state_q0002 / 1200


def load(folder: Path, family: str, weights: Path) -> Statistics:
    """Statistics from <folder>/{mean,std}.json (924 keys) and the old weights' CSV. Raises KitError."""
    remedy = "get the team's published statistics (README, 'Real data') or make them with the split maker"
    values = []
    for name in ("mean.json", "std.json"):
        table = read_json(folder / name, remedy)
        missing = [c for c in INPUTS + TARGETS if not isinstance(table, dict) or c not in table]
        if missing:
            raise KitError("the column %s is missing (%d are)" % (missing[0], len(missing)), folder / name, remedy)
        odd = [c for c in INPUTS + TARGETS if not isinstance(table[c], (int, float))]
        if odd:
            raise KitError("the value of %s is no number" % odd[0], folder / name, remedy)
        numbers = np.array([float(table[c]) for c in INPUTS + TARGETS])
        if not np.isfinite(numbers).all():
            raise KitError("holds a NaN or an infinity", folder / name, remedy)
        values.append(numbers)
    mean, std = values
    if (std <= 0).any():
        raise KitError("holds a standard deviation that is not positive", folder / "std.json", remedy)
    kind, cut = FAMILIES[family], len(INPUTS)
    cast = np.dtype(kind.cast_inputs)
    weight = read_old_weights(weights)
    dead = [TARGETS[k] for k in np.flatnonzero(weight == 0) if TARGETS[k] not in set(ABLATED)]
    if dead:
        raise KitError("the weight of %s is 0, so a prediction of it cannot be brought to raw units" % dead[0],
                       weights, remedy)
    return Statistics(kind, mean[:cut].astype(cast).astype(np.float64), std[:cut].astype(cast).astype(np.float64),
                      mean[cut:], std[cut:], weight)


class Moments:
    """Streamed count, mean and sum of squared deviations per column, float64 (Chan, Golub and LeVeque 1983).

    Merging parts equals the whole to rounding (about 1e-15 relative per merge), in any order.
    """

    def __init__(self, columns: int) -> None:
        self.count, self.mean, self.m2 = 0, np.zeros(columns), np.zeros(columns)

    def add(self, block: np.ndarray) -> None:
        """block (n, columns)."""
        part = Moments(block.shape[1])
        part.count = block.shape[0]
        if part.count:
            part.mean = block.mean(axis=0, dtype=np.float64)
            part.m2 = np.square(block - part.mean).sum(axis=0, dtype=np.float64)
            self.merge(part)

    def merge(self, other: Moments) -> None:
        total = self.count + other.count
        if total == 0:
            return
        delta = other.mean - self.mean
        self.m2 = self.m2 + other.m2 + np.square(delta) * (self.count * other.count / total)
        self.mean = self.mean + delta * (other.count / total)
        self.count = total

    def std(self) -> np.ndarray:
        """Sample standard deviation (ddof = 1), as pandas."""
        return np.sqrt(self.m2 / max(self.count - 1, 1))


def old_weights(targets: Moments) -> np.ndarray:
    """Kaggle's first weights from the moments of raw targets: 1 / max(std, 1e-15), 0 where ablated."""
    weight = 1.0 / np.maximum(targets.std(), WEIGHT_FLOOR)
    weight[kaggle_positions(ABLATED)] = 0.0
    return weight


def write(folder: Path, family: str, moments: Moments, weight: np.ndarray) -> None:
    """Writes mean.json and std.json of a family from the moments of (inputs, targets) (924 raw columns)."""
    scale = np.concatenate([np.ones(len(INPUTS)), weight])
    names: Sequence[str] = INPUTS + TARGETS
    mean = moments.mean * scale
    std = np.maximum(moments.std() * scale, FAMILIES[family].std_floor)
    write_json(folder / "mean.json", dict(zip(names, mean.tolist())))
    write_json(folder / "std.json", dict(zip(names, std.tolist())))


def moments_of(blocks: Iterable[np.ndarray]) -> Moments:
    """Moments of (n, 924) blocks of raw inputs and targets."""
    moments = Moments(len(INPUTS) + len(TARGETS))
    for block in blocks:
        moments.add(block)
    return moments
