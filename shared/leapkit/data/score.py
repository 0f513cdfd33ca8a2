"""The coefficient of determination as the competition and the team's validation count it.

Sums are float64 whatever the arrays are; the team's sklearn 1.5 accumulated float32, so expect its logged scores to
differ by about 1e-5. Facts: reference/data_pipeline.md section 5, models.md section 2.
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
from leapkit.data.scaling import Moments, Scaling


class R2:
    """Streamed R2 per column: add blocks of (truth, prediction), then ask. Memory: five numbers a column."""

    def __init__(self, columns: int = len(TARGETS)) -> None:
        self._truth, self._residual = Moments(columns), np.zeros(columns)

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """truth, prediction (n, columns)."""
        self._truth.add(np.asarray(truth, dtype=np.float64))
        self._residual += np.square(truth.astype(np.float64) - prediction).sum(axis=0)

    def per_column(self) -> np.ndarray:
        """(columns,) float64; a constant truth scores 1 when met exactly, else 0 (sklearn's r2_score)."""
        constant = self._truth.m2 == 0
        safe = np.where(constant, 1.0, self._truth.m2)
        return np.where(
            constant, np.where(self._residual == 0, 1.0, 0.0), 1.0 - self._residual / safe
        )

    def of_raw_zero(self, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """(columns,) R2 of predicting raw 0, for truth standardised as (raw - mean) / std."""
        # sum (z std + mean)^2 = std^2 (m2 + n (zbar + mean/std)^2); R2 is 1 - that / (std^2 m2)
        constant = self._truth.m2 == 0
        safe = np.where(constant, 1.0, self._truth.m2)
        offset = self._truth.count * np.square(self._truth.mean + mean / std)
        return np.where(constant, np.where(offset == 0, 1.0, 0.0), -offset / safe)


@dataclass(frozen=True)
class Score:
    """A score and its parts, all mean R2."""

    all_columns: float  # 368 columns, what Kaggle reports
    predicted: float  # the 292 columns that networks predict, clipped at 0 from below per column
    groups: Tuple[float, ...]  # scalars, t, q0001, q0002, q0003, u, v: all columns of each

    def line(self) -> str:
        groups = " ".join(
            "{} {:.4f}".format(name.replace("ptend_", ""), value)
            for name, value in zip(GROUP_NAMES, self.groups)
        )
        return f"R2 {self.all_columns:.5f} over 368 columns, {self.predicted:.5f} over the 292 predicted | {groups}"


def validation_r2(sums: R2, statistics: Scaling) -> np.ndarray:
    """R2 per column (368,), network order, of standardised predictions, by the team's rules.

    The 60 zero columns and the 16 linear ones count as 1: post-processing makes them exact. A column at or below 0
    is given the score of predicting raw 0 where that is better.
    """
    order = [TARGETS.index(name) for name in NETWORK_TARGETS]
    r2 = sums.per_column()
    fallback = sums.of_raw_zero(statistics.target_mean[order], statistics.target_std[order])
    r2 = np.where(r2 <= 0, np.maximum(r2, fallback), r2)
    r2[network_positions(ZERO + LINEAR)] = 1.0
    return r2


def score_network_order(r2: np.ndarray) -> Score:
    """Score from R2 per column (368,) in network order."""
    predicted = r2[network_positions(PREDICTED)]
    return Score(
        float(r2.mean()),
        float(np.maximum(predicted, 0).mean()),
        tuple(float(r2[g].mean()) for g in GROUPS),
    )


def submission_score(sums: R2) -> Score:
    """Score of a submission in raw units, Kaggle order; the 60 zero columns count as 1 when they are met exactly."""
    r2 = sums.per_column()
    # Kaggle multiplies the 60 zero columns of truth and submission by 0: constant and equal, so sklearn says 1.
    r2[kaggle_positions(ZERO)] = 1.0
    return score_network_order(r2[[TARGETS.index(name) for name in NETWORK_TARGETS]])
