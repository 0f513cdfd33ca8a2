"""ADAM's three experiments, at published and at sample size (standard library only).

Source: docs/reference/models.md, "adam".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Tuple

from leapkit.core import multiplications as of
from leapkit.core.experiments import Experiment, PublishedCheckpoints
from leapkit.core.recipes import PlateauSchedule, Recipe, RowSelection, at_sample_size


@dataclass(frozen=True)
class AdamNetwork:
    """The numbers of one network; networks.py builds it.

    convolutions  widths of the three parallel convolutions, kernels 2, 4 and 6
    hidden        LSTM units per direction
    layers        LSTM layers
    heads         of the transformer layer, whose feed-forward width is twice its input
    activation    of the transformer layer's feed-forward: relu or gelu
    tail          which layers' outputs the fully connected layers see, side by side
    tail_widths   widths of the fully connected layers before the last
    dropout       before the tail
    silu          SiLU on the LSTM's and on the transformer's output, and between the tail's layers
    """

    convolutions: Tuple[int, int, int]
    hidden: int
    layers: int
    heads: int
    activation: str
    tail: str
    tail_widths: Tuple[int, ...]
    dropout: float = 0.0
    silu: bool = False

    def __post_init__(self) -> None:
        if min(self.convolutions + (self.hidden, self.layers, self.heads) + self.tail_widths) < 1:
            raise ValueError(f"{self}: every width is at least 1")
        if (2 * self.hidden) % self.heads or self.activation not in ("relu", "gelu"):
            raise ValueError(f"{self}: heads must divide 2 x hidden; activation is relu or gelu")
        if self.tail not in TAILS or not 0 <= self.dropout < 1:
            raise ValueError(f"{self}: the tail is one of {TAILS}")

    @property
    def seen(self) -> int:
        """The features per level that the tail sees."""
        width = 2 * self.hidden
        front = of.CHANNELS + sum(self.convolutions)
        return {
            "lstm+transformer+front": 2 * width + front,
            "lstm+transformer": 2 * width,
            "transformer": width,
        }[self.tail]

    @property
    def multiplications(self) -> int:
        """Those of a forward pass of one row (leapkit.core.multiplications)."""
        width = 2 * self.hidden
        front = of.CHANNELS + sum(self.convolutions)
        widths = (self.seen, *self.tail_widths, of.OUTPUTS)
        return (
            sum(
                of.convolution(of.CHANNELS, convolution, kernel)
                for convolution, kernel in zip(self.convolutions, (2, 4, 6))
            )
            + of.lstm(front, self.hidden, self.layers)
            + of.attention(width)
            + 2 * of.linear(width, 2 * width)
            + sum(of.linear(inputs, outputs) for inputs, outputs in zip(widths, widths[1:]))
        )


TAILS = ("lstm+transformer+front", "lstm+transformer", "transformer")

NETWORK_195 = AdamNetwork(
    (50, 75, 50), 256, 5, 8, "relu", "lstm+transformer+front", (256,), dropout=0.1
)
NETWORK_197 = AdamNetwork((75, 75, 75), 512, 6, 16, "gelu", "lstm+transformer", (1024, 256))
NETWORK_200 = AdamNetwork((50, 75, 50), 256, 5, 8, "relu", "transformer", (256, 128), silu=True)

# Version 3 of the team's training set is 65 % of each month's rows: its own choice of them if the
# user has the file. Version 4 is every row from 0004-01 on.
V3 = RowSelection("0001-02", 0.65, seed=1103, index="v3_index.pt")
V4 = RowSelection("0004-01")

RECIPE_195 = Recipe(
    lr=1e-3,
    optimiser="adam",
    weight_decay=0.0,
    schedule=PlateauSchedule(),
    epochs=25,
    early_stop=True,
    batch=2048,
    validation_batch=4096,
    clip=1000,
    evaluations_per_epoch=4,
    seed=47,
    rows=V3,
)
RECIPE_197 = replace(RECIPE_195, seed=1103)
RECIPE_200 = replace(RECIPE_195, seed=9, rows=V4)


def _sample_network(network: AdamNetwork) -> AdamNetwork:
    """Return the same architecture, about a tenth as wide and one LSTM layer deep."""
    return replace(
        network,
        convolutions=(16, 16, 16),
        hidden=32,
        layers=1,
        heads=network.heads // 4,
        tail_widths=tuple(width // 4 for width in network.tail_widths),
    )


def _experiment(number: str, artifact: str, network: AdamNetwork, recipe: Recipe) -> Experiment:
    return Experiment(
        "adam",
        number,
        artifact,
        "adam",
        network={"full": network, "sample": _sample_network(network)},
        recipe={
            "full": recipe,
            "sample": at_sample_size(recipe, faster=5, batch=48, epochs=2, fraction=1.0),
        },
        batch=4096,
        published=PublishedCheckpoints((number,), "module."),
        blended=True,
    )


# The ".oof" is a stray part of the names in the published blend table.
EXPERIMENTS = (
    _experiment("195", "adam_195_78569.oof", NETWORK_195, RECIPE_195),
    _experiment("197", "adam_197_78551.oof", NETWORK_197, RECIPE_197),
    _experiment("200", "adam_200_78362.oof", NETWORK_200, RECIPE_200),
)
