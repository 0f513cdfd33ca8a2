"""Rules that weigh the targets in the loss (option `target_weights`), each of mean 1 over all 368.

groups   each of the seven groups weighs alike: 368 / 7 / (targets of the group)
scored   the 292 targets that the score counts weigh 368 / 292, and the 76 that submissions
         overwrite weigh nothing (docs/reference/data_pipeline.md, "Submission values")
targets  those 292 by the inverse of their unexplained variance: 1 / max(m, 0.01) / (mean of that
         over all 368), where m is a running mean of the squared standardised error. It makes the
         loss, near its minimum, that of the logarithms of the targets' errors: all shrink by equal
         shares. A task's weight is the inverse of its variance in Kendall, Gal and Cipolla (2018),
         arXiv 1705.07115.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

import torch

from leapkit.core.columns import GROUPS, PREDICTED, TARGETS, network_positions
from leapkit.run.processes import Processes

_DECAY = 0.99  # of the running mean per update, less in the first ones
_LEAST = 0.01  # of unexplained variance that counts: a target better than that gains no weight


def rule(name: str, device: torch.device) -> TargetWeights:
    """Return the rule of a name; "" is the one that weighs nothing."""
    if name == "targets":
        return _ByError(device)
    weights = {"": None, "groups": _groups, "scored": _scored}[name]
    return TargetWeights(weights().to(device) if weights else None)


class TargetWeights:
    """Weights that stay as they are.

    weights  (368,) float32, network order; None if the targets are not weighed
    """

    def __init__(self, weights: Optional[torch.Tensor]) -> None:
        self.weights = weights

    def update(
        self, prediction: torch.Tensor, y: torch.Tensor, processes: Processes, batch: int
    ) -> None:
        """Learn from a batch what the weights of the next one are.

        prediction, y  (B, 368) of this process's rows
        batch          rows of the whole batch
        """

    def state_dict(self) -> Dict[str, Any]:
        """Return what later weights depend on, {} if they do not change."""
        return {}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Go on from what state_dict() returned."""


class _ByError(TargetWeights):
    """The rule `targets`. Before the first batch every target's error is 1: that of its mean."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(_scored().to(device))
        self._counted = (_scored() > 0).to(device)
        self._errors = torch.ones(len(TARGETS), device=device)
        self._updates = 0

    def update(
        self, prediction: torch.Tensor, y: torch.Tensor, processes: Processes, batch: int
    ) -> None:
        squared = (prediction.detach() - y).square().mean(dim=0)
        keep = min(_DECAY, (1 + self._updates) / (10 + self._updates))
        self._errors.lerp_(processes.mean(processes.weighted(squared, batch)), 1 - keep)
        self._updates += 1
        self._weigh()

    def _weigh(self) -> None:
        weights = self._counted / self._errors.clamp(min=_LEAST)
        self.weights = weights / weights.mean()

    def state_dict(self) -> Dict[str, Any]:
        return {"errors": self._errors, "updates": self._updates}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self._errors.copy_(state["errors"])
        self._updates = state["updates"]
        if self._updates:
            self._weigh()


def _groups() -> torch.Tensor:
    weights = torch.empty(len(TARGETS))
    for group in GROUPS:
        weights[group] = len(TARGETS) / len(GROUPS) / (group.stop - group.start)
    return weights


def _scored() -> torch.Tensor:
    weights = torch.zeros(len(TARGETS))
    weights[network_positions(PREDICTED)] = len(TARGETS) / len(PREDICTED)
    return weights
