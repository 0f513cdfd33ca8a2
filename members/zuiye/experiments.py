"""ZuiYe's two designs as experiments (standard library only): a reconstruction.

The team describes them in two sentences (docs/reference/models.md, "zuiye"), published neither code
nor weights, and does not count them in its blend. The layers are its own words; every size, rate
and seed below is this kit's choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Tuple

from leapkit.core import multiplications as of
from leapkit.core.experiments import Experiment
from leapkit.core.recipes import CosineRestarts, Recipe, at_sample_size


@dataclass(frozen=True)
class LstmAttention:
    """Design A: a two-layer LSTM and multi-head attention. Design B: convolutions before it.

    hidden        LSTM units per direction
    layers        of the LSTM
    heads         of the attention
    convolutions  (kernel, width) of each; none in design A
    """

    hidden: int
    layers: int
    heads: int
    convolutions: Tuple[Tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        sizes = [size for pair in self.convolutions for size in pair]
        if min([self.hidden, self.layers, self.heads] + sizes) < 1:
            raise ValueError(f"{self}: widths are at least 1")
        if 2 * self.hidden % self.heads:
            raise ValueError(f"{self}: heads divide 2 x hidden")

    @property
    def multiplications(self) -> int:
        """Those of a forward pass of one row (leapkit.core.multiplications)."""
        width = 2 * self.hidden
        front = of.CHANNELS + sum(width for _, width in self.convolutions)
        return (
            sum(of.convolution(of.CHANNELS, width, kernel) for kernel, width in self.convolutions)
            + of.lstm(front, self.hidden, self.layers)
            + of.attention(width)
            + of.linear(width, of.OUTPUTS)
        )


NETWORK_A = LstmAttention(512, layers=2, heads=8)
NETWORK_B = replace(NETWORK_A, convolutions=((3, 75), (5, 75), (7, 75)))

# His difference loss is what all members train with; the rest is the habit of the other members'
# first stages.
RECIPE = Recipe(
    lr=8e-4,
    schedule=CosineRestarts(3, 2, 1e-6),
    epochs=9,
    batch=2048,
    validation_batch=4096,
    clip=9,
    seed=2024,
    evaluations_per_epoch=2,
)


def _experiment(number: str, network: LstmAttention, recipe: Recipe) -> Experiment:
    narrow = replace(
        network,
        hidden=24,
        heads=4,
        convolutions=tuple((kernel, 12) for kernel, _ in network.convolutions),
    )
    return Experiment(
        "zuiye",
        number,
        "zuiye_" + number,
        "fdzm",
        network={"full": network, "sample": narrow},
        recipe={"full": recipe, "sample": at_sample_size(recipe, faster=20)},
        batch=4096,
    )


EXPERIMENTS = (
    _experiment("A", NETWORK_A, RECIPE),
    _experiment("B", NETWORK_B, replace(RECIPE, seed=2025)),
)
