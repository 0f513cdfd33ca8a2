"""The error Gram matrix: all that a search of blend weights needs to know of the out-of-fold predictions.

With weights that sum to one the blend's error is the blend of the errors, so the mean R2 over targets is
1 - w' S w with S = mean_t (E_t' E_t) / SST_t, E_t (N, M) the errors of M artifacts on target t: exact, one pass over
the rows, float64, and without cancellation because it is errors that are multiplied.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Sequence, Tuple

import numpy as np

from leapkit.columns import PREDICTED, TARGETS, kaggle_positions
from leapkit.errors import KitError
from leapkit.statistics import Moments

# A target on which an artifact is this much worse than the mean would drown all others in a mean over targets: on real
# data that happens where the truth hardly varies (one month's stratosphere), with R2 of -1e15.
WORST_R2 = -1.0


@dataclass(frozen=True)
class ErrorGram:
    """S (M, M) over the targets that count, and the names of those left out.

    Left out is a target whose truth is constant, or on which an artifact's R2 is at or below `worst`.
    """

    matrix: np.ndarray
    counted: Tuple[str, ...]
    left_out: Tuple[str, ...]


def error_gram(blocks: Iterable[Tuple[np.ndarray, Sequence[np.ndarray]]], artifacts: int, worst: float = WORST_R2
               ) -> ErrorGram:
    """blocks of (truth (n, 368), M predictions (n, 368)), float64, one unit -> S, the mean over targets that count.

    Raises KitError when no target counts.
    """
    columns = kaggle_positions(PREDICTED)
    products = np.zeros((len(columns), artifacts, artifacts))
    truth_moments = Moments(len(TARGETS))
    errors = np.empty((len(columns), artifacts, 0))
    for truth, predictions in blocks:
        truth_moments.add(truth)
        if errors.shape[2] != len(truth):
            errors = np.empty((len(columns), artifacts, len(truth)))                         # (292, M, n)
        by_target = truth.T[columns]                                                         # (292, n)
        for m, prediction in enumerate(predictions):
            np.subtract(prediction.T[columns], by_target, out=errors[:, m])
        products += errors @ errors.transpose(0, 2, 1)
    sst = truth_moments.m2[columns]
    scaled = products / np.where(sst > 0, sst, 1.0)[:, None, None]
    r2 = 1.0 - np.diagonal(scaled, axis1=1, axis2=2)                                         # (292, M)
    counts = (sst > 0) & (r2.min(axis=1) > worst)
    if not counts.any():
        raise KitError("no target is predicted better than R2 %g by every artifact" % worst, "the blend's search",
                       "train longer, or blend with a table (TABLE=)")
    names = np.array(PREDICTED)
    return ErrorGram(scaled[counts].mean(axis=0), tuple(names[counts]), tuple(names[~counts]))


def mean_r2(gram: np.ndarray, weights: np.ndarray) -> float:
    """Mean R2 over the targets that count of a blend whose weights sum to one."""
    return float(1.0 - weights @ gram @ weights)
