"""ZuiYe's two designs, reconstructed from their description (see experiments.py).

Nothing was published that they could be compared with.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from leapkit.nets.blocks import CHANNELS, OUTPUTS, BiLSTM, SelfAttention, head_mean, to_sequence
from members.zuiye.experiments import LstmAttention


class LstmAttentionNet(nn.Module):
    """(B, 556) standardised inputs -> (B, 368) standardised targets, both in network order."""

    def __init__(self, config: LstmAttention) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(CHANNELS, width, kernel, padding="same")
                for kernel, width in config.convolutions
            ]
        )
        front = CHANNELS + sum(width for _, width in config.convolutions)
        self.lstm = BiLSTM(front, config.hidden, config.layers)
        self.attention = SelfAttention(2 * config.hidden, config.heads)
        self.fc = nn.Linear(2 * config.hidden, OUTPUTS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = to_sequence(x)  # (B, 60, 25)
        by_channel = x.transpose(1, 2)
        parallel = [
            F.relu(convolution(by_channel)).transpose(1, 2) for convolution in self.convolutions
        ]
        x = self.lstm(torch.cat([x] + parallel, dim=2))  # (B, 60, 2 hidden)
        return head_mean(self.fc(self.attention(x)))  # (B, 368)


def build(config: LstmAttention) -> nn.Module:
    """Return the network of an experiment's config, freshly initialised."""
    return LstmAttentionNet(config)
