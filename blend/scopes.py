"""The scopes of weights: which predicted targets share one weight vector, as a block."""

from __future__ import annotations

from typing import Dict

import numpy as np

from blend.naming import SCOPES
from leapkit.core.columns import PREDICTED

# {predicted target: its group}
GROUP_OF = {
    name: "scalars" if name.startswith("cam_out") else name.rsplit("_", 1)[0] for name in PREDICTED
}


def _starts(scope: str) -> np.ndarray:
    """Return (P,) the position in PREDICTED of the first target of every block."""
    labels = {
        "all": [""] * len(PREDICTED),
        "group": [GROUP_OF[name] for name in PREDICTED],
        "target": list(PREDICTED),
    }[scope]
    return np.array([k for k, label in enumerate(labels) if not k or label != labels[k - 1]])


# {scope: (P,) the first targets of its blocks}; a block ends where the next one starts
STARTS: Dict[str, np.ndarray] = {scope: _starts(scope) for scope in SCOPES}


def by_target(weights: np.ndarray, scope: str) -> np.ndarray:
    """Repeat the weights of blocks for each of their targets: (P, M) -> (T, M)."""
    return np.repeat(weights, np.diff(np.append(STARTS[scope], len(PREDICTED))), axis=0)
