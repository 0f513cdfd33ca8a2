"""What a run minimises: the team's loss of all targets or of a group, as options change it."""

from __future__ import annotations

from typing import Any, Optional

import torch

from leapkit.core.columns import GROUPS, TARGETS
from leapkit.core.recipes import Recipe
from leapkit.run import target_weights
from leapkit.run.confidence import confidence_loss
from leapkit.run.losses import loss_all, loss_group
from leapkit.run.processes import Processes


class Objective:
    """The loss of a batch. Without options it is loss_all() or loss_group() and nothing more."""

    def __init__(
        self, recipe: Recipe, group: Optional[int], device: torch.device, processes: Processes
    ) -> None:
        self._recipe = recipe
        self._group = group
        self._processes = processes
        self._targets = slice(0, len(TARGETS)) if group is None else GROUPS[group]
        self._beta = recipe.smooth_l1_beta if group is None else 1.0
        self.weights = target_weights.rule(recipe.options.target_weights, device, self._beta)

    def loss(self, output: Any, y: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of this process's rows, as a scalar.

        output  (B, 368) predictions; with a confidence head (predictions, predicted errors)
        y       (B, 368); all standardised, network order
        """
        share = self._recipe.options.confidence
        prediction = output[0] if share else output
        weights = self.weights.weights
        if self._group is None:
            loss = loss_all(prediction, y, self._beta, weights)
        else:
            loss = loss_group(prediction, y, self._group, weights)
        if share:
            loss = loss + share * confidence_loss(
                output[1], prediction, y, self._targets, self._beta
            )
        self.weights.update(prediction, y, self._processes, self._recipe.batch)
        return loss
