"""Joseph's experiments, at published and at sample size (standard library only).

Sources: docs/reference/models.md, "joseph" and "Group fine-tuning".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Tuple, Union

from leapkit.core import multiplications as of
from leapkit.core.experiments import Experiment, GroupRule, PublishedCheckpoints
from leapkit.core.recipes import Augmentation, CosineRestarts, Recipe, at_sample_size


@dataclass(frozen=True)
class LstmChain:
    """907: LSTMs that each add the output of the one before, then attention.

    hidden  LSTM units per direction
    layers  LSTMs after the first
    heads   of the attention
    """

    hidden: int
    layers: int
    heads: int

    def __post_init__(self) -> None:
        if min(self.hidden, self.layers, self.heads) < 1 or 2 * self.hidden % self.heads:
            raise ValueError(f"{self}: widths are at least 1 and heads divide 2 x hidden")

    @property
    def multiplications(self) -> int:
        """Those of a forward pass of one row (leapkit.core.multiplications)."""
        width = 2 * self.hidden
        lstms = of.lstm(of.CHANNELS, self.hidden) + self.layers * of.lstm(width, self.hidden)
        return lstms + of.attention(width) + of.linear(width, of.OUTPUTS)


@dataclass(frozen=True)
class ConvLstm:
    """912: blocks of convolution, LSTM and linear layer with a skip, then attention and a head.

    width     of a block, and LSTM units per direction
    blocks    how many
    kernel    of the convolutions
    heads     of the attention
    dropout   before the head
    dropouts  of the head's input, one for each of its parallel passes, whose outputs are averaged
    """

    width: int
    blocks: int
    kernel: int
    heads: int
    dropout: float
    dropouts: Tuple[float, ...]

    def __post_init__(self) -> None:
        if min(self.width, self.blocks, self.kernel, self.heads) < 1 or self.width % self.heads:
            raise ValueError(f"{self}: widths are at least 1 and heads divide the width")
        if not self.dropouts or not all(0 <= p < 1 for p in self.dropouts + (self.dropout,)):
            raise ValueError(f"{self}: dropouts are at least 0 and below 1")

    @property
    def multiplications(self) -> int:
        """Those of a forward pass of one row (leapkit.core.multiplications), when predicting.

        In training the head, a hundredth of the whole, is passed once per dropout.
        """
        inputs = [of.CHANNELS] + [self.width] * (self.blocks - 1)
        blocks = sum(
            of.convolution(width, self.width, self.kernel)
            + of.lstm(self.width, self.width)
            + of.linear(2 * self.width, self.width)
            + (of.linear(width, self.width) if width != self.width else 0)
            for width in inputs
        )
        return blocks + of.attention(self.width) + of.linear(self.width, of.OUTPUTS)


Network = Union[LstmChain, ConvLstm]

NETWORK_907 = LstmChain(256, layers=7, heads=4)
NETWORK_912 = ConvLstm(256, blocks=8, kernel=5, heads=4, dropout=0.1, dropouts=(0.1, 0.2, 0.3, 0.4))

_RATES_912 = {"lstm_layers": 6e-4, "attention": 4e-4, "final_fc": 8e-4}
# The rates leave out layer_norm, which the forward pass does not use either.
RECIPE_907 = Recipe(
    lr={"lstm_0": 5e-4, "lstm_layers": 6e-4, "attention": 7e-4, "final_fc": 8e-4},
    weight_decay=1e-3,
    schedule=CosineRestarts(4, 1, 1e-6),
    epochs=16,
    batch=2048,
    validation_batch=4096,
    clip=1e4,
    seed=315,
    evaluations_per_epoch=(2, 2, 2, 2, 2, 2, 5, 5, 2, 2, 5, 8, 2, 2, 5, 8),
    min_gain=3e-5,
    augmentation=Augmentation(flip=0.08, roll=0.08, shift=5),
)
RECIPE_912 = Recipe(
    lr=_RATES_912,
    weight_decay=1e-3,
    schedule=CosineRestarts(3, 2, 1e-6),
    epochs=9,
    batch=3072,
    validation_batch=6144,
    clip=4,
    seed=315,
    evaluations_per_epoch=(2,) * 6 + (4, 4, 6),
    min_gain=2e-5,
)
# A fifth of the first stage's rates; evaluated after 6/8, 7/8 and the whole of the one epoch.
RECIPE_912SEP = replace(
    RECIPE_912,
    lr={name: 0.2 * rate for name, rate in _RATES_912.items()},
    epochs=1,
    min_gain=0.0,
    schedule=CosineRestarts(1, 1, 2e-7),
    evaluations_per_epoch=8,
    skipped_evaluations=5,
)


def _sample_network(network: Network) -> Network:
    """Return the same architecture, narrow and shallow."""
    if isinstance(network, LstmChain):
        return replace(network, hidden=24, layers=3)
    return replace(network, width=32, blocks=3)


def _experiment(
    number: str,
    artifact: str,
    network: Network,
    recipe: Recipe,
    batch: int,
    names: Tuple[str, ...],
    **more: Any,
) -> Experiment:
    return Experiment(
        "joseph",
        number,
        artifact,
        "fdzm",
        network={"full": network, "sample": _sample_network(network)},
        # Attention without a skip around it learns slowly: larger steps than the other members'
        # stacks bear.
        recipe={"full": recipe, "sample": at_sample_size(recipe, faster=20)},
        batch=batch,
        published=PublishedCheckpoints(names),
        **more,
    )


EXPERIMENTS = (
    _experiment(
        "907", "Jo_ex907_cv7855", NETWORK_907, RECIPE_907, 4096, ("ex907", "exp907"), blended=True
    ),
    # The team predicted with it; the blend counts it only through 912sep.
    _experiment("912", "Jo_ex912_cv7885", NETWORK_912, RECIPE_912, 6144, ("ex912", "exp912")),
    _experiment(
        "912sep",
        "Jo_ex912sep2_cv78935",
        NETWORK_912,
        RECIPE_912SEP,
        6144,
        ("ex912sep", "exp912sep"),
        blended=True,
        parent="912",
        groups=GroupRule(keep_if_better=True),
    ),
)
