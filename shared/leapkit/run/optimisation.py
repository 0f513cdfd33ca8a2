"""The optimiser and the learning-rate schedule that a recipe describes."""

from __future__ import annotations

from typing import Any, Dict, List

import torch
from torch import nn

from leapkit.core.recipes import CosineRestarts, PlateauSchedule, Recipe


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """One group of parameters per prefix of the recipe's rates. Raises ValueError for a prefix that names none."""
    groups: List[Dict[str, Any]] = []
    for prefix, rate in recipe.rates.items():
        own = [
            p
            for name, p in network.named_parameters()
            if not prefix or name.split(".")[0] == prefix
        ]
        if not own:
            raise ValueError(f"no parameter's name begins with {prefix}")
        groups.append({"params": own, "lr": rate})
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimiser]
    return kind(groups, betas=recipe.betas, weight_decay=recipe.weight_decay)


class Schedule:
    """Steps torch's scheduler where the recipe's kind of schedule is stepped: after updates, or after evaluations."""

    def __init__(self, recipe: Recipe, optimiser: torch.optim.Optimizer) -> None:
        plan = recipe.schedule
        self._cosine = self._plateau = None
        if isinstance(plan, CosineRestarts):
            self._cosine = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
                optimiser, T_0=plan.first, T_mult=plan.factor, eta_min=plan.min_lr
            )
        elif isinstance(plan, PlateauSchedule):
            self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimiser,
                mode="min",
                factor=plan.factor,
                patience=plan.patience,
                min_lr=plan.min_lr,
            )

    def after_update(self, epoch: int, step: int, steps: int) -> None:
        """`step` (from 0) of `steps` in `epoch` (from 0) was done: updates 0 and 1 of a run both have the first rate."""
        if self._cosine is not None:
            self._cosine.step(epoch + step / steps)

    def after_evaluation(self, score: float) -> None:
        """`score`: higher is better."""
        if self._plateau is not None:
            self._plateau.step(-score)

    def state_dict(self) -> Dict[str, Any]:
        held = self._cosine or self._plateau
        return dict(held.state_dict()) if held else {}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        held = self._cosine or self._plateau
        if held:
            held.load_state_dict(state)
