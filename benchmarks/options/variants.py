"""What is measured: a base network that trains in half a minute, and one change of it a variant.

A seed decides initialisation, shuffling, dropout and which rows are learned from. Seeds of a
variant and of the base pair up: both begin at the same weights and see the same rows in the same
order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, Tuple

from benchmarks.option_variants import OPTIONS, PLAIN
from leapkit.core.experiments import Experiment
from leapkit.core.recipes import SAMPLE_POOL, CosineRestarts, at_sample_size
from leapkit.core.training_options import TrainingOptions, parse
from members.student.experiments import EXPERIMENTS, RECIPE

BASE = PLAIN
EPOCHS = 4
FRACTION = 3 / 4  # of the training rows
FIRST_SEED = 2100


@dataclass(frozen=True)
class Variant:
    """One change of the base.

    options  of the training
    pool     rows that are in memory and mixed together
    """

    options: TrainingOptions = field(default_factory=TrainingOptions)
    pool: int = SAMPLE_POOL


VARIANTS: Dict[str, Variant] = {
    **{name: Variant(parse(text)) for name, text in OPTIONS.items()},
    "one pool": Variant(pool=1 << 19),
    "pools of 1024": Variant(pool=1 << 10),
}


def network_names() -> Tuple[str, ...]:
    """Return the base networks that can be measured, the cheaper one first."""
    return tuple(_WIDTHS)


# (layers, units per direction) of the base networks.
_WIDTHS = {"narrow": (2, 16), "small": (2, 32), "wide": (3, 64)}


def experiment(network: str, variant: str, seed: int) -> Experiment:
    """Return the row of one training: a base network with a variant's change and a seed.

    seed  from 0
    """
    [student] = EXPERIMENTS
    change = VARIANTS[variant]
    layers, hidden = _WIDTHS[network]
    sample = at_sample_size(RECIPE, faster=5, epochs=EPOCHS, fraction=FRACTION)
    recipe = replace(
        sample,
        schedule=CosineRestarts(EPOCHS, 1, 1e-6),
        seed=FIRST_SEED + seed,
        rows=replace(sample.rows, seed=FIRST_SEED + seed, pool=change.pool),
        options=change.options,
    )
    number = f"{network}-{list(VARIANTS).index(variant)}-{seed}"
    return replace(
        student,
        id=number,
        artifact=f"option_{number}",
        network=dict(student.network, sample=student.network["full"].narrower(layers, hidden)),
        recipe=dict(student.recipe, sample=recipe),
    )
