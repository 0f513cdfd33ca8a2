"""Hill climbing over blend weights as the field does it.

Each artifact enters at most once, at its best weight.

Shapes: T targets in P blocks, M artifacts, A = M + 1 predictions (blend.gram).
"""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

import numpy as np

from blend.gram import Gram

# The step sizes that an artifact may enter with: -0.50, -0.49, ... 0.50.
STEPS = np.round(np.arange(-50, 51) / 100.0, 2)
_ROUNDING = 1e-13  # of a mean R2: no artifact enters for less


class ClimbStep(NamedTuple):
    """One artifact that enters the blend.

    artifact  its position
    step      its step size
    r2        the mean R2 of the block's targets afterwards
    """

    artifact: int
    step: float
    r2: float


def best_artifact(gram: Gram, starts: np.ndarray) -> np.ndarray:
    """Return (P, M): all weight to the artifact that alone is best for a block.

    A tie goes to the smallest error.
    """
    alone = np.diagonal(gram.scaled, axis1=1, axis2=2)[:, :-1]  # (T, M)
    floored = np.add.reduceat(np.minimum(alone, gram.scaled[:, -1:, -1]), starts)  # (P, M)
    whole = np.add.reduceat(alone, starts)
    tied = floored == floored.min(axis=1, keepdims=True)
    weights: np.ndarray = np.eye(alone.shape[1])[np.where(tied, whole, np.inf).argmin(axis=1)]
    return weights


def hill_climb(gram: Gram, starts: np.ndarray) -> Tuple[np.ndarray, List[List[ClimbStep]]]:
    """Climb once for each block of targets, all blocks at once.

    starts  (P,) the first target of every block; a block ends where the next one starts

    Returns weights (P, M) and P paths.

    Starts at the best single artifact. Every round mixes one unused artifact in, old * (1 - step) +
    new * step, at the artifact and step that gain most in the mean of the published R2
    (Gram.metric), and stops when none gains. The weights keep summing to one. A candidate costs
    microseconds: per target a quadratic in the step, and a floor.
    """
    s = gram.scaled[:, :-1, :-1]  # (T, M, M)
    count = s.shape[1]
    blocks = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(s))))  # (T,)
    varies = gram.truth.m2 > 0
    floor = np.divide(gram.zero, gram.truth.m2, out=np.zeros(len(s)), where=varies)  # (T,)
    size = np.bincount(blocks).astype(float)
    alone = np.diagonal(s, axis1=1, axis2=2)  # (T, M)
    # What no weight changes: the R2 of constant targets.
    constant = np.add.reduceat(np.where(varies, 1.0, gram.metric(gram.zero)), starts)  # (P,)

    weights = best_artifact(gram, starts)  # (P, M)
    loss = np.add.reduceat(np.minimum(alone, floor[:, None]), starts)  # (P, M)
    reached = (constant - loss.min(axis=1)) / size  # (P,)
    paths = [[ClimbStep(int(k), 1.0, float(r2))] for k, r2 in zip(weights.argmax(axis=1), reached)]
    unused = weights == 0
    climbing = np.ones(len(starts), dtype=bool)
    while climbing.any() and unused.any():
        left = np.flatnonzero(unused.any(axis=0))
        toward = np.einsum("tij,tj->ti", s, weights[blocks])  # (T, M)
        error = np.einsum("ti,ti->t", toward, weights[blocks])[:, None, None]
        # (1-s)^2 w'Sw + 2 s (1-s) w'S_k + s^2 S_kk for all artifacts and steps at once
        errors = (
            (1 - STEPS) ** 2 * error
            + 2 * STEPS * (1 - STEPS) * toward[:, left, None]
            + STEPS**2 * alone[:, left, None]
        )  # (T, left, steps)
        np.minimum(errors, floor[:, None, None], out=errors)
        loss = np.add.reduceat(errors, starts)
        loss[~unused[:, left]] = np.inf
        loss = loss.reshape(len(starts), -1)
        best = loss.argmin(axis=1)
        r2 = (constant - loss.min(axis=1)) / size
        climbing = climbing & (r2 > reached + _ROUNDING)
        for p in np.flatnonzero(climbing):
            k = int(left[best[p] // len(STEPS)])
            step = float(STEPS[best[p] % len(STEPS)])
            weights[p] = weights[p] * (1 - step) + np.eye(count)[k] * step
            reached[p] = r2[p]
            unused[p, k] = False
            paths[p].append(ClimbStep(k, step, float(r2[p])))
    return weights, paths
