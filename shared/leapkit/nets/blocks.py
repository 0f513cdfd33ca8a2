"""Building blocks of all members' networks: input tensor, output heads, initialisation, layers.

Source: docs/reference/models.md, "Common parts".
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from leapkit.core.columns import INPUTS, LEVELS

SCALARS = 16
PROFILES = 9
CHANNELS = SCALARS + PROFILES  # of the input, per level
OUTPUTS = 14  # per level: eight scalars' shares and six tendencies


def to_sequence(x: torch.Tensor) -> torch.Tensor:
    """Return the sequence (B, 60, 25): 16 scalars, repeated on every level, then nine profiles.

    x  (B, 556) standardised inputs, network order. Raises ValueError for another shape.
    """
    if x.dim() != 2 or x.shape[1] != len(INPUTS):
        raise ValueError(f"expected (B, {len(INPUTS)}) inputs, got {tuple(x.shape)}")
    scalars = x[:, None, :SCALARS].expand(-1, LEVELS, -1)  # (B, 60, 16)
    profiles = x[:, SCALARS:].reshape(-1, PROFILES, LEVELS).transpose(1, 2)  # (B, 60, 9)
    return torch.cat([scalars, profiles], dim=2)


def head_mean(y: torch.Tensor) -> torch.Tensor:
    """Return (B, 368) targets, network order, of y (B, 60, 14).

    Channels 0-7 are averaged over levels; six profiles follow.
    """
    return torch.cat([y[:, :, :8].mean(dim=1), y[:, :, 8:].transpose(1, 2).flatten(1)], dim=1)


def initialise_by_name(network: nn.Module) -> None:
    """Initialise parameters by their names, as ADAM's three networks and Max2020's 021 and 022 do.

    "lstm"  weight_ih Xavier uniform; weight_hh orthogonal as a whole (4h, h) matrix; bias_ih 0,
            with the forget gate's quarter at 1; bias_hh 0
    "fc"    weight Xavier uniform, bias 0
    Everything else keeps torch's default.
    """
    for name, parameter in network.named_parameters():
        if "lstm" in name:
            if "weight_ih" in name:
                nn.init.xavier_uniform_(parameter)
            elif "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            elif "bias_ih" in name:
                nn.init.zeros_(parameter)
                quarter = parameter.shape[0] // 4
                nn.init.ones_(parameter[quarter : 2 * quarter].detach())
            elif "bias_hh" in name:
                nn.init.zeros_(parameter)
        elif "fc" in name:
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)


def head_last(y: torch.Tensor) -> torch.Tensor:
    """Return (B, 368) targets, network order, of y (B, 60, 14).

    Channels 0-7 are taken from the lowest level; six profiles follow.
    """
    return torch.cat([y[:, -1, :8], y[:, :, 8:].transpose(1, 2).flatten(1)], dim=1)


def gelu(x: torch.Tensor) -> torch.Tensor:
    """Return GELU(x), exact by erf, with the right gradient on every stack.

    On a CPU torch 1.10 and 1.12 compute a wrong gradient, from memory that is not theirs, if the
    incoming gradient is not contiguous, as behind a batch-first LSTM or a transposition.
    tests/members/test_networks_members.py shows it.
    """
    y = F.gelu(x)
    if y.requires_grad and not y.is_cuda:
        y.register_hook(_contiguous)  # type: ignore[no-untyped-call, unused-ignore]
    return y


def _contiguous(gradient: torch.Tensor) -> torch.Tensor:
    return gradient.contiguous()


class Gelu(nn.Module):
    """`gelu` as a layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return gelu(x)


class BiLSTM(nn.LSTM):
    """A bidirectional LSTM over levels, its output alone: (B, 60, inputs) -> (B, 60, 2 hidden)."""

    def __init__(self, inputs: int, hidden: int, layers: int = 1) -> None:
        super().__init__(inputs, hidden, layers, batch_first=True, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(x)[0]


class SelfAttention(nn.MultiheadAttention):
    """Multi-head self-attention over levels, without skip or norm: (B, 60, width) -> the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(x, x, x, need_weights=False)[0]


class LstmBlock(nn.Module):
    """ForcewithMe's block: a post-norm transformer layer with a two-layer BiLSTM for attention.

    (B, 60, width) -> the same shape: y = norm1(x + BiLSTM(x)); norm2(y + FFN(y)). The LayerNorms
    run over levels and features. Without `skip` the block has no skip around its LSTM: y =
    norm1(BiLSTM(x)).
    """

    def __init__(self, width: int, skip: bool = True) -> None:
        super().__init__()
        self.skip = skip
        self.lstm_layer = BiLSTM(width, width // 2, 2)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 2 * width), Gelu(), nn.Linear(2 * width, width)
        )
        self.norm1 = nn.LayerNorm([LEVELS, width])
        self.norm2 = nn.LayerNorm([LEVELS, width])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.lstm_layer(x)
        y = self.norm1(x + y if self.skip else y)
        z: torch.Tensor = self.norm2(y + self.feed_forward(y))
        return z
