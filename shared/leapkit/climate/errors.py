"""Streamed errors of predictions in groups of rows: grid columns, or regions of a month.

Means and sums of squared deviations are those of Chan, Golub and LeVeque (1983), about the mean of
each group: nothing cancels, and blocks may come in any split and order.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

_ROUNDING = 1e-14  # relative to the mean; smaller deviations from it are not variance but rounding

_CACHED_ROWS = 64  # computed at once: what a processor's cache holds


class GroupedErrors:
    """Weighted moments of the truth, the prediction and its error, per group and quantity.

    rows                         (G,) int64, how many
    weight                       (G,) float64, the sum of their weights
    truth_mean, prediction_mean  (G, Q)
    truth_m2, prediction_m2      (G, Q) weighted sums of squared deviations from the mean
    error_mean                   (G, Q) of prediction - truth
    squared, absolute            (G, Q) weighted sums of squared and of absolute errors
    """

    def __init__(self, groups: int, quantities: int) -> None:
        self.rows = np.zeros(groups, dtype=np.int64)
        self.weight = np.zeros(groups)
        shape = (groups, quantities)
        self.truth_mean = np.zeros(shape)
        self.prediction_mean = np.zeros(shape)
        self.truth_m2 = np.zeros(shape)
        self.prediction_m2 = np.zeros(shape)
        self.error_mean = np.zeros(shape)
        self.squared = np.zeros(shape)
        self.absolute = np.zeros(shape)

    def add(
        self,
        group: np.ndarray,
        truth: np.ndarray,
        prediction: np.ndarray,
        weights: Optional[np.ndarray] = None,
    ) -> None:
        """Add rows: group (n,) of 0..G-1, truth and prediction (n, Q), weights (n,) above 0 or 1.

        Groups with the same number of rows are computed as one array: in step files, all columns.
        """
        w = np.ones(len(group)) if weights is None else weights
        order = np.argsort(group, kind="stable")
        present, starts, counts = np.unique(group[order], return_index=True, return_counts=True)
        block = GroupedErrors(len(present), truth.shape[1])
        for count in np.unique(counts):
            (alike,) = np.nonzero(counts == count)
            for members in np.array_split(alike, max(1, len(alike) * count // _CACHED_ROWS)):
                rows = order[starts[members, None] + np.arange(count)]  # (g, count)
                block._set(members, w[rows], truth[rows], prediction[rows])
        self._merge_at(present, block)

    def _set(
        self, at: np.ndarray, w: np.ndarray, truth: np.ndarray, prediction: np.ndarray
    ) -> None:
        """Set groups to their only rows: w (g, count), truth and prediction (g, count, Q)."""

        def total(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
            sums: np.ndarray = np.matmul(weights[:, None], values)[:, 0]
            return sums  # (g, Q)

        share = w / w.sum(axis=1, keepdims=True)
        self.rows[at] = w.shape[1]
        self.weight[at] = w.sum(axis=1)
        error = prediction - truth
        self.error_mean[at] = total(share, error)
        self.squared[at] = total(w, np.square(error))
        self.absolute[at] = total(w, np.abs(error, out=error))
        for values, mean, m2 in (
            (truth, self.truth_mean, self.truth_m2),
            (prediction, self.prediction_mean, self.prediction_m2),
        ):
            mean[at] = total(share, values)
            m2[at] = total(w, np.square(values - mean[at][:, None]))

    def merge(self, other: GroupedErrors) -> None:
        """Add the rows of another object with the same groups and quantities."""
        self._merge_at(np.arange(len(self.weight)), other)

    def _merge_at(self, at: np.ndarray, other: GroupedErrors) -> None:
        total = self.weight[at] + other.weight
        share = np.divide(other.weight, total, out=np.zeros_like(total), where=total > 0)[:, None]
        spread = self.weight[at, None] * share
        truth_delta = other.truth_mean - self.truth_mean[at]
        prediction_delta = other.prediction_mean - self.prediction_mean[at]
        self.truth_m2[at] += other.truth_m2 + np.square(truth_delta) * spread
        self.prediction_m2[at] += other.prediction_m2 + np.square(prediction_delta) * spread
        self.truth_mean[at] += truth_delta * share
        self.prediction_mean[at] += prediction_delta * share
        self.error_mean[at] += (other.error_mean - self.error_mean[at]) * share
        self.squared[at] += other.squared
        self.absolute[at] += other.absolute
        self.weight[at] = total
        self.rows[at] += other.rows

    def pooled(
        self, label: np.ndarray, labels: int, factor: Optional[np.ndarray] = None
    ) -> GroupedErrors:
        """Return groups put together: label (G,) of 0..labels-1, or -1 for what is left out.

        factor  (G,) by which the weights of a group's rows are multiplied, such as its area
        """
        pools = GroupedErrors(labels, self.truth_mean.shape[1])
        for pool in range(labels):
            members = (label == pool) & (self.weight > 0)
            if members.any():
                scale = np.ones(members.sum()) if factor is None else factor[members]
                pools._set_pool(pool, self, members, scale)
        return pools

    def _set_pool(self, pool: int, of: GroupedErrors, members: np.ndarray, f: np.ndarray) -> None:
        w = of.weight[members] * f
        share = w / w.sum()
        self.rows[pool] = of.rows[members].sum()
        self.weight[pool] = w.sum()
        self.error_mean[pool] = share @ of.error_mean[members]
        self.squared[pool] = f @ of.squared[members]
        self.absolute[pool] = f @ of.absolute[members]
        for mean, m2, means, m2s in (
            (self.truth_mean, self.truth_m2, of.truth_mean, of.truth_m2),
            (self.prediction_mean, self.prediction_m2, of.prediction_mean, of.prediction_m2),
        ):
            mean[pool] = share @ means[members]
            m2[pool] = f @ m2s[members] + w @ np.square(means[members] - mean[pool])

    def mae(self) -> np.ndarray:
        """Return the mean absolute error, (G, Q); NaN for a group without rows, as all below."""
        return self._per_weight(self.absolute)

    def rmse(self) -> np.ndarray:
        """Return the root of the mean squared error, (G, Q)."""
        rmse: np.ndarray = np.sqrt(self._per_weight(self.squared))
        return rmse

    def bias(self) -> np.ndarray:
        """Return the mean of prediction - truth, (G, Q)."""
        return self._known(self.error_mean)

    def truth_std(self) -> np.ndarray:
        """Return the standard deviation of the truth (ddof = 0), (G, Q)."""
        std: np.ndarray = np.sqrt(self._per_weight(self.truth_m2))
        return std

    def prediction_std(self) -> np.ndarray:
        """Return the standard deviation of the prediction (ddof = 0), (G, Q)."""
        std: np.ndarray = np.sqrt(self._per_weight(self.prediction_m2))
        return std

    def truth_rms(self) -> np.ndarray:
        """Return the root of the mean square of the truth, (G, Q)."""
        rms: np.ndarray = np.hypot(self.truth_std(), self.truth_mean)
        return rms

    def prediction_rms(self) -> np.ndarray:
        """Return the root of the mean square of the prediction, (G, Q)."""
        rms: np.ndarray = np.hypot(self.prediction_std(), self.prediction_mean)
        return rms

    def r2(self) -> np.ndarray:
        """Return 1 - sum of squared errors / sum of squared deviations of the truth, (G, Q).

        A constant truth scores 1 if it is met exactly, else 0 (docs/reference/evaluation.md,
        "Scores"). NaN for a group of less than two rows.
        """
        rounding = self.weight[:, None] * np.square(_ROUNDING * self.truth_mean)
        constant = self.truth_m2 <= rounding
        met = np.where(self.squared <= rounding, 1.0, 0.0)
        r2 = np.where(constant, met, 1.0 - self.squared / np.where(constant, 1.0, self.truth_m2))
        return np.where(self.rows[:, None] > 1, r2, np.nan)

    def _per_weight(self, sums: np.ndarray) -> np.ndarray:
        return self._known(sums / np.where(self.weight > 0, self.weight, 1.0)[:, None])

    def _known(self, values: np.ndarray) -> np.ndarray:
        return np.where(self.weight[:, None] > 0, values, np.nan)
