"""newcomer's experiments: a network and how it is trained (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass

from leapkit.core import multiplications as of
from leapkit.core.experiments import Experiment
from leapkit.core.recipes import CosineRestarts, Recipe, at_sample_size, require


@dataclass(frozen=True)
class Convolutions:
    """The numbers of a network of convolutions along the levels, each with a skip around it.

    width   channels of every level
    layers  convolutions in series
    kernel  levels that one convolution sees; odd
    """

    width: int
    layers: int
    kernel: int = 5

    def __post_init__(self) -> None:
        require(min(self.width, self.layers, self.kernel) >= 1, self, "sizes are at least 1")
        require(self.kernel % 2 == 1, self, "the kernel is odd")

    @property
    def multiplications(self) -> int:
        """Those of a forward pass of one row: `make plan` reckons the time from them."""
        return (
            of.linear(of.CHANNELS, self.width)
            + self.layers * of.convolution(self.width, self.width, self.kernel)
            + of.linear(self.width, of.OUTPUTS)
        )


RECIPE = Recipe(
    lr=1e-3,
    schedule=CosineRestarts(12, 1, 1e-6),
    epochs=12,
    batch=1024,
    validation_batch=4096,
    clip=9,
    seed=2026,
)

CNN = Experiment(
    "newcomer",
    "cnn",
    "newcomer_cnn",
    "fdzm",
    network={
        "full": Convolutions(width=256, layers=10),
        "sample": Convolutions(width=48, layers=6),
    },
    recipe={"full": RECIPE, "sample": at_sample_size(RECIPE, faster=8, epochs=3)},
    batch=4096,
)

EXPERIMENTS = (CNN,)
