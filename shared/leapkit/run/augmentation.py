"""Training rows turned upside down or rolled along levels: Joseph's 907 was trained with them.

Source: docs/reference/models.md, "Augmentation".
"""

from __future__ import annotations

from typing import Tuple

import torch

from leapkit.core.columns import LEVELS
from leapkit.core.recipes import Augmentation

_INPUT_SCALARS = 16
_TARGET_SCALARS = 8


def augment(
    x: torch.Tensor, y: torch.Tensor, augmentation: Augmentation, generator: torch.Generator
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return copies of inputs x and targets y with the profiles of some rows moved.

    x (B, 556) and y (B, 368) are in network order.

    One uniform number per row decides whether all its fifteen profiles are flipped, rolled or left
    alone. A rolled row moves by a shift drawn from {-shift, ..., -1, 1, ..., shift}. Scalars stay.
    `generator` is a CPU generator, so the draws do not depend on the device.
    """
    count = len(x)
    chance = torch.rand(count, generator=generator)
    size = torch.randint(1, augmentation.shift + 1, (count,), generator=generator)
    sign = torch.randint(0, 2, (count,), generator=generator) * 2 - 1
    levels = torch.arange(LEVELS).expand(count, LEVELS)  # (B, 60)
    rolled = (levels - (size * sign)[:, None]) % LEVELS
    flipped = LEVELS - 1 - levels
    source = torch.where((chance < augmentation.roll)[:, None], rolled, levels)
    source = torch.where((chance >= 1 - augmentation.flip)[:, None], flipped, source).to(x.device)
    return _moved(x, _INPUT_SCALARS, source), _moved(y, _TARGET_SCALARS, source)


def _moved(values: torch.Tensor, scalars: int, source: torch.Tensor) -> torch.Tensor:
    """Return a copy in which level l of every profile of row b is the old level source[b, l]."""
    profiles = values[:, scalars:].reshape(len(values), -1, LEVELS)
    moved = torch.gather(profiles, 2, source[:, None].expand(-1, profiles.shape[1], -1))
    return torch.cat([values[:, :scalars], moved.flatten(1)], dim=1)
