"""A ridge regression on the same rows as the networks: what a network has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Tuple

import numpy as np

from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.layout import RawData
from leapkit.core.step_files import StepPair
from leapkit.data.scaling import Scaling
from leapkit.data.score import R2, score_network_order, validation_r2
from leapkit.data.step_reader import StepReader

PENALTIES = (1e0, 1e1, 1e2, 1e3, 1e4, 1e5)  # in units of rows; the best on validation is taken


@dataclass(frozen=True)
class Ridge:
    """z = x @ slope + offset: (n, 556) -> (n, 368), standardised, network order, float64."""

    slope: np.ndarray
    offset: np.ndarray
    penalty: float

    def predict(self, x: np.ndarray) -> np.ndarray:
        z: np.ndarray = x @ self.slope + self.offset
        return z


def fit(raw: RawData, scaling: Scaling) -> Ridge:
    """Fit by normal equations in float64, streamed over the training steps.

    The penalty is chosen on the validation steps.
    """
    width = len(INPUTS)
    count = 0
    sum_x = np.zeros(width)
    sum_y = np.zeros(len(TARGETS))
    gram = np.zeros((width, width))
    cross = np.zeros((width, len(TARGETS)))
    for x, y in standardised_rows(raw.training_pairs(), scaling):
        count += len(x)
        sum_x += x.sum(axis=0)
        sum_y += y.sum(axis=0)
        gram += x.T @ x
        cross += x.T @ y
    mean_x = sum_x / count
    mean_y = sum_y / count
    gram -= count * np.outer(mean_x, mean_x)
    cross -= count * np.outer(mean_x, mean_y)
    values, vectors = np.linalg.eigh(gram)
    rotated = vectors.T @ cross
    best_score = -np.inf
    best = Ridge(np.zeros((width, len(TARGETS))), mean_y, np.inf)
    for penalty in PENALTIES:
        slope = vectors @ (rotated / (np.maximum(values, 0) + penalty)[:, None])
        ridge = Ridge(slope, mean_y - mean_x @ slope, penalty)
        sums = R2()
        for x, y in standardised_rows(raw.validation_pairs(), scaling):
            sums.add(y, ridge.predict(x))
        score = score_network_order(validation_r2(sums, scaling)).all_columns
        if score > best_score:
            best_score = score
            best = ridge
    return best


def standardised_rows(
    pairs: List[StepPair], scaling: Scaling
) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yield (x, y) of each step, float64: (columns, 556) and (columns, 368)."""
    reader = StepReader(accept_float32=True)  # accepted and recorded where members trained
    for pair in pairs:
        x, y = reader.read(pair)
        yield (
            scaling.scaled_inputs(x).astype(np.float64),
            scaling.scaled_targets(y).astype(np.float64),
        )
