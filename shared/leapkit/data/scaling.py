"""The two families' statistics and the exact arithmetic of standardising.

Facts: docs/reference/data_pipeline.md, "Statistics" and "Standardising". Everything here is float64
until the one cast to float32 that a network is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Sequence

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
from leapkit.core.files import write_json
from leapkit.data import statistics_tables
from leapkit.data.families import ABLATED as ABLATED
from leapkit.data.families import CHUNK_ROWS as CHUNK_ROWS
from leapkit.data.families import FAMILIES as FAMILIES
from leapkit.data.families import Family as Family
from leapkit.data.moments import Moments
from leapkit.data.old_weights import WEIGHT_CAP, read_weights

# Lists, as numpy takes a tuple for one index per axis.
_INPUTS = list(INPUTS_TO_NETWORK)
_TARGETS = list(TARGETS_TO_NETWORK)
WEIGHT_FLOOR = 1 / WEIGHT_CAP  # a target's weight is 1 / max(std, WEIGHT_FLOOR)


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

    Raises KitError for a file that is missing, damaged, of another family, or of other data than
    the others.
    """
    kind = FAMILIES[family]
    cast = np.dtype(kind.cast_inputs)
    cut = len(INPUTS)
    mean, std = (
        statistics_tables.read_statistics(folder / name, family, name)
        for name in ("mean.json", "std.json")
    )
    weight = read_weights(weights)
    statistics_tables.require_one_origin(folder, mean, std, weights, weight)
    return Scaling(
        kind,
        mean[:cut].astype(cast).astype(np.float64),
        std[:cut].astype(cast).astype(np.float64),
        mean[cut:],
        std[cut:],
        weight,
    )


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
