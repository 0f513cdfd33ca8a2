"""Error Gram matrices: all that a question about a linear blend needs of its predictions.

A blend with weights w has on target t the squared error sum w' G_t w, where G_t = E_t' E_t and E_t
(N, A) are the errors of A predictions. That is exact for weights that sum to one; it takes one pass
over the rows in float64, and nothing cancels because it is errors that are multiplied. The last of
the A = M + 1 predictions is always 0 in raw units and takes the weight 1 - sum(w), so weights of
any sum are covered. R2 does not change under a scale per target, so any unit serves in which 0 is
raw 0.

Shapes: N rows, T = 292 predicted targets, M artifacts, A = M + 1 predictions.
"""

from __future__ import annotations

import functools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List, Sequence, Tuple

import numpy as np

from leapkit.core.columns import NETWORK_TARGETS, PREDICTED, kaggle_positions
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import atomic
from leapkit.data.moments import Moments
from leapkit.data.score import Score, score_network_order

# The positions in Kaggle order of the T = 292 targets that networks predict; the other 76 are
# formulas.
PREDICTED_POSITIONS = kaggle_positions(PREDICTED)


@dataclass(frozen=True)
class Gram:
    """The Gram matrices of some rows.

    products  (T, A, A) of errors
    truth     the moments (T,) of the truth
    """

    products: np.ndarray
    truth: Moments

    def __add__(self, other: Gram) -> Gram:
        return Gram(self.products + other.products, self.truth.merged(other.truth))

    @property
    def zero(self) -> np.ndarray:
        """(T,) squared error sums of predicting raw 0."""
        return self.products[:, -1, -1]

    @functools.cached_property
    def scaled(self) -> np.ndarray:
        """(T, A, A) products over the truth's sum of squared deviations, which is 1 - R2.

        All 0 if the truth is constant.
        """
        sst = self.truth.m2[:, None, None]
        zeros = np.zeros_like(self.products)
        quotient: np.ndarray = np.divide(self.products, sst, out=zeros, where=sst > 0)
        return quotient

    def errors(self, weights: np.ndarray) -> np.ndarray:
        """Return (T,) squared error sums of a blend.

        weights  (M,), or (T, M) with weights for each target
        """
        predictions = self.products.shape[1]
        w = with_zero(np.broadcast_to(weights, (len(self.products), predictions - 1)))  # (T, A)
        sums: np.ndarray = np.einsum("ti,tij,tj->t", w, self.products, w)
        return sums

    def metric(self, errors: np.ndarray) -> np.ndarray:
        """Turn (T,) squared error sums into (T,) R2 as the team's validation counts it.

        A target at or below 0 gets the score of predicting raw 0 if that is better. That score is
        never above 0, so it is a floor. A constant truth scores 1 when it is met exactly, else 0
        (sklearn's r2_score).
        """
        r2: np.ndarray = np.maximum(self._r2(errors), self._r2(self.zero))
        return r2

    def _r2(self, errors: np.ndarray) -> np.ndarray:
        constant = self.truth.m2 == 0
        return np.where(
            constant,
            np.where(errors == 0, 1.0, 0.0),
            1.0 - errors / np.where(constant, 1.0, self.truth.m2),
        )

    def counted(self, errors: np.ndarray) -> np.ndarray:
        """Return (T,) whether a target's score depends on the weights at these errors.

        It does unless the truth is constant or the score is at the floor.
        """
        return (self.truth.m2 > 0) & (errors < self.zero)


def with_zero(weights: np.ndarray) -> np.ndarray:
    """Append the weight of predicting raw 0, the rest to a sum of one: (..., M) -> (..., A)."""
    return np.concatenate([weights, 1.0 - weights.sum(axis=-1, keepdims=True)], axis=-1)


@dataclass(frozen=True)
class FoldedGram:
    """Gram matrices of M artifacts per fold of time.

    Validation months are correlated in themselves: only whole months that are held out show
    overfitting.
    """

    artifacts: Tuple[str, ...]
    folds: Tuple[str, ...]
    grams: Tuple[Gram, ...]  # one for each fold

    @functools.cached_property
    def whole(self) -> Gram:
        """The Gram matrices of all folds together."""
        return functools.reduce(Gram.__add__, self.grams)

    def without(self, fold: int) -> FoldedGram:
        """Leave one fold out."""
        rest = [k for k in range(len(self.folds)) if k != fold]
        return FoldedGram(
            self.artifacts, tuple(self.folds[k] for k in rest), tuple(self.grams[k] for k in rest)
        )

    def choosing(self, artifacts: Sequence[int]) -> FoldedGram:
        """Choose some of the artifacts by their positions, in the given order."""
        chosen = [*artifacts, len(self.artifacts)]  # predicting raw 0 stays the last
        grams = tuple(
            Gram(gram.products[:, chosen][:, :, chosen], gram.truth) for gram in self.grams
        )
        return FoldedGram(tuple(self.artifacts[k] for k in artifacts), self.folds, grams)

    def save(self, path: Path) -> None:
        """Write everything to an .npz file."""
        with atomic(path) as temporary, open(temporary, "wb") as handle:
            np.savez(
                handle,
                artifacts=np.array(self.artifacts),
                folds=np.array(self.folds),
                targets=np.array(PREDICTED),
                products=np.stack([gram.products for gram in self.grams]),
                count=np.array([gram.truth.count for gram in self.grams]),
                mean=np.stack([gram.truth.mean for gram in self.grams]),
                m2=np.stack([gram.truth.m2 for gram in self.grams]),
            )


def load(path: Path) -> FoldedGram:
    """Read what FoldedGram.save wrote. Raises KitError if the file is missing or damaged."""
    remedy = "remove it and run the same command again"
    with explain_os_errors(path, remedy):
        try:
            with np.load(str(path), allow_pickle=False) as arrays:
                names = ("products", "count", "mean", "m2")
                grams = tuple(
                    Gram(products, _moments(int(count), mean, m2))
                    for products, count, mean, m2 in zip(*(arrays[name] for name in names))
                )
                artifacts = tuple(map(str, arrays["artifacts"]))
                return FoldedGram(artifacts, tuple(map(str, arrays["folds"])), grams)
        except (
            ValueError,
            KeyError,
            EOFError,
            TypeError,
            AttributeError,
            zipfile.BadZipFile,
        ) as error:
            raise KitError("is cut off, or does not hold Gram matrices", path, remedy) from error


def _moments(count: int, mean: np.ndarray, m2: np.ndarray) -> Moments:
    moments = Moments(len(mean))
    moments.count = count
    moments.mean = mean
    moments.m2 = m2
    return moments


def of_rows(
    truth: np.ndarray,
    errors: np.ndarray,
    artifacts: Sequence[object],
    targets: Sequence[str] = PREDICTED,
) -> Gram:
    """Return the Gram matrices of some rows.

    truth               (T, N)
    errors              (T, A, N); the caller fills those of the M artifacts, those of predicting 0
                        are filled in place
    artifacts, targets  what the errors are of, for the error message

    Raises KitError for a NaN or an infinity.
    """
    np.negative(truth, out=errors[:, -1])
    products = errors @ errors.transpose(0, 2, 1)
    diagonal = np.diagonal(products, axis1=1, axis2=2)
    if not np.isfinite(diagonal).all():
        t, m = np.argwhere(~np.isfinite(diagonal))[0]
        where = artifacts[m] if m < len(artifacts) else "the truth"
        raise KitError(
            f"{targets[int(t)]} holds a NaN or an infinity",
            where,
            "make it again (`make plan` says how)",
        )
    moments = Moments(len(truth))
    moments.add(truth.T)
    return Gram(products, moments)


def side_by_side(grams: Sequence[Gram]) -> Gram:
    """Join Gram matrices of the same rows and of different targets."""
    moments = _moments(
        grams[0].truth.count,
        np.concatenate([gram.truth.mean for gram in grams]),
        np.concatenate([gram.truth.m2 for gram in grams]),
    )
    return Gram(np.concatenate([gram.products for gram in grams]), moments)


def folded(
    artifacts: Sequence[str], folds: Sequence[str], chunks: Iterable[Tuple[int, Gram]]
) -> FoldedGram:
    """Add up chunks (fold, Gram) in the order in which they come."""
    targets = len(PREDICTED_POSITIONS)
    predictions = len(artifacts) + 1
    nothing = Gram(np.zeros((targets, predictions, predictions)), Moments(targets))
    grams = [nothing for _ in folds]
    for fold, gram in chunks:
        grams[fold] = grams[fold] + gram
    return FoldedGram(tuple(artifacts), tuple(folds), tuple(grams))


def time_folds(months: Sequence[str]) -> List[str]:
    """Return the fold of every validation step, given their months in order of time.

    It is the step's month if there are at least three months, else one of four runs of consecutive
    steps.
    """
    if len(set(months)) >= 3:
        return list(months)
    count = min(4, len(months))
    return [f"part {1 + k * count // len(months)} of {count}" for k in range(len(months))]


def score(metric: np.ndarray) -> Score:
    """Score (T,) R2 of the predicted targets over all 368 targets and per group.

    The 76 targets that are formulas count 1.
    """
    r2 = dict(zip(PREDICTED, metric))
    return score_network_order(np.array([r2.get(name, 1.0) for name in NETWORK_TARGETS]))
