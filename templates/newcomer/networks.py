"""newcomer's networks: a profile is 60 levels, and convolutions run along them."""

from __future__ import annotations

import torch
from torch import nn

from leapkit.nets.blocks import CHANNELS, OUTPUTS, gelu, head_mean, to_sequence
from templates.newcomer.experiments import Convolutions


class ConvolutionNet(nn.Module):
    """(B, 556) standardised inputs -> (B, 368) standardised targets, both in network order."""

    def __init__(self, config: Convolutions) -> None:
        super().__init__()
        width, kernel = config.width, config.kernel
        self.encoder: nn.Module = nn.Linear(CHANNELS, width)
        self.layers = nn.ModuleList(
            [nn.Conv1d(width, width, kernel, padding=kernel // 2) for _ in range(config.layers)]
        )
        self.head = nn.Linear(width, OUTPUTS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.encoder(to_sequence(x))  # (B, 60, 25) -> (B, 60, width)
        x = x.transpose(1, 2)  # (B, width, 60), as convolutions want it
        for layer in self.layers:
            x = x + gelu(layer(x))
        return head_mean(self.head(x.transpose(1, 2)))  # (B, 60, 14) -> (B, 368)


def build(config: Convolutions) -> nn.Module:
    """Return the network of an experiment's config, freshly initialised."""
    return ConvolutionNet(config)
