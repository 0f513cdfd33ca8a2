"""The team's training losses (reference/models.md section 2; golden values in reference/parity/losses.json)."""

from __future__ import annotations

import torch
from torch.nn.functional import smooth_l1_loss

from leapkit.core.columns import GROUPS, LEVELS


def loss_all(prediction: torch.Tensor, label: torch.Tensor, beta: float) -> torch.Tensor:
    """SmoothL1 over all columns plus that of the first differences along levels, averaged over six profiles.

    prediction, label (B, 368), standardised, network order -> scalar. ZuiYe's difference loss: the second term makes
    a profile's shape count, not only its values.
    """
    p = prediction[:, 8:].reshape(-1, 6, LEVELS)
    y = label[:, 8:].reshape(-1, 6, LEVELS)
    # The mean over six equally long profiles at once is (1/6) of the sum of the six means.
    shape = smooth_l1_loss(p[..., 1:] - p[..., :-1], y[..., 1:] - y[..., :-1], beta=beta)
    return smooth_l1_loss(prediction, label, beta=beta) + shape


def loss_group(prediction: torch.Tensor, label: torch.Tensor, group: int) -> torch.Tensor:
    """SmoothL1 (beta 1, as everybody's fine-tuning) over one group's columns, and of a profile's first differences.

    prediction, label (B, 368), standardised, network order -> scalar; group 0 is the eight scalars.
    """
    p, y = prediction[:, GROUPS[group]], label[:, GROUPS[group]]
    loss = smooth_l1_loss(p, y)
    return loss if group == 0 else loss + smooth_l1_loss(p[:, 1:] - p[:, :-1], y[:, 1:] - y[:, :-1])
