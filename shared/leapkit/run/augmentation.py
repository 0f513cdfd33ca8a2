"""Training rows turned upside down or rolled along levels: what Joseph's 907 was trained with."""

from __future__ import annotations

from typing import Tuple

import torch

from leapkit.core.columns import LEVELS
from leapkit.core.recipes import Augmentation


def augment(
    x: torch.Tensor, y: torch.Tensor, plan: Augmentation, generator: torch.Generator
) -> Tuple[torch.Tensor, torch.Tensor]:
    """x (B, 556), y (B, 368), network order -> the same with some rows' nine and six profiles flipped or rolled together.

    One uniform number per row decides; a rolled row moves by a shift drawn from {-shift, ..., -1, 1, ..., shift}.
    Scalars stay. `generator` is a CPU generator: the draws do not depend on the device.
    """
    count = len(x)
    chance = torch.rand(count, generator=generator)
    size = torch.randint(1, plan.shift + 1, (count,), generator=generator)
    sign = torch.randint(0, 2, (count,), generator=generator) * 2 - 1
    levels = torch.arange(LEVELS).expand(count, LEVELS)
    rolled = (levels - (size * sign)[:, None]) % LEVELS
    source = torch.where((chance < plan.roll)[:, None], rolled, levels)
    source = torch.where((chance >= 1 - plan.flip)[:, None], LEVELS - 1 - levels, source).to(
        x.device
    )  # (B, 60)
    return _moved(x, 16, source), _moved(y, 8, source)


def _moved(values: torch.Tensor, scalars: int, source: torch.Tensor) -> torch.Tensor:
    profiles = values[:, scalars:].reshape(len(values), -1, LEVELS)
    moved = torch.gather(profiles, 2, source[:, None].expand(-1, profiles.shape[1], -1))
    return torch.cat([values[:, :scalars], moved.flatten(1)], dim=1)
