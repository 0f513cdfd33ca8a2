"""Hill climbing over blend weights as the field does it: each artifact enters at most once, at its best weight."""
from __future__ import annotations

from typing import List, Tuple

import numpy as np

from blend.gram import mean_r2

# The step sizes that an artifact may enter with: -0.50, -0.49, ... 0.50.
STEPS = np.round(np.arange(-50, 51) / 100.0, 2)


def hill_climb(gram: np.ndarray) -> Tuple[np.ndarray, List[Tuple[int, float, float]]]:
    """S (M, M) -> (weights (M,), path of (artifact, step, mean R2)).

    Starts at the best single artifact; every round mixes one unused artifact in, old * (1 - step) + new * step, at the
    artifact and step that gain most, and stops when none gains. The weights keep summing to one.
    """
    count = len(gram)
    first = int(np.argmin(np.diag(gram)))  # the lowest error is the highest R2
    weights = np.eye(count)[first]
    path = [(first, 1.0, mean_r2(gram, weights))]
    unused = [k for k in range(count) if k != first]
    while unused:
        error, toward = weights @ gram @ weights, gram @ weights
        best = (path[-1][2], -1, 0.0)
        for k in unused:
            # (1-s)^2 w'Sw + 2 s (1-s) w'S_k + s^2 S_kk for all steps at once
            errors = (1 - STEPS) ** 2 * error + 2 * STEPS * (1 - STEPS) * toward[k] + STEPS ** 2 * gram[k, k]
            at = int(np.argmin(errors))
            if 1.0 - errors[at] > best[0]:
                best = (float(1.0 - errors[at]), k, float(STEPS[at]))
        if best[1] < 0:
            break
        _, k, step = best
        weights = weights * (1 - step) + np.eye(count)[k] * step
        unused.remove(k)
        path.append((k, step, mean_r2(gram, weights)))
    return weights, path
