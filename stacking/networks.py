"""The small network: convolutions along the levels, from predictions to a correction of the blend.

Its last layer begins at 0, so that training begins at the blend itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import gelu

from leapkit.core.columns import (
    INPUT_SCALARS,
    LEVELS,
    OUTPUT_SCALARS,
    STATE_PROFILES,
    TENDENCY_PROFILES,
)

_SCALARS_IN = len(INPUT_SCALARS)
_STATES = len(STATE_PROFILES)
_SCALARS = len(OUTPUT_SCALARS)
_PROFILES = len(TENDENCY_PROFILES)
_OUTPUTS = _SCALARS + _PROFILES  # 14 a level


@dataclass(frozen=True)
class StackConfig:
    """The numbers of the network.

    hidden  channels of every layer but the last
    width   levels that a convolution sees
    """

    hidden: int = 32
    width: int = 3

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.width < 1 or self.width % 2 == 0:
            raise ValueError(f"{self}: hidden is at least 1 and width is odd")


class StackNetwork(nn.Module):
    """Members' predictions, the blend of them and the states -> the correction of the blend.

    Channels of a level: the blend's 14 (6 profiles, and 8 scalars that all levels share), each
    member's difference from it, the 6 profiles of state and the 16 scalar inputs.
    """

    def __init__(self, members: int, config: StackConfig) -> None:
        super().__init__()
        channels = (members + 1) * _OUTPUTS + _STATES + _SCALARS_IN
        hidden, width = config.hidden, config.width
        self.mixed = nn.Conv1d(channels, hidden, 1)
        self.first = nn.Conv1d(hidden, hidden, width, padding=width // 2)
        self.second = nn.Conv1d(hidden, hidden, width, padding=width // 2)
        self.last = nn.Conv1d(hidden, _OUTPUTS, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(
        self, members: torch.Tensor, blend: torch.Tensor, inputs: torch.Tensor
    ) -> torch.Tensor:
        """Return the correction (B, 368) of the blend.

        members (B, M, 368), blend (B, 368), inputs (B, 556): standardised, network order.
        """
        predictions = torch.cat([blend[:, None], members - blend[:, None]], dim=1)  # (B, M+1, 368)
        x = torch.cat(
            [
                predictions[..., _SCALARS:].reshape(len(blend), -1, LEVELS),
                _at_all_levels(predictions[..., :_SCALARS].flatten(1)),
                inputs[:, _SCALARS_IN:][:, : _STATES * LEVELS].reshape(len(blend), -1, LEVELS),
                _at_all_levels(inputs[:, :_SCALARS_IN]),
            ],
            dim=1,
        )  # (B, channels, 60)
        x = gelu(self.mixed(x))
        x = x + gelu(self.first(x))
        x = x + gelu(self.second(x))
        y = self.last(x)  # (B, 14, 60)
        return torch.cat([y[:, :_SCALARS].mean(dim=2), y[:, _SCALARS:].flatten(1)], dim=1)


def _at_all_levels(scalars: torch.Tensor) -> torch.Tensor:
    """(B, C) -> (B, C, 60)."""
    return scalars[:, :, None].expand(-1, -1, LEVELS)
