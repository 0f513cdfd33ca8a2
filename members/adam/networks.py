"""ADAM's networks 195, 197 and 200, equal to the published checkpoints.

One class serves all three: a sinusoidal table added to the 25 channels, three parallel convolutions
along levels, LayerNorm, stacked bidirectional LSTMs, one post-norm transformer layer, a small fully
connected tail per level. Attribute names and their order are those of the published files (`con1d2`
has kernel 2, `con1d3` kernel 4, `con1d4` kernel 6; `pos_encdoer` is spelled so). Source:
docs/reference/models.md, "adam".
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from leapkit.core.columns import LEVELS
from leapkit.nets.blocks import CHANNELS, OUTPUTS, head_mean, initialise_by_name, to_sequence
from members.adam.experiments import AdamNetwork

TABLE_WIDTH = CHANNELS + 1  # the sine/cosine table is made of pairs, so one channel too many


class PositionTable(nn.Module):
    """Adds a table of sines and cosines to the channels: (B, 60, 25) -> (B, 60, 25).

    pe[p, 2k] = sin(p f_k), pe[p, 2k+1] = cos(p f_k), f_k = exp(-2k ln(1e4) / 26). The table is
    stored in the checkpoint.
    """

    pe: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        position = torch.arange(LEVELS, dtype=torch.float64)[:, None]
        frequency = torch.exp(
            torch.arange(0, TABLE_WIDTH, 2, dtype=torch.float64) * (-math.log(1e4) / TABLE_WIDTH)
        )
        table = torch.stack(
            [torch.sin(position * frequency), torch.cos(position * frequency)], dim=2
        )
        self.register_buffer("pe", table.reshape(1, LEVELS, TABLE_WIDTH).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.pe[:, :, :CHANNELS]


class LevelConvolution(nn.Conv1d):
    """Conv1d along levels, its output as long as its input.

    An even kernel pads one zero more at the bottom than at the top.
    """

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        super().__init__(channels, width, kernel)
        top = (kernel - 1) // 2
        self._padding = (top, kernel - 1 - top)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, width, 60) of x (B, channels, 60)."""
        return super().forward(F.pad(x, self._padding))


class AdamNet(nn.Module):
    """(B, 556) standardised inputs -> (B, 368) standardised targets, both in network order."""

    def __init__(self, config: AdamNetwork) -> None:
        super().__init__()
        self.config = config
        k2, k4, k6 = config.convolutions
        front = CHANNELS + k2 + k4 + k6
        width = 2 * config.hidden
        self.con1d2 = LevelConvolution(CHANNELS, k2, 2)
        self.con1d3 = LevelConvolution(CHANNELS, k4, 4)
        self.con1d4 = LevelConvolution(CHANNELS, k6, 6)
        self.norm1 = nn.LayerNorm(front)
        self.lstm1 = nn.LSTM(
            front, config.hidden, config.layers, batch_first=True, bidirectional=True
        )
        self.pos_encdoer = PositionTable()
        self.trans1 = nn.TransformerEncoderLayer(
            width,
            config.heads,
            2 * width,
            dropout=0.0,
            activation=config.activation,
            batch_first=True,
        )
        self.dropout = nn.Dropout(config.dropout)
        widths = (config.seen,) + config.tail_widths + (OUTPUTS,)
        # The published files name the tail's tensors fc1.weight, fc2.weight, ... on the network
        # itself, two or three layers of them. So the layers are attributes with computed names, not
        # a ModuleList, whose tensors would be called fc.0.weight.
        self._tail = [f"fc{number}" for number in range(1, len(widths))]
        for name, inputs, outputs in zip(self._tail, widths, widths[1:]):
            setattr(self, name, nn.Linear(inputs, outputs))
        initialise_by_name(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        between = F.silu if self.config.silu else F.relu
        x = self.pos_encdoer(to_sequence(x))  # (B, 60, 25)
        levels_last = x.transpose(1, 2)  # (B, 25, 60)
        parallel = [
            F.relu(conv(levels_last)).transpose(1, 2)
            for conv in (self.con1d2, self.con1d3, self.con1d4)
        ]
        front = self.norm1(torch.cat([x] + parallel, dim=2))  # (B, 60, front)
        recurrent, _ = self.lstm1(front)  # (B, 60, 2 hidden)
        if self.config.silu:
            recurrent = F.silu(recurrent)
        attended = self.trans1(recurrent)  # (B, 60, 2 hidden)
        if self.config.silu:
            attended = F.silu(attended)
        seen = {
            "lstm+transformer+front": [recurrent, attended, front],
            "lstm+transformer": [recurrent, attended],
            "transformer": [attended],
        }[self.config.tail]
        y = self.dropout(torch.cat(seen, dim=2))
        for name in self._tail[:-1]:
            y = between(getattr(self, name)(y))
        return head_mean(getattr(self, self._tail[-1])(y))  # (B, 368)


def build(config: AdamNetwork) -> AdamNet:
    """Return the network of an experiment's config, freshly initialised."""
    return AdamNet(config)
