"""The two families' statistics and the exact arithmetic around them (reference/data_pipeline.md section 3).

Everything here is float64 until the one cast to float32 that a network is given. The families are never mixed:
their floors differ by a factor of 100 on dead columns.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

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


@dataclass(frozen=True)
class Family:
    """How a family of members standardises.

    std_floor     what a smaller standard deviation is replaced by
    cast_inputs   dtype that mean and std of inputs are rounded to before use (then promoted to float64)
    kept_float64  inputs that stay float64 where test.csv is rounded to float32: the tiny cloud-liquid levels
    first_rows    rows of train.csv that its statistics are of, whole parts; None for all
    """

    name: str
    std_floor: float
    cast_inputs: str
    kept_float64: Tuple[str, ...]
    first_rows: Optional[int] = None

    def __post_init__(self) -> None:
        unknown = set(self.kept_float64) - set(INPUTS)
        if unknown or self.cast_inputs not in ("float32", "float64") or not self.std_floor > 0:
            raise ValueError(f"family {self.name}: bad floor, cast or columns {sorted(unknown)}")
        if self.first_rows is not None and (self.first_rows <= 0 or self.first_rows % PART):
            raise ValueError(
                "family %s: %d rows are no whole number of parts" % (self.name, self.first_rows)
            )


# Rows of train.csv whose moments are taken together. It divides the team's chunks of 625,000, of which fdzm used 15.
PART = 250
FAMILIES: Dict[str, Family] = {
    "adam": Family("adam", 1e-10, "float64", tuple("state_q0002_%d" % k for k in range(12, 29))),
    "fdzm": Family(
        "fdzm", 1e-8, "float32", tuple("state_q0002_%d" % k for k in range(12, 28)), 15 * 625_000
    ),
}
# Targets whose old weight is 0: the zero columns, and three levels of cloud liquid that Kaggle had ablated.
ABLATED: Tuple[str, ...] = ZERO + tuple("ptend_q0002_%d" % k for k in (12, 13, 14))
_INPUTS, _TARGETS = (
    list(INPUTS_TO_NETWORK),
    list(TARGETS_TO_NETWORK),
)  # numpy takes a tuple for one index per axis
WEIGHT_FLOOR = 1e-15  # a target's weight is 1 / max(std, WEIGHT_FLOOR)


@dataclass(frozen=True)
class Scaling:
    """Mean and std of 556 inputs and of 368 weighted targets, and the weights: float64, Kaggle order."""

    family: Family
    input_mean: np.ndarray  # (556,)
    input_std: np.ndarray  # (556,)
    target_mean: np.ndarray  # (368,) of y * weight
    target_std: np.ndarray  # (368,) of y * weight
    weight: np.ndarray  # (368,)

    def scaled_inputs(self, x: np.ndarray) -> np.ndarray:
        """x (n, 556) float64 raw, Kaggle order -> (n, 556) float32 standardised, network order."""
        z = ((x - self.input_mean) / self.input_std).astype(np.float32)
        return z[:, INPUTS_TO_NETWORK]

    def scaled_test_inputs(self, x: np.ndarray) -> np.ndarray:
        """As scaled_inputs, after the published rounding of test.csv to float32 (but for the kept columns)."""
        rounded = x.astype(np.float32).astype(np.float64)
        kept = [INPUTS.index(name) for name in self.family.kept_float64]
        rounded[:, kept] = x[:, kept]
        return self.scaled_inputs(rounded)

    def targets(self, y: np.ndarray) -> np.ndarray:
        """y (n, 368) float64 raw, Kaggle order -> (n, 368) float32 standardised, network order."""
        z = ((y * self.weight - self.target_mean) / self.target_std).astype(np.float32)
        return z[:, TARGETS_TO_NETWORK]

    def levels(self, x: np.ndarray, y: np.ndarray, inputs: np.ndarray, targets: np.ndarray) -> None:
        """scaled_inputs and targets of rows that lie level by level, as in step files: x (556, n) and y (368, n).

        Writes into inputs (n, 556) and targets (n, 368), the same bits at twice the speed.
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
        return z[:, TARGETS_TO_KAGGLE].astype(np.float64) * self.target_std + self.target_mean

    def raw(self, z: np.ndarray, state_q0002: np.ndarray) -> np.ndarray:
        """z (n, 368) float32 network output and raw state_q0002_12..27 (n, 16) -> the submission's values.

        (n, 368) float64, Kaggle order, physical units: 0 in the 60 zero columns, -q/1200 in the 16 linear ones,
        (z * std + mean) / weight elsewhere (reference/data_pipeline.md section 4).
        """
        y = self.weighted(z)
        special = kaggle_positions(ZERO + LINEAR)
        weight = self.weight.copy()
        weight[special] = (
            1.0  # overwritten below; the old weight is 0 in 63 of them and must not divide
        )
        y /= weight
        y[:, kaggle_positions(ZERO)] = 0.0
        y[:, kaggle_positions(LINEAR)] = linear_tendency(state_q0002)
        return y


def linear_tendency(state_q0002: np.ndarray) -> np.ndarray:
    """ptend_q0002_12..27 (kg/kg/s) from raw state_q0002_12..27 (n, 16): the model removes this cloud in one step."""
    return -state_q0002 / 1200


def load_scaling(folder: Path, family: str, weights: Path) -> Scaling:
    """Statistics from <folder>/{mean,std}.json (924 keys) and the old weights' CSV. Raises KitError."""
    remedy = "get the team's published statistics (README, 'Real data') or make them with the split maker"
    values = []
    for name in ("mean.json", "std.json"):
        table = read_json(folder / name, remedy)
        missing = [c for c in INPUTS + TARGETS if not isinstance(table, dict) or c not in table]
        if missing:
            raise KitError(
                "the column %s is missing (%d are)" % (missing[0], len(missing)),
                folder / name,
                remedy,
            )
        odd = [c for c in INPUTS + TARGETS if not isinstance(table[c], (int, float))]
        if odd:
            raise KitError(f"the value of {odd[0]} is no number", folder / name, remedy)
        numbers = np.array([float(table[c]) for c in INPUTS + TARGETS])
        if not np.isfinite(numbers).all():
            raise KitError("holds a NaN or an infinity", folder / name, remedy)
        values.append(numbers)
    mean, std = values
    if (std <= 0).any():
        raise KitError(
            "holds a standard deviation that is not positive", folder / "std.json", remedy
        )
    kind, cut = FAMILIES[family], len(INPUTS)
    cast = np.dtype(kind.cast_inputs)
    weight = read_old_weights(weights)
    dead = [TARGETS[k] for k in np.flatnonzero(weight == 0) if TARGETS[k] not in set(ABLATED)]
    if dead:
        raise KitError(
            f"the weight of {dead[0]} is 0, so a prediction of it cannot be brought to raw units",
            weights,
            remedy,
        )
    return Scaling(
        kind,
        mean[:cut].astype(cast).astype(np.float64),
        std[:cut].astype(cast).astype(np.float64),
        mean[cut:],
        std[cut:],
        weight,
    )


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
            deviation = block - part.mean
            part.m2 = np.square(deviation, out=deviation).sum(axis=0, dtype=np.float64)
            self.merge(part)

    def merge(self, other: Moments) -> None:
        total = self.count + other.count
        if total == 0:
            return
        delta = other.mean - self.mean
        self.m2 = self.m2 + other.m2 + np.square(delta) * (self.count * other.count / total)
        self.mean = self.mean + delta * (other.count / total)
        self.count = total

    def merged(self, other: Moments) -> Moments:
        """As merge, in a new object: an interruption finds the old one or the new one."""
        both = copy.copy(self)  # merge replaces the arrays
        both.merge(other)
        return both

    def std(self) -> np.ndarray:
        """Sample standard deviation (ddof = 1), as pandas."""
        return np.sqrt(self.m2 / max(self.count - 1, 1))


def old_weights(targets: Moments) -> np.ndarray:
    """Kaggle's first weights from the moments of raw targets: 1 / max(std, 1e-15), 0 where ablated."""
    weight = 1.0 / np.maximum(targets.std(), WEIGHT_FLOOR)
    weight[kaggle_positions(ABLATED)] = 0.0
    return weight


def scaling_tables(
    family: str, moments: Moments, weight: np.ndarray
) -> Dict[str, Dict[str, float]]:
    """The contents of mean.json and std.json of a family, from the moments of (inputs, targets) (924 raw columns)."""
    scale = np.concatenate([np.ones(len(INPUTS)), weight])
    names: Sequence[str] = INPUTS + TARGETS
    mean = moments.mean * scale + 0.0  # -0.0 where a weight is 0 becomes 0.0
    std = np.maximum(moments.std() * scale, FAMILIES[family].std_floor)
    return {
        "mean.json": dict(zip(names, mean.tolist())),
        "std.json": dict(zip(names, std.tolist())),
    }


def write_scaling(folder: Path, family: str, moments: Moments, weight: np.ndarray) -> None:
    """Writes mean.json and std.json of a family."""
    for name, table in scaling_tables(family, moments, weight).items():
        write_json(folder / name, table)


def moments_of(blocks: Iterable[np.ndarray]) -> Moments:
    """Moments of (n, 924) blocks of raw inputs and targets."""
    moments = Moments(len(INPUTS) + len(TARGETS))
    for block in blocks:
        moments.add(block)
    return moments


@dataclass(frozen=True)
class TrainMoments:
    """Both families' moments of the rows of train.csv: those of every part by themselves, merged in file order.

    A part's moments depend on its rows alone, so the result is the same to the last bit however many workers share the
    parts, whichever ends first and wherever the work was interrupted.
    """

    families: Dict[str, Moments] = field(
        default_factory=lambda: {name: Moments(len(INPUTS) + len(TARGETS)) for name in FAMILIES}
    )

    def then(self, part: Moments) -> TrainMoments:
        """With the next PART rows (fewer only at the end of the file) where they are the family's; itself unchanged."""
        return TrainMoments(
            {
                name: own.merged(part)
                if own.count + part.count <= (FAMILIES[name].first_rows or math.inf)
                else own
                for name, own in self.families.items()
            }
        )


def part_moments(rows: np.ndarray) -> Moments:
    """Moments of one part (n, 924); the rows must lie one after the other in memory, as the order of sums follows it."""
    return moments_of([np.ascontiguousarray(rows, dtype=np.float64)])


def in_parts(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The rows of (n, columns) blocks, PART at a time, the last time what there is."""
    held: List[np.ndarray] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= PART:
            rows = np.concatenate(held)
            whole = len(rows) - len(rows) % PART
            for at in range(0, whole, PART):
                yield rows[at : at + PART]
            held = [rows[whole:]]
    rest = [block for block in held if len(block)]
    if rest:
        yield np.concatenate(rest)
