"""Max2020's networks, equal to the published checkpoints.

Each takes (B, 556) standardised inputs and returns (B, 368) standardised targets, both in network
order. Sources: docs/reference/models.md, "max2020" and "Residual stack".
"""

from __future__ import annotations

import torch
from torch import nn

from leapkit.core.architectures import ResidualStack
from leapkit.nets.blocks import CHANNELS, OUTPUTS, BiLSTM, SelfAttention, head_last, to_sequence
from leapkit.nets.residual_lstm import ResidualLstm
from members.max2020.experiments import Network, TwoLstms


class TwoLstmsNet(nn.Module):
    """007 and 010. In the published files `fc` comes first, and the first LSTM is named `lstml`."""

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


def build(config: Network) -> nn.Module:
    """Return the network of an experiment's config, freshly initialised."""
    if isinstance(config, ResidualStack):
        return ResidualLstm(config)
    return TwoLstmsNet(config)
