"""Hill climbing over blend weights as the field does it: each artifact enters at most once, at its best weight."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from blend.gram import Gram

# The step sizes that an artifact may enter with: -0.50, -0.49, ... 0.50.
STEPS = np.round(np.arange(-50, 51) / 100.0, 2)
_ROUNDING = 1e-13  # of a mean R2: no artifact enters for less
Path = List[Tuple[int, float, float]]  # (artifact, step, mean R2 of the part's targets after it)


def best_artifact(gram: Gram, starts: np.ndarray) -> np.ndarray:
    """(P, M): all weight to the artifact that alone is best for a part; where several are, to the smallest error."""
    own = np.diagonal(gram.scaled, axis1=1, axis2=2)[:, :-1]
    floored, whole = (
        np.add.reduceat(each, starts) for each in (np.minimum(own, gram.scaled[:, -1:, -1]), own)
    )
    tied = floored == floored.min(axis=1, keepdims=True)
    return np.eye(own.shape[1])[np.where(tied, whole, np.inf).argmin(axis=1)]


def hill_climb(gram: Gram, starts: np.ndarray) -> Tuple[np.ndarray, List[Path]]:
    """-> weights (P, M) and P paths: one climb for each part of the targets, all parts at once.

    starts  (P,) the first target of every part; a part ends where the next one starts

    Starts at the best single artifact; every round mixes one unused artifact in, old * (1 - step) + new * step, at the
    artifact and step that gain most in the mean of the published R2 (Gram.metric), and stops when none gains. The weights
    keep summing to one. A candidate costs microseconds: per target a quadratic in the step, and a floor.
    """
    s = gram.scaled[:, :-1, :-1]  # (T, M, M)
    count, parts = s.shape[1], np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(s))))
    varies = gram.truth.m2 > 0
    floor = np.divide(gram.zero, gram.truth.m2, out=np.zeros(len(s)), where=varies)  # (T,)
    size = np.bincount(parts).astype(float)
    own = np.diagonal(s, axis1=1, axis2=2)  # (T, M)
    constant = np.add.reduceat(
        np.where(varies, 1.0, gram.metric(gram.zero)), starts
    )  # what no weight changes

    weights = best_artifact(gram, starts)  # (P, M)
    loss = np.add.reduceat(np.minimum(own, floor[:, None]), starts)  # (P, M)
    reached = (constant - loss.min(axis=1)) / size  # (P,)
    paths: List[Path] = [
        [(int(k), 1.0, float(r2))] for k, r2 in zip(weights.argmax(axis=1), reached)
    ]
    unused = weights == 0
    climbing = np.ones(len(starts), dtype=bool)
    while climbing.any() and unused.any():
        left = np.flatnonzero(unused.any(axis=0))
        toward = np.einsum("tij,tj->ti", s, weights[parts])  # (T, M)
        error = np.einsum("ti,ti->t", toward, weights[parts])[:, None, None]
        # (1-s)^2 w'Sw + 2 s (1-s) w'S_k + s^2 S_kk for all artifacts and steps at once
        errors = (
            (1 - STEPS) ** 2 * error
            + 2 * STEPS * (1 - STEPS) * toward[:, left, None]
            + STEPS**2 * own[:, left, None]
        )  # (T, left, steps)
        np.minimum(errors, floor[:, None, None], out=errors)
        loss = np.add.reduceat(errors, starts)
        loss[~unused[:, left]] = np.inf
        loss = loss.reshape(len(starts), -1)
        best = loss.argmin(axis=1)
        r2 = (constant - loss.min(axis=1)) / size
        climbing = climbing & (r2 > reached + _ROUNDING)
        for p in np.flatnonzero(climbing):
            k, step = int(left[best[p] // len(STEPS)]), float(STEPS[best[p] % len(STEPS)])
            weights[p] = weights[p] * (1 - step) + np.eye(count)[k] * step
            reached[p], unused[p, k] = r2[p], False
            paths[p].append((k, step, float(r2[p])))
    return weights, paths
