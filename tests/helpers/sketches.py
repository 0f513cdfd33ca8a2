"""Networks that cost a millisecond: what a training does to a network shows in them as in any.

They have a member's names, as a recipe gives rates by names, dropout, and a layer that is stored
and never used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple

import torch
from torch import nn

from leapkit.nets.blocks import CHANNELS, OUTPUTS, head_mean, to_sequence

WIDTH = 6


@dataclass(frozen=True)
class Sketch:
    """A network by the names of its parts.

    layers      convolutions along levels, one after another
    head        a linear layer; `head_wide`: of the last two layers together
    unused      a LayerNorm that the forward pass leaves out
    dropout     before the head
    """

    layers: Tuple[str, ...]
    head: str
    head_wide: bool = False
    unused: str = ""
    dropout: float = 0.0

    multiplications = 1000  # of one row: what the plan estimates times by


class SketchNet(nn.Module):
    """(B, 556) standardised inputs -> (B, 368) standardised targets, both in network order."""

    def __init__(self, config: Sketch) -> None:
        super().__init__()
        self.config = config
        if config.unused:
            setattr(self, config.unused, nn.LayerNorm(WIDTH))
        for k, name in enumerate(config.layers):
            setattr(self, name, nn.Conv1d(WIDTH if k else CHANNELS, WIDTH, 3, padding=1))
        self.dropout = nn.Dropout(config.dropout)
        head = nn.Linear(WIDTH * (1 + config.head_wide), OUTPUTS)
        setattr(self, config.head, nn.Sequential(head))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts: Dict[str, nn.Module] = dict(self.named_children())
        x = to_sequence(x).transpose(1, 2)  # (B, 25, 60)
        seen = []
        for name in self.config.layers:
            x = torch.tanh(parts[name](x))  # (B, 6, 60)
            seen.append(x.transpose(1, 2))
        x = torch.cat(seen[-2:], dim=2) if self.config.head_wide else seen[-1]
        return head_mean(parts[self.config.head](self.dropout(x)))  # (B, 368)
