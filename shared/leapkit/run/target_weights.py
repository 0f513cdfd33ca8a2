"""Rules that weigh the targets in the loss (option `target_weights`), each of mean 1 over all 368.

groups   each of the seven groups weighs alike: 368 / 7 / (targets of the group)
scored   the 292 targets that the score counts weigh 368 / 292, and the 76 that submissions
         overwrite weigh nothing (docs/reference/data_pipeline.md, "Submission values")
targets  those 292 by the inverse of their unexplained variance: 1 / max(m, 0.01) / (mean of that
         over all 368), where m is a running mean of the squared standardised error. It makes the
         loss, near its minimum, that of the logarithms of the targets' errors: all shrink by equal
         shares. A task's weight is the inverse of its variance in Kendall, Gal and Cipolla (2018),
         arXiv 1705.07115.
tails    by s / (2 beta h), divided by its mean, where s is that running mean of squares and h one
         of the SmoothL1 loss of the same errors. A target then counts by its squared error, of
         which its R2 is made; SmoothL1 counts rare large errors for less.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

import torch
from torch.nn.functional import smooth_l1_loss

from leapkit.core.columns import GROUPS, PREDICTED, TARGETS, network_positions
from leapkit.run.processes import Processes

_DECAY = 0.99  # of the running mean per update, less in the first ones
_TINY = 1e-30
_LEAST = 0.01  # of unexplained variance that counts: a target better than that gains no weight


def rule(name: str, device: torch.device, beta: float = 1.0) -> TargetWeights:
    """Return the rule of a name; "" is the one that weighs nothing. `beta` is of the loss."""
    if name == "targets":
        return _ByError(device)
    if name == "tails":
        return _ByTails(device, beta)
    weights = {"": None, "groups": _groups, "scored": _scored}[name]
    return TargetWeights(weights().to(device) if weights else None)


class TargetWeights:
    """Weights that stay as they are.

    weights  (368,) float64, network order; None if the targets are not weighed
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


class _Learned(TargetWeights):
    """Weights from running means over updates of what a batch's errors are."""

    def __init__(self, means: torch.Tensor) -> None:
        super().__init__(None)
        self._means = means  # (K, 368) float64, before the first batch those of a mean target
        self._updates = 0
        self._weigh()

    def update(
        self, prediction: torch.Tensor, y: torch.Tensor, processes: Processes, batch: int
    ) -> None:
        of_rows = self._moments((prediction.detach() - y).double())
        moments = processes.mean(processes.weighted(of_rows, batch))
        keep = min(_DECAY, (1 + self._updates) / (10 + self._updates))
        self._means.lerp_(moments, 1 - keep)
        self._updates += 1
        self._weigh()

    def _moments(self, errors: torch.Tensor) -> torch.Tensor:
        """Return means over rows (K, 368) of errors (B, 368)."""
        raise NotImplementedError

    def _relative(self) -> torch.Tensor:
        """Return the weights (368,) up to a factor."""
        raise NotImplementedError

    def _weigh(self) -> None:
        weights = self._relative()
        self.weights = weights / weights.mean()

    def state_dict(self) -> Dict[str, Any]:
        return {"means": self._means, "updates": self._updates}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self._means.copy_(state["means"])
        self._updates = state["updates"]
        self._weigh()


class _ByError(_Learned):
    """The rule `targets`."""

    def __init__(self, device: torch.device) -> None:
        self._counted = (_scored() > 0).to(device)
        super().__init__(torch.ones(1, len(TARGETS), dtype=torch.float64, device=device))

    def _moments(self, errors: torch.Tensor) -> torch.Tensor:
        return errors.square().mean(dim=0, keepdim=True)

    def _relative(self) -> torch.Tensor:
        return self._counted / self._means[0].clamp(min=_LEAST)


class _ByTails(_Learned):
    """The rule `tails`. Of errors below beta, s is 2 beta h: the weight is then 1."""

    def __init__(self, device: torch.device, beta: float) -> None:
        self._beta = beta
        means = torch.ones(2, len(TARGETS), dtype=torch.float64, device=device)
        means[1] /= 2 * beta
        super().__init__(means)

    def _moments(self, errors: torch.Tensor) -> torch.Tensor:
        zero = torch.zeros_like(errors)
        smooth = smooth_l1_loss(errors, zero, beta=self._beta, reduction="none")
        return torch.stack([errors.square().mean(dim=0), smooth.mean(dim=0)])

    def _relative(self) -> torch.Tensor:
        # Constant targets are met exactly: 0 / 0 would be NaN.
        squares, smooth = self._means.clamp(min=_TINY)
        weights: torch.Tensor = squares / (2 * self._beta * smooth)
        return weights


def _groups() -> torch.Tensor:
    weights = torch.empty(len(TARGETS), dtype=torch.float64)
    for group in GROUPS:
        weights[group] = len(TARGETS) / len(GROUPS) / (group.stop - group.start)
    return weights


def _scored() -> torch.Tensor:
    weights = torch.zeros(len(TARGETS), dtype=torch.float64)
    weights[network_positions(PREDICTED)] = len(TARGETS) / len(PREDICTED)
    return weights
