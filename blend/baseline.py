"""A ridge regression on the same rows as the networks: what a network has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Tuple

import numpy as np

from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.layout import RawData
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
        return x @ self.slope + self.offset


def fit(raw: RawData, scale: Scaling) -> Ridge:
    """Normal equations in float64, streamed over the training steps; the penalty chosen on the validation steps."""
    width = len(INPUTS)
    count, sum_x, sum_y = 0, np.zeros(width), np.zeros(len(TARGETS))
    gram, cross = np.zeros((width, width)), np.zeros((width, len(TARGETS)))
    for x, y in _standardised(raw, scale, "training"):
        count += len(x)
        sum_x += x.sum(axis=0)
        sum_y += y.sum(axis=0)
        gram += x.T @ x
        cross += x.T @ y
    mean_x, mean_y = sum_x / count, sum_y / count
    gram -= count * np.outer(mean_x, mean_x)
    cross -= count * np.outer(mean_x, mean_y)
    values, vectors = np.linalg.eigh(gram)
    rotated = vectors.T @ cross
    best: Tuple[float, Ridge] = (-np.inf, Ridge(np.zeros((width, len(TARGETS))), mean_y, np.inf))
    for penalty in PENALTIES:
        slope = vectors @ (rotated / (np.maximum(values, 0) + penalty)[:, None])
        ridge = Ridge(slope, mean_y - mean_x @ slope, penalty)
        sums = R2()
        for x, y in _standardised(raw, scale, "validation"):
            sums.add(y, ridge.predict(x))
        score = score_network_order(validation_r2(sums, scale)).all_columns
        best = max(best, (score, ridge), key=lambda item: item[0])
    return best[1]


def _standardised(
    raw: RawData, scale: Scaling, role: str
) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    reader = StepReader()
    pairs = raw.training_pairs() if role == "training" else raw.validation_pairs()
    for pair in pairs:
        x, y = reader.read(pair)
        yield scale.scaled_inputs(x).astype(np.float64), scale.scaled_targets(y).astype(np.float64)
