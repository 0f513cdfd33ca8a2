"""The formulas of the team's training, written out by hand: losses, updates, rates, augmentation.

Source: docs/reference/models.md. Nothing of leapkit is imported, nor torch's optimisers, schedulers
or losses.
"""

from __future__ import annotations

import math
from typing import Dict, List, Optional, Tuple

import torch

from tests.helpers import plain_rows

Tensors = Dict[str, torch.Tensor]
Moments = Tuple[torch.Tensor, torch.Tensor, int]  # first, second, updates


def evaluation_points(updates: int, count: int) -> List[int]:
    """Return floor(N / n), 2 floor(N / n), ..., and last N."""
    return [(k + 1) * (updates // count) for k in range(count - 1)] + [updates]


def smooth_l1(p: torch.Tensor, y: torch.Tensor, beta: float) -> torch.Tensor:
    apart = (p - y).abs()
    return torch.where(apart < beta, apart * apart / (2 * beta), apart - beta / 2).mean()


def differences(values: torch.Tensor, profile: int) -> torch.Tensor:
    levels = values[:, 8 + 60 * profile : 68 + 60 * profile]
    return levels[:, 1:] - levels[:, :-1]


def loss_all(p: torch.Tensor, y: torch.Tensor, beta: float) -> torch.Tensor:
    loss = smooth_l1(p, y, beta)
    for profile in range(6):
        loss = loss + smooth_l1(differences(p, profile), differences(y, profile), beta) / 6
    return loss


def loss_group(p: torch.Tensor, y: torch.Tensor, group: int) -> torch.Tensor:
    targets = plain_rows.GROUPS[group]
    loss = smooth_l1(p[:, targets], y[:, targets], 1.0)
    if group > 0:
        loss = loss + smooth_l1(differences(p, group - 1), differences(y, group - 1), 1.0)
    return loss


def clipped(gradients: Tensors, largest: float) -> Tensors:
    """Return gradients of at most that norm over all tensors, as torch's clip_grad_norm_."""
    norm = math.sqrt(sum(float((g * g).sum()) for g in gradients.values()))
    factor = min(1.0, largest / (norm + 1e-6))
    return {name: g * factor for name, g in gradients.items()}


def update(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    moments: Optional[Moments],
    rate: float,
    betas: Tuple[float, float],
    decay: float,
) -> Moments:
    """Update a parameter by AdamW, whose decay is apart from the gradient; by Adam with decay 0."""
    first, second, count = moments or (0 * parameter, 0 * parameter, 0)
    count += 1
    first = betas[0] * first + (1 - betas[0]) * gradient
    second = betas[1] * second + (1 - betas[1]) * gradient * gradient
    mean = first / (1 - betas[0] ** count)
    deviation = (second / (1 - betas[1] ** count)).sqrt()
    parameter -= rate * decay * parameter
    parameter -= rate * mean / (deviation + 1e-8)
    return first, second, count


def cosine(cycles: Tuple[int, int, float], base: float, time: Optional[float]) -> float:
    """Return the rate at a time in epochs, that of the update before; None is the first update."""
    if time is None:
        return base
    length, growth, lowest = cycles
    begin = 0
    while time >= begin + length:
        begin += length
        length *= growth
    return lowest + (base - lowest) * (1 + math.cos(math.pi * (time - begin) / length)) / 2


class Plateau:
    """A tenth of the rate, at least 1e-5, at the third evaluation in a row without improvement.

    Lower is better. What is worse by up to 1e-4 of a negative best still counts as improvement.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._best: Optional[float] = None
        self._bad = 0

    def step(self, value: float) -> None:
        if self._best is None or value < self._best - 1e-4 * self._best:
            self._best = value
            self._bad = 0
            return
        self._bad += 1
        if self._bad == 3:
            self.rate = max(self.rate / 10, 1e-5)
            self._bad = 0


def augmented(
    x: torch.Tensor, y: torch.Tensor, seed: int, epoch: int, update: int
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Turn the profiles of 8 % of the rows upside down; roll those of 8 % by 1 to 5 levels.

    How the numbers are drawn is the kit's: docs/reference/pools.md, "The order of an epoch".
    """
    generator = torch.Generator()
    generator.manual_seed(((seed * 1_000_003 + epoch) * 1_000_003 + update) % 2**62)
    chance = torch.rand(len(x), generator=generator)
    size = torch.randint(1, 6, (len(x),), generator=generator).tolist()
    side = torch.randint(0, 2, (len(x),), generator=generator).tolist()
    x = x.clone()
    y = y.clone()
    for row in range(len(x)):
        for profiles in (x[row, 16:].view(9, 60), y[row, 8:].view(6, 60)):
            if bool(chance[row] >= 0.92):
                profiles[:] = profiles.flip(1)
            elif bool(chance[row] < 0.08):
                profiles[:] = profiles.roll(size[row] if side[row] else -size[row], 1)
    return x, y
