"""Statistics and old weights that could be of some climate, made without any data."""

from __future__ import annotations

from typing import Dict

import numpy as np

from leapkit.core.columns import INPUTS, OUTPUT_SCALARS, TARGETS, kaggle_positions
from leapkit.data.families import ABLATED, FAMILIES

_MEANS = {"state_t": 250.0, "state_ps": 98_000.0, "state_u": 5.0, "state_v": -0.5}


def weights(seed: int = 0) -> np.ndarray:
    """Return (368,) old weights: 1 / std, and 0 where Kaggle's are."""
    weight = 10.0 ** np.random.RandomState(seed).uniform(4, 9, len(TARGETS))
    for name, unit in OUTPUT_SCALARS:
        weight[TARGETS.index(name)] = 0.01 if unit == "W/m2" else 1e8
    weight[kaggle_positions(ABLATED)] = 0.0
    return weight


def tables(family: str, seed: int = 0) -> Dict[str, Dict[str, float]]:
    """Return mean.json and std.json of a family, those of targets already times their weights."""
    draw = np.random.RandomState(seed)
    mean, std = {}, {}
    for name in INPUTS:
        mean[name] = _MEANS.get(name.rsplit("_", 1)[0] if name[-1].isdigit() else name, 1e-6)
        std[name] = float(draw.uniform(0.1, 2.0))
    for name in TARGETS:
        dead = name in ABLATED
        mean[name] = 0.0 if dead else float(draw.uniform(-1, 1))
        std[name] = FAMILIES[family].std_floor if dead else float(draw.uniform(0.9, 1.1))
    return {"mean.json": mean, "std.json": std}
