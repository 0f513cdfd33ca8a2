"""The optimiser and the learning-rate schedule that a recipe describes.

Source: docs/reference/models.md, "Schedules".
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, List, Optional

import torch
from torch import nn

from leapkit.core.recipes import CosineRestarts, PlateauSchedule, Recipe

_KERNELS = ("fused", "foreach")  # what an optimiser says of its kernels, where torch has several


def make_optimiser(
    network: nn.Module, recipe: Recipe, head: Optional[nn.Module] = None
) -> torch.optim.Optimizer:
    """Return the recipe's optimiser, with one group of parameters per prefix of its learning rates.

    head  learns at the highest of them, in a group of its own

    Raises ValueError if no parameter's name begins with a prefix.
    """
    groups: List[Dict[str, Any]] = []
    for prefix, rate in recipe.rates.items():
        parameters = [
            parameter
            for name, parameter in network.named_parameters()
            if not prefix or name.split(".")[0] == prefix
        ]
        if not parameters:
            raise ValueError(f"no parameter's name begins with {prefix}")
        groups.append({"params": parameters, "lr": rate})
    if head:
        rate = max(recipe.rates.values())
        groups.append({"params": list(head.parameters()), "lr": rate})
    optimisers: Dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }
    make = optimisers[recipe.optimiser]
    options = {"fused": True} if _can_be_fused(make, network) else {}
    return make(groups, betas=recipe.betas, weight_decay=recipe.weight_decay, **options)


def _can_be_fused(make: Callable[..., Any], network: nn.Module) -> bool:
    """Return whether one kernel of a GPU can make a whole update: of torch 2, not of 1.10."""
    on_gpu = all(parameter.is_cuda for parameter in network.parameters())
    return on_gpu and "fused" in inspect.signature(make).parameters


def load_optimiser(optimiser: torch.optim.Optimizer, state: Dict[str, Any]) -> None:
    """Load a state, whichever kernels the optimiser had that it is of.

    They differ in rounding, not in what they hold; the optimiser keeps its own.
    """
    kernels = {name: optimiser.defaults[name] for name in _KERNELS if name in optimiser.defaults}
    groups = [dict(group, **kernels) for group in state["param_groups"]]
    optimiser.load_state_dict(dict(state, param_groups=groups))


class Schedule:
    """Steps torch's scheduler at the moments that the recipe's kind of schedule asks for.

    Cosine restarts are stepped after every update, a plateau schedule after every evaluation.
    """

    def __init__(self, recipe: Recipe, optimiser: torch.optim.Optimizer) -> None:
        schedule = recipe.schedule
        self._cosine = None
        self._plateau = None
        if isinstance(schedule, CosineRestarts):
            self._cosine = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
                optimiser, T_0=schedule.first, T_mult=schedule.factor, eta_min=schedule.min_lr
            )
        elif isinstance(schedule, PlateauSchedule):
            self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimiser,
                mode="min",
                factor=schedule.factor,
                patience=schedule.patience,
                min_lr=schedule.min_lr,
            )

    def after_update(self, epoch: int, step: int, steps: int) -> None:
        """Call after each optimiser step: `step` of `steps` in `epoch`, both counted from 0.

        As in the team's code, the scheduler is stepped with the index of the update just done, so
        the first two updates of a run use the initial rate.
        """
        if self._cosine is not None:
            self._cosine.step(epoch + step / steps)

    def after_evaluation(self, score: float) -> None:
        """Call after each evaluation with its score; higher is better."""
        if self._plateau is not None:
            self._plateau.step(-score)

    def state_dict(self) -> Dict[str, Any]:
        scheduler = self._cosine or self._plateau
        return dict(scheduler.state_dict()) if scheduler else {}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        scheduler = self._cosine or self._plateau
        if scheduler:
            scheduler.load_state_dict(state)
