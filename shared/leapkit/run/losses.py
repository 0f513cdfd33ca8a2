"""The team's training losses (docs/reference/models.md, "Losses"), and the same weighted by target.

Where targets are weighed, each weight multiplies its target's part of the mean, and the mean of two
neighbours' weights that of their difference.
"""

from __future__ import annotations

from typing import Optional

import torch
from torch.nn.functional import smooth_l1_loss

from leapkit.core.columns import GROUPS, LEVELS


def loss_all(
    prediction: torch.Tensor,
    label: torch.Tensor,
    beta: float,
    weights: Optional[torch.Tensor] = None,
) -> torch.Tensor:
    """Return SmoothL1 over all targets plus SmoothL1 of the profiles' first differences.

    The differences are along levels, and averaged over six profiles.
    prediction, label (B, 368), standardised, network order -> scalar. The second term is ZuiYe's
    difference loss: with it a profile's shape counts, not only its values.
    weights  (368,) of the targets, network order, of mean 1
    """
    p = prediction[:, 8:].reshape(-1, 6, LEVELS)
    y = label[:, 8:].reshape(-1, 6, LEVELS)
    of_levels = None if weights is None else _of_differences(weights[8:].reshape(6, LEVELS))
    # The mean over six equally long profiles at once is (1/6) of the sum of the six means.
    shape = _smooth_l1(p[..., 1:] - p[..., :-1], y[..., 1:] - y[..., :-1], beta, of_levels)
    return _smooth_l1(prediction, label, beta, weights) + shape


def loss_group(
    prediction: torch.Tensor,
    label: torch.Tensor,
    group: int,
    weights: Optional[torch.Tensor] = None,
) -> torch.Tensor:
    """Return SmoothL1 over one group's targets, plus that of a profile's first differences.

    prediction, label (B, 368), standardised, network order -> scalar. Group 0 is the eight scalars.
    Beta is 1, as in everybody's fine-tuning.
    weights  (368,) of the targets; the group's are divided by their mean
    """
    p = prediction[:, GROUPS[group]]
    y = label[:, GROUPS[group]]
    of_levels = of_differences = None
    if weights is not None:
        of_levels = weights[GROUPS[group]] / weights[GROUPS[group]].mean()
        of_differences = _of_differences(of_levels)
    loss = _smooth_l1(p, y, 1.0, of_levels)
    if group == 0:
        return loss
    return loss + _smooth_l1(p[:, 1:] - p[:, :-1], y[:, 1:] - y[:, :-1], 1.0, of_differences)


def _smooth_l1(
    prediction: torch.Tensor, label: torch.Tensor, beta: float, weights: Optional[torch.Tensor]
) -> torch.Tensor:
    """Return the mean SmoothL1, of each target times its weight if there are weights."""
    if weights is None:
        return smooth_l1_loss(prediction, label, beta=beta)
    of_values = smooth_l1_loss(prediction, label, beta=beta, reduction="none")
    return (weights.to(of_values.dtype) * of_values).mean()


def _of_differences(weights: torch.Tensor) -> torch.Tensor:
    """Return the weights (..., 59) of first differences of what has the weights (..., 60)."""
    return (weights[..., 1:] + weights[..., :-1]) / 2
