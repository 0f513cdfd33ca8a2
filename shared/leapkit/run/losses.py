"""The team's training losses (docs/reference/models.md, "Losses")."""

from __future__ import annotations

import torch
from torch.nn.functional import smooth_l1_loss

from leapkit.core.columns import GROUPS, LEVELS


def loss_all(prediction: torch.Tensor, label: torch.Tensor, beta: float) -> torch.Tensor:
    """Return SmoothL1 over all targets plus SmoothL1 of the profiles' first differences.

    The differences are along levels, and averaged over six profiles.
    prediction, label (B, 368), standardised, network order -> scalar. The second term is ZuiYe's
    difference loss: with it a profile's shape counts, not only its values.
    """
    p = prediction[:, 8:].reshape(-1, 6, LEVELS)
    y = label[:, 8:].reshape(-1, 6, LEVELS)
    # The mean over six equally long profiles at once is (1/6) of the sum of the six means.
    shape = smooth_l1_loss(p[..., 1:] - p[..., :-1], y[..., 1:] - y[..., :-1], beta=beta)
    return smooth_l1_loss(prediction, label, beta=beta) + shape


def loss_group(prediction: torch.Tensor, label: torch.Tensor, group: int) -> torch.Tensor:
    """Return SmoothL1 over one group's targets, plus that of a profile's first differences.

    prediction, label (B, 368), standardised, network order -> scalar. Group 0 is the eight scalars.
    Beta is 1, as in everybody's fine-tuning.
    """
    p = prediction[:, GROUPS[group]]
    y = label[:, GROUPS[group]]
    loss = smooth_l1_loss(p, y)
    return loss if group == 0 else loss + smooth_l1_loss(p[:, 1:] - p[:, :-1], y[:, 1:] - y[:, :-1])
