"""Joseph's networks 907 and 912, equal to the published checkpoints.

Each takes (B, 556) standardised inputs and returns (B, 368) standardised targets, both in network
order. Source: docs/reference/models.md, "joseph".
"""

from __future__ import annotations

import torch
from torch import nn

from leapkit.nets.blocks import CHANNELS, OUTPUTS, BiLSTM, SelfAttention, head_mean, to_sequence
from members.joseph.experiments import ConvLstm, LstmChain, Network


class LstmChainNet(nn.Module):
    """907: LSTMs in a chain, then attention.

    The skip adds the raw output of the LSTM before, not the running sum. Attention sees the last
    raw output.
    """

    def __init__(self, config: LstmChain) -> None:
        super().__init__()
        width = 2 * config.hidden
        self.layer_norm = nn.LayerNorm(width)  # saved in the published file, never used
        self.lstm_0 = BiLSTM(CHANNELS, config.hidden)
        self.lstm_layers = nn.ModuleList(
            [BiLSTM(width, config.hidden) for _ in range(config.layers)]
        )
        self.attention = SelfAttention(width, config.heads)
        self.final_fc = nn.Linear(width, OUTPUTS)
        nn.init.kaiming_normal_(self.final_fc.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = before = out = self.lstm_0(to_sequence(x))  # (B, 60, 2 hidden)
        for lstm in self.lstm_layers:
            out = lstm(x)
            x, before = out + before, out
        return head_mean(self.final_fc(self.attention(out)))  # (B, 368)


class PerLevel(nn.Module):
    """A linear layer along features; the wrapper gives its tensors their published names."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.module = nn.Linear(inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.module(x)
        return y


class ConvLstmBlock(nn.Module):
    """relu(linear(lstm(conv(x))) + skip): (B, 60, inputs) -> (B, 60, width).

    The skip is x itself, or a linear layer of it if the widths differ (in the first block).
    """

    def __init__(self, inputs: int, config: ConvLstm) -> None:
        super().__init__()
        width = config.width
        self.fits = inputs == width
        self.conv = nn.Conv1d(inputs, width, config.kernel, padding="same")
        self.lstm = BiLSTM(width, width)
        self.timefc = PerLevel(2 * width, width)
        self.resfc = PerLevel(inputs, width)  # saved in every block, used where the widths differ

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.timefc(self.lstm(self.conv(x.transpose(1, 2)).transpose(1, 2)))
        return torch.relu(y + (x if self.fits else self.resfc(x)))


class ConvLstmNet(nn.Module):
    """912 and 912sep."""

    def __init__(self, config: ConvLstm) -> None:
        super().__init__()
        self.lstm_layers = nn.ModuleList(
            [ConvLstmBlock(config.width if k else CHANNELS, config) for k in range(config.blocks)]
        )
        self.attention = SelfAttention(config.width, config.heads)
        self.dropout = nn.Dropout(config.dropout)
        self.dropouts = nn.ModuleList([nn.Dropout(p) for p in config.dropouts])
        self.final_fc = PerLevel(config.width, OUTPUTS)
        self._initialise()

    def _initialise(self) -> None:
        """Give blocks and head Xavier weights and zero biases, also at the forget gates."""
        for name, parameter in self.named_parameters():
            if name.startswith(("lstm_layers", "final_fc")):
                if "weight" in name:
                    nn.init.xavier_uniform_(parameter)
                else:
                    nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = to_sequence(x)  # (B, 60, 25)
        for block in self.lstm_layers:
            x = block(x)  # (B, 60, width)
        x = self.dropout(self.attention(x))
        if not self.training:  # without dropout all passes of the head are equal
            return head_mean(self.final_fc(x))
        heads = [self.final_fc(dropout(x)) for dropout in self.dropouts]
        return head_mean(torch.stack(heads).mean(dim=0))  # (B, 368)


def build(config: Network) -> nn.Module:
    """Return the network of an experiment's config, freshly initialised."""
    if isinstance(config, LstmChain):
        return LstmChainNet(config)
    return ConvLstmNet(config)
