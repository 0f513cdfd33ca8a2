"""A table's weight of every artifact for every target."""

from __future__ import annotations

import numpy as np

from blend.tables import WeightTable
from leapkit.core.columns import GROUPS, TARGETS, TARGETS_TO_KAGGLE


def weights_of(table: WeightTable) -> np.ndarray:
    """Return (M, 368) float64, Kaggle order: the weight of every artifact for every target."""
    weights = np.array([row[1:] for row in table.rows], dtype=np.float64)
    if table.scope == "group":
        repeated = [
            np.repeat(weights[:, [g]], group.stop - group.start, axis=1)
            for g, group in enumerate(GROUPS)
        ]
        weights = np.concatenate(repeated, axis=1)[:, TARGETS_TO_KAGGLE]
    return np.ascontiguousarray(np.broadcast_to(weights, (len(weights), len(TARGETS))))
