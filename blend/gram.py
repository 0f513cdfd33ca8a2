"""The error Gram matrix: all that a search of blend weights needs to know of the out-of-fold predictions.

With weights that sum to one the blend's error is the blend of the errors, so the mean R2 over targets is
1 - w' S w with S = mean_t (E_t' E_t) / SST_t, E_t (N, M) the errors of M artifacts on target t: exact, one pass over
the rows, float64, and without cancellation because it is errors that are multiplied.
"""
from __future__ import annotations

from typing import Iterable, Sequence, Tuple

import numpy as np

from leapkit.columns import PREDICTED, TARGETS, kaggle_positions
from leapkit.statistics import Moments


def error_gram(blocks: Iterable[Tuple[np.ndarray, Sequence[np.ndarray]]], artifacts: int) -> Tuple[np.ndarray, int]:
    """blocks of (truth (n, 368), M predictions (n, 368)), float64, one unit -> (S (M, M), targets that count).

    S is the mean over the 292 predicted targets; those that are constant in the truth have no R2 and are left out.
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
    counted = sst > 0
    return (products[counted] / sst[counted, None, None]).mean(axis=0), int(counted.sum())


def mean_r2(gram: np.ndarray, weights: np.ndarray) -> float:
    """Mean R2 over the counted targets of a blend whose weights sum to one."""
    return float(1.0 - weights @ gram @ weights)
