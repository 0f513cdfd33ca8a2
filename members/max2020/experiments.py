"""Max2020's experiments, at published and at sample size (standard library only).

Sources: docs/reference/models.md, "max2020", "Residual stack" and "Group fine-tuning".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Tuple, Union

from leapkit.core import multiplications as of
from leapkit.core.architectures import ResidualStack
from leapkit.core.experiments import Experiment, GroupRule, PublishedCheckpoints
from leapkit.core.recipes import CosineRestarts, Recipe, at_sample_size


@dataclass(frozen=True)
class TwoLstms:
    """007 and 010: two deep LSTMs of different width, then attention.

    The scalars are read from the lowest level.

    hidden  units per direction of the first and of the second LSTM
    layers  of each
    heads   of the attention
    """

    hidden: Tuple[int, int]
    layers: int
    heads: int

    def __post_init__(self) -> None:
        if min(self.hidden + (self.layers, self.heads)) < 1 or 2 * self.hidden[1] % self.heads:
            raise ValueError(f"{self}: widths are at least 1 and heads divide 2 x hidden")

    @property
    def multiplications(self) -> int:
        """Those of a forward pass of one row (leapkit.core.multiplications)."""
        first, second = self.hidden
        lstms = of.lstm(of.CHANNELS, first, self.layers) + of.lstm(2 * first, second, self.layers)
        return lstms + of.attention(2 * second) + of.linear(2 * second, of.OUTPUTS)


Network = Union[ResidualStack, TwoLstms]

NETWORK_007 = TwoLstms((400, 256), layers=3, heads=4)
# 014 has the tensors of ForcewithMe's reslstm and another function: it mixes at every layer from
# the third on, and at its even ones after a GELU.
NETWORK_014 = ResidualStack(
    8, 256, gelu=(0, 2, 4, 6), residual=(2, 3, 4, 5, 6, 7), saved=(0,), keep=0.7, carry=0.3
)
NETWORK_015 = replace(NETWORK_014, gelu=(0, 1, 2), residual=(3, 4, 5, 6, 7), saved=(0, 1, 2))
NETWORK_021 = replace(
    NETWORK_014, hidden=300, gelu=(0,), residual=(1, 2, 3, 4, 5, 6, 7), named_init=True
)
NETWORK_022 = replace(NETWORK_021, layers=10, hidden=256, residual=(1, 2, 3, 4, 5, 6, 7, 8, 9))

STAGE_1 = Recipe(
    lr=8e-4,
    schedule=CosineRestarts(3, 2, 1e-6),
    epochs=9,
    batch=2048,
    validation_batch=4096,
    clip=9,
    seed=1995,
    evaluations_per_epoch=2,
    smooth_l1_beta=0.5,
)
_RATES_007 = {"lstml": 8e-4, "lstm2": 1e-3, "attention": 1e-3, "fc": 1.2e-3}
# Twelve epochs end in the middle of the third cycle, at 85 % of the first rate.
RECIPE_007 = replace(STAGE_1, lr=_RATES_007, epochs=12, batch=3072, clip=1e5, seed=2024)

TUNING = Recipe(
    lr=2.4e-4,
    schedule=CosineRestarts(1, 1, 1e-7),
    epochs=1,
    batch=2048,
    validation_batch=4096,
    clip=1e5,
    seed=2024,
    evaluations_per_epoch=2,
)
RECIPE_010 = replace(
    TUNING, lr={"lstml": 4e-5, "lstm2": 5e-5, "attention": 5e-5, "fc": 6e-5}, batch=3072
)


def _sample_network(network: Network) -> Network:
    """Return the same architecture, narrow and shallow."""
    if isinstance(network, ResidualStack):
        # 022 is deeper than the others, and 015 mixes for the first time at layer 3.
        deeper = network.layers > 8 or len(network.saved) > 1
        return network.narrower(layers=4 if deeper else 3, hidden=network.hidden * 24 // 256)
    return replace(network, hidden=(32, 24), layers=1)


def _experiment(
    number: str, network: Network, recipe: Recipe, artifact: str = "", **more: Any
) -> Experiment:
    # Attention without a skip around it learns slowly: larger steps than the stacks bear.
    faster = 20 if isinstance(network, TwoLstms) else 10
    return Experiment(
        "max2020",
        number,
        artifact,
        "fdzm",
        network={"full": network, "sample": _sample_network(network)},
        recipe={"full": recipe, "sample": at_sample_size(recipe, faster=faster)},
        batch=4096,
        **more,
    )


def _fine_tuned(
    number: str,
    parent: str,
    network: Network,
    recipe: Recipe,
    artifact: str,
    file: str,
    indistinguishable_from: str = "",
) -> Experiment:
    return _experiment(
        number,
        network,
        recipe,
        artifact,
        parent=parent,
        groups=GroupRule(),
        published=PublishedCheckpoints((file,), "", indistinguishable_from),
        blended=True,
    )


EXPERIMENTS = (
    _experiment("007", NETWORK_007, RECIPE_007),
    _fine_tuned(
        "010", "007", NETWORK_007, RECIPE_010, "max_010_gf_cv7888_lb7861", "010_group_finetune"
    ),
    _experiment("014-stage1", NETWORK_014, STAGE_1),
    _fine_tuned(
        "014",
        "014-stage1",
        NETWORK_014,
        replace(TUNING, lr=1.6e-4),
        "max_014_gf_cv7905_lb7873",
        "014_group_finetune",
        indistinguishable_from="forcewithme/32",
    ),
    _experiment("015-stage1", NETWORK_015, STAGE_1),
    _fine_tuned(
        "015", "015-stage1", NETWORK_015, TUNING, "max_015_gf_cv7905_lb7878", "015_group_finetune"
    ),
    _experiment("021-stage1", NETWORK_021, replace(STAGE_1, seed=1997)),
    _fine_tuned(
        "021",
        "021-stage1",
        NETWORK_021,
        replace(TUNING, seed=1997),
        "max_021_moredim_gf_cv7904_lbUnknown",
        "021_fork14_moredim_gf",
    ),
    _experiment("022-stage1", NETWORK_022, replace(STAGE_1, seed=1998)),
    _fine_tuned(
        "022",
        "022-stage1",
        NETWORK_022,
        replace(TUNING, seed=1998),
        "max_022_deeper_gf_cv7908_lbUnknown",
        "022_fork14_deeper_gf",
    ),
)
