"""Exact optima of w'Sw over weights.

Closed forms, and SciPy's non-negative least squares (Lawson and Hanson).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls


def sum_one(s: np.ndarray, penalty: float = 0.0) -> np.ndarray:
    """Minimise w'Sw + penalty * mean(diag S) * |w|^2 over weights that sum to one.

    s  (..., M, M)

    Returns (..., M). With a sum of one, |w|^2 is the distance from equal weights but for a
    constant, so the penalty shrinks towards equal weights. Solves the optimality conditions [[S,
    1], [1', 0]] [w; m] = [0; 1]. Without a penalty by the pseudo-inverse, which shares a weight
    evenly between two artifacts that are the same. Its relative cut-off 1e-12 is far below what
    tells networks apart (1e-7).
    """
    count = s.shape[-1]
    scale = np.trace(s, axis1=-2, axis2=-1)[..., None, None] / count
    conditions = np.zeros(s.shape[:-2] + (count + 1, count + 1))
    conditions[..., :count, :count] = s / np.where(scale > 0, scale, 1.0) + penalty * np.eye(count)
    conditions[..., :count, count] = 1.0
    conditions[..., count, :count] = 1.0
    if penalty > 0:
        right_side = np.zeros(conditions.shape[:-1] + (1,))
        right_side[..., count, 0] = 1.0
        solution: np.ndarray = np.linalg.solve(conditions, right_side)[..., :count, 0]
        return solution
    return np.linalg.pinv(conditions, rcond=1e-12, hermitian=True)[..., :count, count]


def simplex(s: np.ndarray) -> np.ndarray:
    """Minimise w'Sw over weights of sum one, none of them negative: S (M, M) -> (M,).

    The minimum of u'Su + (1'u - 1)^2 over u >= 0 lies on the ray of the solution: with u = c w the
    best c leaves v / (1 + v), v = w'Sw, which grows with v. So it is a problem of non-negative
    least squares, solved exactly.
    """
    count = len(s)
    scale = np.trace(s) / count or 1.0
    solution: np.ndarray
    solution, _ = nnls(
        np.vstack([_root(s / scale), np.ones(count)]), np.append(np.zeros(count), 1.0)
    )
    weights: np.ndarray = solution / solution.sum()
    return weights


def non_negative(s: np.ndarray) -> np.ndarray:
    """Minimise w'Sw over non-negative weights of any sum: S (A, A) -> (M,).

    The last row of S is of predicting 0.
    """
    root = _root(s)  # |root @ w|^2 = w'Sw
    weights: np.ndarray
    weights, _ = nnls(root[:, :-1] - root[:, -1:], -root[:, -1])
    return weights


def _root(s: np.ndarray) -> np.ndarray:
    """Return R with R'R = S, also if S has a zero eigenvalue, which rounding may make negative."""
    values, vectors = np.linalg.eigh(s)
    root: np.ndarray = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return root
