"""Max2020's networks, exact to the published checkpoints (reference/models.md sections 3 and 7).

Each takes (B, 556) standardised inputs and returns (B, 368) standardised targets, both in network order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from leapkit.core.architectures import ResidualStack
from leapkit.nets.blocks import CHANNELS, OUTPUTS, BiLSTM, SelfAttention, head_last, to_sequence
from leapkit.nets.residual_lstm import ResidualLstm
from members.max2020.experiments import TwoLstms


class TwoLstmsNet(nn.Module):
    """007 and 010. The published files list `fc` first, and the first LSTM ends in the letter l."""

    def __init__(self, config: TwoLstms) -> None:
        super().__init__()
        first, second = config.hidden
        self.fc = nn.Linear(2 * second, OUTPUTS)
        self.lstml = BiLSTM(CHANNELS, first, config.layers)
        self.lstm2 = BiLSTM(2 * first, second, config.layers)
        self.attention = SelfAttention(2 * second, config.heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.lstm2(self.lstml(to_sequence(x)))  # (B, 60, 2 x second)
        return head_last(self.fc(self.attention(x)))  # (B, 368)


def build(config: Any) -> nn.Module:
    """The network that a row's numbers describe."""
    return ResidualLstm(config) if isinstance(config, ResidualStack) else TwoLstmsNet(config)
