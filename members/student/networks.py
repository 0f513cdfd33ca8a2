"""The student's network: the residual stack of forcewithme and max2020, with its own numbers."""

from __future__ import annotations

from torch import nn

from leapkit.core.architectures import ResidualStack
from leapkit.nets.residual_lstm import ResidualLstm


def build(config: ResidualStack) -> nn.Module:
    """Return the network of an experiment's config, freshly initialised."""
    return ResidualLstm(config)
