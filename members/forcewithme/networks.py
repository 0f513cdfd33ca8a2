"""ForcewithMe's networks, equal to the published checkpoints.

Each takes (B, 556) standardised inputs and returns (B, 368) standardised targets, both in network
order. Attribute names and their order are those of the published files, which also hold an
`enc_norm` that two networks never use. Source: docs/reference/models.md, "forcewithme".
"""

from __future__ import annotations

import torch
from torch import nn

from leapkit.core.architectures import ResidualStack
from leapkit.nets.blocks import CHANNELS, OUTPUTS, BiLSTM, LstmBlock, gelu, head_mean, to_sequence
from leapkit.nets.mamba import Mamba
from leapkit.nets.residual_lstm import ResidualLstm
from members.forcewithme.experiments import CnnLstm, LstmMamba, Network


class CnnLstmNet(nn.Module):
    """39: input, six convolutions and one LSTM side by side, LayerNorm, LSTM blocks."""

    def __init__(self, config: CnnLstm) -> None:
        super().__init__()
        # The published files name the tensors convk1.weight, convk3.weight, ... on the network
        # itself, hence attributes with computed names.
        for kernel, width in config.convolutions:
            setattr(self, f"convk{kernel}", nn.Conv1d(CHANNELS, width, kernel, padding="same"))
        self._convolutions = [f"convk{kernel}" for kernel, _ in config.convolutions]
        self.lstm_enc = BiLSTM(CHANNELS, config.encoder)
        width = config.width
        self.enc_norm = nn.LayerNorm(width)
        self.lstm_layers = nn.ModuleDict(
            {f"lstm{k + 1}": LstmBlock(width, skip=k > 0) for k in range(config.blocks)}
        )
        self.fc = nn.Sequential(nn.Linear(width, OUTPUTS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = to_sequence(x)  # (B, 60, 25)
        by_channel = x.transpose(1, 2)
        parallel = [
            gelu(getattr(self, name)(by_channel)).transpose(1, 2) for name in self._convolutions
        ]
        x = self.enc_norm(torch.cat([x] + parallel + [self.lstm_enc(x)], dim=2))  # (B, 60, width)
        for block in self.lstm_layers.values():
            x = block(x)
        return head_mean(self.fc(x))  # (B, 368)


class LstmThenMamba(nn.Module):
    """40: LSTM, LSTM blocks, then Mamba layers in series without skip or norm."""

    def __init__(self, config: LstmMamba) -> None:
        super().__init__()
        self.config = config
        width = 2 * config.hidden
        self.enc_norm = nn.LayerNorm(width)  # saved in the published files, never used
        self.lstm_layers = nn.ModuleDict(
            {f"lstm{k + 1}": LstmBlock(width) for k in range(config.blocks)}
        )
        self.lstm_enc = BiLSTM(CHANNELS, config.hidden)
        self.mamba_layers = nn.ModuleDict(
            {f"mamba{k + 1}": Mamba(width, config.state) for k in range(config.mambas)}
        )
        self.fc = nn.Sequential(nn.Linear(width * (1 + config.sees_blocks), OUTPUTS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.lstm_enc(to_sequence(x))  # (B, 60, width)
        for block in self.lstm_layers.values():
            x = block(x)
        y = x
        for mamba in self.mamba_layers.values():
            y = mamba(y)
        return head_mean(self.fc(torch.cat([y, x], dim=2) if self.config.sees_blocks else y))


class LstmMambaMixed(nn.Module):
    """38 and mixed: LSTM, then LSTM block and Mamba in turn."""

    def __init__(self, config: LstmMamba) -> None:
        super().__init__()
        width = 2 * config.hidden
        self.enc_norm = nn.LayerNorm(width)  # saved in the published files, never used
        self.lstm_layers = nn.ModuleDict(
            {
                f"lstm{k + 1}": nn.Sequential(LstmBlock(width), Mamba(width, config.state))
                for k in range(config.blocks)
            }
        )
        self.lstm_enc = BiLSTM(CHANNELS, config.hidden)
        self.fc = nn.Sequential(nn.Linear(width, OUTPUTS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.lstm_enc(to_sequence(x))  # (B, 60, width)
        for pair in self.lstm_layers.values():
            x = pair(x)
        return head_mean(self.fc(x))


def build(config: Network) -> nn.Module:
    """Return the network of an experiment's config, freshly initialised."""
    if isinstance(config, ResidualStack):
        return ResidualLstm(config)
    if isinstance(config, CnnLstm):
        return CnnLstmNet(config)
    if config.mambas:
        return LstmThenMamba(config)
    return LstmMambaMixed(config)
