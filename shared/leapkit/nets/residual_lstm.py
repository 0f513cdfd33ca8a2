"""The residual LSTM stack: reslstm and gf037 of ForcewithMe, 014 to 022 of Max2020.

Source: docs/reference/models.md, "Residual stack".
"""

from __future__ import annotations

import torch
from torch import nn

from leapkit.core.architectures import ResidualStack
from leapkit.core.columns import LEVELS
from leapkit.nets.blocks import (
    CHANNELS,
    OUTPUTS,
    BiLSTM,
    Gelu,
    gelu,
    head_mean,
    initialise_by_name,
    to_sequence,
)
from leapkit.nets.mamba import Mamba


class ResidualLstm(nn.Module):
    """(B, 556) standardised inputs -> (B, 368) standardised targets, both in network order.

    The published networks differ only in which layers mix, which save, and which LayerNorms a GELU
    follows. So networks with equal tensors can compute different functions: reslstm and 014 have
    the same names and shapes.
    """

    def __init__(self, config: ResidualStack) -> None:
        super().__init__()
        self.config = config
        width = 2 * config.hidden
        if config.mamba_state:
            self.mamba_layers = nn.ModuleList(
                [Mamba(width, config.mamba_state) for _ in range(config.layers)]
            )
        self.lstm_stack = nn.ModuleDict(
            {
                f"lstm{i + 1}": BiLSTM(width if i else CHANNELS, config.hidden)
                for i in range(config.layers)
            }
        )
        norms = [nn.LayerNorm([LEVELS, width]) for _ in range(config.layers)]
        self.residual_stack = nn.ModuleList(
            [
                nn.Sequential(norm, Gelu()) if i in config.gelu else norm
                for i, norm in enumerate(norms)
            ]
        )
        self.fc = nn.Sequential(nn.Linear(width, OUTPUTS))
        if config.named_init:
            initialise_by_name(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        config = self.config
        x = last = to_sequence(x)  # (B, 60, 25)
        for i, (lstm, norm) in enumerate(zip(self.lstm_stack.values(), self.residual_stack)):
            x = lstm(x)  # (B, 60, 2 hidden)
            if config.mamba_state:
                x = self.mamba_layers[i](x)
            x = norm(x)
            if i in config.residual:
                x = last = gelu(config.keep * x + config.carry * last)
            elif i in config.saved:
                last = x
        return head_mean(self.fc(x))  # (B, 368)
