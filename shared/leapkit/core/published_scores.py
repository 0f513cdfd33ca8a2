"""The R2 that the team published of its blend and of each network (standard library only).

Source: docs/reference/published.md, "Scores".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping


@dataclass(frozen=True)
class Published:
    """R2 over all targets: the team's validation, and Kaggle's two leaderboards."""

    cv: float
    public: float
    private: float


BLEND = Published(0.7955, 0.79211, 0.78856)
NETWORKS: Mapping[str, Published] = {
    "max2020/022": Published(0.7908, 0.78793, 0.78434),
    "max2020/021": Published(0.7904, 0.78752, 0.78425),
    "forcewithme/32": Published(0.790, 0.7865, 0.78398),
    "forcewithme/38": Published(0.7897, 0.78719, 0.78362),
    "forcewithme/37": Published(0.7896, 0.78618, 0.78293),
    "forcewithme/18": Published(0.7890, 0.7863, 0.78272),
    "forcewithme/40": Published(0.7885, 0.7853, 0.78261),
    "forcewithme/39": Published(0.789, 0.78699, 0.78257),
    "max2020/015": Published(0.7905, 0.78695, 0.78244),
    "max2020/014": Published(0.7905, 0.78641, 0.78214),
    "max2020/010": Published(0.7888, 0.78619, 0.78213),
    "joseph/912sep": Published(0.78935, 0.78528, 0.78150),
    "joseph/907": Published(0.7855, 0.78289, 0.77873),
    "adam/195": Published(0.78569, 0.78334, 0.77753),
    "adam/197": Published(0.7855, 0.78269, 0.777),
    "adam/200": Published(0.7836, 0.78010, 0.77434),
}


def of_network(name: str) -> Dict[str, float]:
    """Return {"cv", "public", "private"} of a network such as adam/195; {} if it has none."""
    scores = NETWORKS.get(name)
    return vars(scores).copy() if scores else {}
