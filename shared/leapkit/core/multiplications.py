"""How many multiplications a layer takes for one row: time and cost, counted without torch.

A network's record answers `multiplications`, the sum over its layers. Matrix products count, and of
what is no matrix product the Mamba scan; sums, norms and activations do not. A multiplication goes
with an addition, so a forward pass is 2 FLOP each; a training step is three forward passes, as the
gradients of the inputs and of the weights are two products of the same size.
tests/members/test_multiplications.py counts the same in the real networks.
"""

from __future__ import annotations

import math

from leapkit.core.columns import LEVELS

CHANNELS = 25  # of a network's input, per level: 16 scalars and nine profiles
OUTPUTS = 14  # per level: eight scalars' shares and six tendencies

FORWARD_FLOP = 2  # of one multiplication: itself and an addition
TRAINING_FLOP = 3 * FORWARD_FLOP

_MAMBA_KERNEL = 4  # levels of its convolution
_SCAN = 4  # products of a state and level: step x decay, decay x state, input x B, state x C


def linear(inputs: int, outputs: int) -> int:
    """Return the multiplications of a linear layer at every level."""
    return LEVELS * inputs * outputs


def lstm(inputs: int, hidden: int, layers: int = 1) -> int:
    """Return those of a bidirectional LSTM of `hidden` units per direction."""
    first = linear(inputs + hidden, 2 * 4 * hidden)
    return first + (layers - 1) * linear(3 * hidden, 2 * 4 * hidden)


def convolution(inputs: int, outputs: int, kernel: int) -> int:
    """Return those of a convolution along levels whose output is as long as its input."""
    return linear(inputs * kernel, outputs)


def attention(width: int) -> int:
    """Return those of self-attention over levels: four projections, scores, weighted values."""
    return linear(width, 4 * width) + 2 * LEVELS * LEVELS * width


def mamba(width: int, states: int) -> int:
    """Return those of a Mamba layer (leapkit.nets.mamba), its scan included."""
    inner = 2 * width
    rank = math.ceil(width / 16)
    # The convolution also computes the levels below the last one that its padding adds.
    by_channel = (LEVELS + _MAMBA_KERNEL - 1) * inner * _MAMBA_KERNEL
    projections = (
        linear(width, 2 * inner)
        + linear(inner, rank + 2 * states)
        + linear(rank, inner)
        + linear(inner, width)
    )
    return projections + by_channel + _SCAN * linear(inner, states)


def lstm_block(width: int) -> int:
    """Return those of a two-layer LSTM as wide as its input, and a feed-forward of twice that."""
    return lstm(width, width // 2, 2) + 2 * linear(width, 2 * width)
