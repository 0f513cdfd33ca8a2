"""One unit for the predictions of all networks: the standardised one of one family of statistics.

The 60 zero targets and the 16 linear ones are formulas, which no network predicts: they are 0 here,
and get no correction.
"""

from __future__ import annotations

import numpy as np

from leapkit.core.columns import (
    LINEAR,
    TARGETS_TO_KAGGLE,
    TARGETS_TO_NETWORK,
    ZERO,
    kaggle_positions,
    network_positions,
)
from leapkit.data.scaling import Scaling

_FORMULAS = network_positions(ZERO + LINEAR)
_RAW_FORMULAS = kaggle_positions(ZERO + LINEAR)


class Unit:
    """The standardised unit of a scaling."""

    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling

    def of_weighted(self, weighted: np.ndarray) -> np.ndarray:
        """(n, 368) float64 y * weight, Kaggle order -> (n, 368) float32, network order."""
        scaling = self.scaling
        z = ((weighted - scaling.target_mean) / scaling.target_std).astype(np.float32)
        ordered: np.ndarray = z[:, TARGETS_TO_NETWORK]
        ordered[:, _FORMULAS] = 0
        return ordered

    def of_raw(self, y: np.ndarray) -> np.ndarray:
        """(n, 368) float64 raw, Kaggle order -> (n, 368) float32, network order."""
        return self.of_weighted(y * self.scaling.weight)

    def raw_correction(self, correction: np.ndarray) -> np.ndarray:
        """(n, 368) float32, network order -> (n, 368) float64 raw, Kaggle order; 0 in formulas."""
        weight = self.scaling.weight.copy()
        weight[_RAW_FORMULAS] = 1.0  # the old weight is 0 in some, and must not divide
        z = correction[:, TARGETS_TO_KAGGLE].astype(np.float64)
        y: np.ndarray = z * self.scaling.target_std / weight
        y[:, _RAW_FORMULAS] = 0.0
        return y
