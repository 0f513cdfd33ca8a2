"""The coefficient of determination as the competition and the team's validation count it.

Sums are float64 for any dtype of the arrays. The team's sklearn 1.5 accumulated float32, which
moved its logged scores by less than 1e-7. Facts: docs/reference/data_pipeline.md, "Score", and
docs/reference/models.md, "Training loop".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from leapkit.core.columns import (
    GROUP_NAMES,
    GROUPS,
    LINEAR,
    NETWORK_TARGETS,
    PREDICTED,
    TARGETS,
    ZERO,
    kaggle_positions,
    network_positions,
)
from leapkit.data.moments import Moments
from leapkit.data.scaling import Scaling


class R2:
    """Streamed R2 per variable of blocks of (truth, prediction), in five numbers a variable."""

    def __init__(self, columns: int = len(TARGETS)) -> None:
        self._truth = Moments(columns)
        self._residual = np.zeros(columns)

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Add rows: truth and prediction (n, columns)."""
        self._truth.add(np.asarray(truth, dtype=np.float64))
        self._residual += np.square(truth.astype(np.float64) - prediction).sum(axis=0)

    def per_column(self) -> np.ndarray:
        """Return (columns,) float64.

        A constant truth scores 1 if it is met exactly, else 0, as sklearn's r2_score.
        """
        constant = self._truth.m2 == 0
        safe = np.where(constant, 1.0, self._truth.m2)
        return np.where(
            constant, np.where(self._residual == 0, 1.0, 0.0), 1.0 - self._residual / safe
        )

    def of_raw_zero(self, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """Return (columns,) R2 of predicting raw 0; the truth is (raw - mean) / std."""
        # sum (z std + mean)^2 = std^2 (m2 + n (zbar + mean/std)^2); R2 is 1 - that / (std^2 m2)
        constant = self._truth.m2 == 0
        safe = np.where(constant, 1.0, self._truth.m2)
        offset = self._truth.count * np.square(self._truth.mean + mean / std)
        return np.where(constant, np.where(offset == 0, 1.0, 0.0), -offset / safe)


@dataclass(frozen=True)
class Score:
    """A score and its parts, all mean R2.

    all_columns  of the 368 targets, what Kaggle reports
    predicted    of the 292 targets that networks predict, each clipped at 0 from below
    groups       of all targets of scalars, t, q0001, q0002, q0003, u, v
    """

    all_columns: float
    predicted: float
    groups: Tuple[float, ...]

    def line(self) -> str:
        groups = " ".join(
            f"{name.replace('ptend_', '')} {value:.4f}"
            for name, value in zip(GROUP_NAMES, self.groups)
        )
        return (
            f"R2 {self.all_columns:.5f} over 368 columns, "
            f"{self.predicted:.5f} over the 292 predicted | {groups}"
        )


def validation_r2(sums: R2, scaling: Scaling) -> np.ndarray:
    """Return R2 per target (368,), network order, of standardised predictions, by the team's rules.

    The 60 zero targets and the 16 linear ones count as 1: post-processing makes them exact. A
    target at or below 0 is given the score of predicting raw 0 if that is better.
    """
    order = [TARGETS.index(name) for name in NETWORK_TARGETS]
    r2 = sums.per_column()
    fallback = sums.of_raw_zero(scaling.target_mean[order], scaling.target_std[order])
    r2 = np.where(r2 <= 0, np.maximum(r2, fallback), r2)
    r2[network_positions(ZERO + LINEAR)] = 1.0
    return r2


def score_network_order(r2: np.ndarray) -> Score:
    """Return the score from R2 per target (368,) in network order."""
    predicted = r2[network_positions(PREDICTED)]
    return Score(
        float(r2.mean()),
        float(np.maximum(predicted, 0).mean()),
        tuple(float(r2[g].mean()) for g in GROUPS),
    )


def submission_score(sums: R2) -> Score:
    """Return the score of a submission in raw units, Kaggle order.

    The 60 zero targets count as 1 if they are met exactly.
    """
    r2 = sums.per_column()
    # Kaggle multiplies the zero targets of truth and submission by 0: equal constants, R2 is 1.
    r2[kaggle_positions(ZERO)] = 1.0
    return score_network_order(r2[[TARGETS.index(name) for name in NETWORK_TARGETS]])
