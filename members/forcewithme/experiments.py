"""ForcewithMe's experiments, at published and at sample size (standard library only).

Five first stages, one of them in two steps. 18 is a first stage that the blend counts itself; 32,
37, 38, 39, 40 and `mixed` are fine-tuned per group of targets. Sources: docs/reference/models.md,
"forcewithme", "Residual stack" and "Group fine-tuning".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Tuple, Union

from leapkit.core import multiplications as of
from leapkit.core.architectures import ResidualStack
from leapkit.core.experiments import Experiment, GroupRule, PublishedCheckpoints
from leapkit.core.recipes import CosineRestarts, Recipe, at_sample_size


@dataclass(frozen=True)
class CnnLstm:
    """Parallel convolutions and one LSTM on the input, side by side, then LSTM blocks.

    convolutions  (kernel, width) of each
    encoder       units per direction of the LSTM beside them
    blocks        LSTM blocks, as wide as input, convolutions and LSTM together; the first has no
                  skip
    """

    convolutions: Tuple[Tuple[int, int], ...]
    encoder: int
    blocks: int

    def __post_init__(self) -> None:
        if min([self.encoder, self.blocks] + [n for pair in self.convolutions for n in pair]) < 1:
            raise ValueError(f"{self}: every width is at least 1")
        kernels = [kernel for kernel, _ in self.convolutions]
        if len(set(kernels)) != len(kernels) or not all(kernel % 2 for kernel in kernels):
            raise ValueError(f"{self}: kernels are odd and each occurs once")
        if self.width % 2:
            raise ValueError(
                f"{self}: the blocks' width must be even: {of.CHANNELS} plus the convolutions'"
                " widths plus twice the encoder's"
            )

    @property
    def width(self) -> int:
        """The features per level of the blocks."""
        return of.CHANNELS + sum(width for _, width in self.convolutions) + 2 * self.encoder

    @property
    def multiplications(self) -> int:
        """Those of a forward pass of one row (leapkit.core.multiplications)."""
        return (
            sum(of.convolution(of.CHANNELS, width, kernel) for kernel, width in self.convolutions)
            + of.lstm(of.CHANNELS, self.encoder)
            + self.blocks * of.lstm_block(self.width)
            + of.linear(self.width, of.OUTPUTS)
        )


@dataclass(frozen=True)
class LstmMamba:
    """One LSTM, then LSTM blocks and Mamba layers.

    hidden       LSTM units per direction of the first LSTM and in the blocks
    blocks       LSTM blocks
    mambas       Mamba layers after the blocks; 0: one after every block instead
    state        states of each Mamba
    sees_blocks  the head sees the blocks' output beside the Mambas' (stage 1 of 40)
    """

    hidden: int
    blocks: int
    mambas: int
    state: int
    sees_blocks: bool = False

    def __post_init__(self) -> None:
        if min(self.hidden, self.blocks, self.state) < 1 or self.mambas < 0:
            raise ValueError(f"{self}: every width is at least 1")
        if self.sees_blocks and not self.mambas:
            raise ValueError(
                f"{self}: a head that sees blocks and Mambas needs Mambas after the blocks"
            )

    @property
    def multiplications(self) -> int:
        """Those of a forward pass of one row (leapkit.core.multiplications)."""
        width = 2 * self.hidden
        return (
            of.lstm(of.CHANNELS, self.hidden)
            + self.blocks * of.lstm_block(width)
            + (self.mambas or self.blocks) * of.mamba(width, self.state)
            + of.linear(width * (1 + self.sees_blocks), of.OUTPUTS)
        )


Network = Union[ResidualStack, CnnLstm, LstmMamba]

RESLSTM = ResidualStack(
    8, 256, gelu=(0, 2, 4, 6), residual=(1, 3, 5, 7), saved=(0,), keep=1.0, carry=1.0
)
CNNLSTM = CnnLstm(((1, 25), (3, 50), (5, 50), (7, 50), (11, 50), (19, 50)), encoder=106, blocks=3)
LSTMMAMBA_1 = LstmMamba(256, blocks=3, mambas=2, state=16, sees_blocks=True)
LSTMMAMBA_2 = replace(LSTMMAMBA_1, sees_blocks=False)
MIXED = LstmMamba(256, blocks=3, mambas=0, state=16)
MIXED_64 = replace(MIXED, state=64)
# The published parent script defaults to eight pairs; the fine-tuned files hold five.
LSTM_MAMBA_PAIRS = ResidualStack(
    5, 256, gelu=(0,), residual=(1, 2, 3, 4), saved=(0,), keep=0.6, carry=0.4, mamba_state=16
)

_SEED = 1999517
# The team's scripts name this schedule in a way that their own helper does not know
# (docs/reference/models.md, "Schedules").
STAGE_1 = Recipe(
    lr=8e-4,
    betas=(0.9, 0.95),
    schedule=CosineRestarts(3, 2, 1e-5),
    epochs=9,
    batch=2048,
    validation_batch=2048,
    clip=9,
    seed=_SEED,
    evaluations_per_epoch=2,
)
RESLSTM_RECIPE = replace(
    STAGE_1, betas=(0.9, 0.999), validation_batch=8192, evaluations_per_epoch=(2,) * 6 + (10,) * 3
)
CNNLSTM_RECIPE = replace(RESLSTM_RECIPE, evaluations_per_epoch=(2,) * 8 + (10,))
LSTMMAMBA_1_RECIPE = replace(
    STAGE_1, lr=4e-4, batch=1536, validation_batch=3072, evaluations_per_epoch=(2,) * 8 + (6,)
)
LSTMMAMBA_2_RECIPE = replace(
    STAGE_1,
    lr=4e-4,
    validation_batch=4096,
    schedule=CosineRestarts(4, 1, 1e-5),
    epochs=8,
    evaluations_per_epoch=(2,) * 7 + (4,),
)
MIXED_RECIPE = replace(STAGE_1, evaluations_per_epoch=(2,) * 8 + (4,))

# One evaluation, at the end of the one epoch: what it reaches is kept, even where the parent was
# better.
TUNING = Recipe(
    lr=8e-5,
    betas=(0.9, 0.95),
    schedule=CosineRestarts(1, 1, 1e-7),
    epochs=1,
    batch=2048,
    validation_batch=2048,
    clip=9,
    seed=_SEED,
    evaluations_per_epoch=1,
)


def _sample_network(network: Network) -> Network:
    """Return the same architecture, narrow and shallow."""
    if isinstance(network, ResidualStack):
        return network.narrower(layers=2 if network.mamba_state else 3, hidden=24)
    if isinstance(network, CnnLstm):
        return CnnLstm(((1, 7), (3, 8), (5, 8), (7, 8), (11, 8), (19, 8)), encoder=12, blocks=1)
    return replace(
        network, hidden=24, blocks=1, mambas=min(network.mambas, 1), state=network.state // 4
    )


def _experiment(
    number: str,
    artifact: str,
    network: Network,
    recipe: Recipe,
    batch: int,
    also: Tuple[str, ...] = (),
    indistinguishable_from: str = "",
    **more: Any,
) -> Experiment:
    """Return an experiment whose published files are named by its artifact and by `also`."""
    published = None
    if artifact:
        published = PublishedCheckpoints((artifact, *also), "module.", indistinguishable_from)
    return Experiment(
        "forcewithme",
        number,
        artifact,
        "fdzm",
        network={"full": network, "sample": _sample_network(network)},
        recipe={"full": recipe, "sample": at_sample_size(recipe)},
        batch=batch,
        published=published,
        **more,
    )


def _first_stage(number: str, network: Network, recipe: Recipe, **more: Any) -> Experiment:
    return _experiment(number, "", network, recipe, recipe.validation_batch, **more)


EXPERIMENTS = (
    # The competition's first upload under this name was another file; the released one is named
    # 0.7890 / 0.7863.
    _experiment(
        "18",
        "forcewithme_reslstm_cv0.7890_lb0.7863",
        RESLSTM,
        RESLSTM_RECIPE,
        8192,
        blended=True,
        also=("forcewithme_reslstm_cv0.789_lb0.783",),
        indistinguishable_from="max2020/014-stage1",
    ),
    _experiment(
        "32",
        "forcewithme_gf_reslstm_cv0.790_lb0.785",
        RESLSTM,
        TUNING,
        2048,
        blended=True,
        parent="18",
        groups=GroupRule(),
        indistinguishable_from="max2020/014",
    ),
    _first_stage("37-stage1", LSTM_MAMBA_PAIRS, STAGE_1),
    _experiment(
        "37",
        "forcewithme_gf037_1LSTM1mamba-5_state16_cv0.7896_LBunknown",
        LSTM_MAMBA_PAIRS,
        replace(TUNING, lr=1.6e-4, batch=4032),
        4032,
        blended=True,
        parent="37-stage1",
        groups=GroupRule(),
    ),
    _first_stage("38-stage1", MIXED_64, STAGE_1),
    _experiment(
        "38",
        "forcewithme_gf038_2LSTM1mamba-3_state64_cv0.7897_LBunknown",
        MIXED_64,
        replace(TUNING, lr=1e-4, batch=2560),
        2560,
        blended=True,
        parent="38-stage1",
        groups=GroupRule(parents=(0,)),
        also=("forcewithme_gf038_2LSTM1mamba-3_state64_cv0.7897_LB0.787",),
    ),
    _first_stage("39-stage1", CNNLSTM, CNNLSTM_RECIPE),
    _experiment(
        "39",
        "forcewithme_gf_cnnlstm_cv0.789_lb0.787",
        CNNLSTM,
        TUNING,
        2048,
        blended=True,
        parent="39-stage1",
        groups=GroupRule(),
    ),
    _first_stage("40-stage1", LSTMMAMBA_1, LSTMMAMBA_1_RECIPE),
    # Its head sees less than its parent's, so that weight is new; the bias is kept.
    _first_stage(
        "40-stage2",
        LSTMMAMBA_2,
        LSTMMAMBA_2_RECIPE,
        parent="40-stage1",
        reinitialised=("fc.0.weight",),
    ),
    _experiment(
        "40",
        "forcewithme_gf_lstmmamba_cv0.7885_lb0.7853",
        LSTMMAMBA_2,
        replace(TUNING, lr=1.6e-4, batch=4096),
        4096,
        blended=True,
        parent="40-stage2",
        groups=GroupRule(),
    ),
    # Trained and predicted by the team, and not in the published blend.
    _first_stage("mixed-stage1", MIXED, MIXED_RECIPE),
    _experiment(
        "mixed",
        "forcewithme_gf_LstmMambaMixed_cv0.7886_lb0.7858",
        MIXED,
        TUNING,
        2048,
        parent="mixed-stage1",
        groups=GroupRule(),
    ),
)
