"""Exact optima of w' S w over weights: closed forms, and SciPy's non-negative least squares (Lawson and Hanson)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls


def sum_one(s: np.ndarray, penalty: float = 0.0) -> np.ndarray:
    """S (..., M, M) -> (..., M): the minimum of w'Sw + penalty * mean(diag S) * |w|^2 over weights that sum to one.

    With a sum of one |w|^2 is the distance from equal weights but for a constant: the penalty shrinks towards those.
    Solves the optimality conditions [[S, 1], [1', 0]] [w; m] = [0; 1], without a penalty by the pseudo-inverse, which
    shares a weight evenly where two artifacts are the same. Its relative cut-off 1e-12 is far below what tells networks
    apart (1e-7).
    """
    count = s.shape[-1]
    scale = np.trace(s, axis1=-2, axis2=-1)[..., None, None] / count
    conditions = np.zeros(s.shape[:-2] + (count + 1, count + 1))
    conditions[..., :count, :count] = s / np.where(scale > 0, scale, 1.0) + penalty * np.eye(count)
    conditions[..., :count, count] = conditions[..., count, :count] = 1.0
    if penalty > 0:
        wanted = np.zeros(conditions.shape[:-1] + (1,))
        wanted[..., count, 0] = 1.0
        return np.linalg.solve(conditions, wanted)[..., :count, 0]
    return np.linalg.pinv(conditions, rcond=1e-12, hermitian=True)[..., :count, count]


def simplex(s: np.ndarray) -> np.ndarray:
    """S (M, M) -> (M,): the minimum of w'Sw over weights of sum one, none of them negative.

    The minimum of u'Su + (1'u - 1)^2 over u >= 0 is on the ray of that: with u = c w the best c leaves v / (1 + v),
    v = w'Sw, which grows with v. So it is a problem of non-negative least squares, solved exactly.
    """
    count = len(s)
    scale = np.trace(s) / count or 1.0
    found, _ = nnls(np.vstack([_root(s / scale), np.ones(count)]), np.append(np.zeros(count), 1.0))
    return found / found.sum()


def non_negative(s: np.ndarray) -> np.ndarray:
    """S (A, A), the last row of predicting 0 -> (M,): the minimum over non-negative weights of any sum."""
    root = _root(s)  # |root @ w|^2 = w'Sw
    found, _ = nnls(root[:, :-1] - root[:, -1:], -root[:, -1])
    return found


def _root(s: np.ndarray) -> np.ndarray:
    """R with R'R = S, also where S has a zero eigenvalue (rounding may make it negative)."""
    values, vectors = np.linalg.eigh(s)
    root: np.ndarray = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return root
