"""Error Gram matrices: all that any question about a linear blend needs to know of its artifacts' predictions.

A blend of weights w has on target t the squared error sum w' G_t w, G_t = E_t' E_t, E_t (N, A) the errors of A
predictions: exact for weights that sum to one, one pass over the rows, float64, and without cancellation because it is
errors that are multiplied. The last of the A = M + 1 predictions is always 0 in raw units and takes 1 - sum(w), so
weights of any sum are covered. R2 does not change under a scale per target, so any unit will do in which 0 is raw 0.
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

COLUMNS = kaggle_positions(
    PREDICTED
)  # the T = 292 targets that networks predict; the other 76 are formulas


@dataclass(frozen=True)
class Gram:
    """Of some rows: products (T, A, A) of errors, and the moments of the truth (T columns)."""

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
        """(T, A, A) products over the truth's sum of squared deviations: 1 - R2; all 0 where the truth is constant."""
        sst = self.truth.m2[:, None, None]
        return np.divide(self.products, sst, out=np.zeros_like(self.products), where=sst > 0)

    def errors(self, weights: np.ndarray) -> np.ndarray:
        """weights (M,), or (T, M) of its own for each target -> (T,) squared error sums of the blend."""
        every = with_zero(
            np.broadcast_to(weights, (len(self.products), self.products.shape[1] - 1))
        )
        return np.einsum("ti,tij,tj->t", every, self.products, every)

    def metric(self, errors: np.ndarray) -> np.ndarray:
        """(T,) squared error sums -> (T,) R2 as the team's validation counts it.

        A target at or below 0 is given the score of predicting raw 0 where that is better; as that is never above 0, it
        is a floor. A constant truth scores 1 when met exactly, else 0 (sklearn's r2_score).
        """
        return np.maximum(self._r2(errors), self._r2(self.zero))

    def _r2(self, errors: np.ndarray) -> np.ndarray:
        constant = self.truth.m2 == 0
        return np.where(
            constant,
            np.where(errors == 0, 1.0, 0.0),
            1.0 - errors / np.where(constant, 1.0, self.truth.m2),
        )

    def counted(self, errors: np.ndarray) -> np.ndarray:
        """(T,) whether a target's score depends on the weights at these errors: neither constant nor at the floor."""
        return (self.truth.m2 > 0) & (errors < self.zero)


def with_zero(weights: np.ndarray) -> np.ndarray:
    """(..., M) -> (..., A): what the weights lack to a sum of one goes to the prediction of raw 0."""
    return np.concatenate([weights, 1.0 - weights.sum(axis=-1, keepdims=True)], axis=-1)


@dataclass(frozen=True)
class FoldedGram:
    """Gram matrices per fold of time. Validation months are correlated: only whole months held out show overfitting."""

    artifacts: Tuple[str, ...]
    folds: Tuple[str, ...]
    parts: Tuple[Gram, ...]

    @functools.cached_property
    def whole(self) -> Gram:
        return functools.reduce(Gram.__add__, self.parts)

    def without(self, fold: int) -> FoldedGram:
        keep = [k for k in range(len(self.folds)) if k != fold]
        return FoldedGram(
            self.artifacts, tuple(self.folds[k] for k in keep), tuple(self.parts[k] for k in keep)
        )

    def choosing(self, artifacts: Sequence[int]) -> FoldedGram:
        """Of some of the artifacts, in the order in which they are named."""
        keep = [*artifacts, len(self.artifacts)]
        parts = tuple(Gram(part.products[:, keep][:, :, keep], part.truth) for part in self.parts)
        return FoldedGram(tuple(self.artifacts[k] for k in artifacts), self.folds, parts)

    def save(self, path: Path) -> None:
        with atomic(path) as temporary, open(temporary, "wb") as handle:
            np.savez(
                handle,
                artifacts=np.array(self.artifacts),
                folds=np.array(self.folds),
                targets=np.array(PREDICTED),
                products=np.stack([part.products for part in self.parts]),
                count=np.array([part.truth.count for part in self.parts]),
                mean=np.stack([part.truth.mean for part in self.parts]),
                m2=np.stack([part.truth.m2 for part in self.parts]),
            )


def load(path: Path) -> FoldedGram:
    """What save wrote. Raises KitError."""
    remedy = "remove it and run the same command again"
    with explain_os_errors(path, remedy):
        try:
            with np.load(str(path), allow_pickle=False) as held:
                parts = [
                    Gram(products, _moments(int(count), mean, m2))
                    for products, count, mean, m2 in zip(
                        held["products"], held["count"], held["mean"], held["m2"]
                    )
                ]
                found = FoldedGram(
                    tuple(map(str, held["artifacts"])), tuple(map(str, held["folds"])), tuple(parts)
                )
        except (
            ValueError,
            KeyError,
            EOFError,
            TypeError,
            AttributeError,
            zipfile.BadZipFile,
        ) as error:
            raise KitError("is cut off, or no Gram matrices", path, remedy) from error
    return found


def _moments(count: int, mean: np.ndarray, m2: np.ndarray) -> Moments:
    found = Moments(len(mean))
    found.count, found.mean, found.m2 = count, mean, m2
    return found


def of_rows(
    truth: np.ndarray,
    errors: np.ndarray,
    artifacts: Sequence[object],
    targets: Sequence[str] = PREDICTED,
) -> Gram:
    """truth (T, n), errors (T, A, n), of which the last are set here -> their Gram. Raises KitError for a NaN.

    artifacts, targets  what the errors are of, for the sentence
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
    """Of the same rows and other targets -> of all targets."""
    moments = _moments(
        grams[0].truth.count,
        np.concatenate([one.truth.mean for one in grams]),
        np.concatenate([one.truth.m2 for one in grams]),
    )
    return Gram(np.concatenate([one.products for one in grams]), moments)


def folded(
    artifacts: Sequence[str], folds: Sequence[str], found: Iterable[Tuple[int, Gram]]
) -> FoldedGram:
    """Adds up (fold, Gram) in the order in which they come."""
    nothing = Gram(
        np.zeros((len(COLUMNS), len(artifacts) + 1, len(artifacts) + 1)), Moments(len(COLUMNS))
    )
    parts = [nothing for _ in folds]
    for fold, gram in found:
        parts[fold] = parts[fold] + gram
    return FoldedGram(tuple(artifacts), tuple(folds), tuple(parts))


def time_folds(months: Sequence[str]) -> List[str]:
    """The fold of every validation step, given their months in order of time.

    Its month where there are at least three of them, else one of four runs of consecutive steps.
    """
    if len(set(months)) >= 3:
        return list(months)
    count = min(4, len(months))
    return ["part %d of %d" % (1 + k * count // len(months), count) for k in range(len(months))]


def score(metric: np.ndarray) -> Score:
    """(T,) R2 of the predicted targets -> the score over 368 columns, of which the 76 formulas count 1, and its parts."""
    r2 = dict(zip(PREDICTED, metric))
    return score_network_order(np.array([r2.get(name, 1.0) for name in NETWORK_TARGETS]))
