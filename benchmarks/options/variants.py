"""What is measured: base networks that train in minutes, and the options that change one.

A seed decides initialisation, shuffling, dropout and, of three quarters of the rows, which. Seeds
of a variant and of the plain recipe pair up: both begin at the same weights and see the same rows
in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Tuple

from leapkit.core.experiments import Experiment
from leapkit.core.recipes import CosineRestarts, at_sample_size
from leapkit.core.training_options import parse
from members.student.experiments import EXPERIMENTS, RECIPE, SAMPLE_EPOCHS

BASE = "plain"
FIRST_SEED = 2100
# What `make <member> OPTIONS=...` takes, by the name of the variant.
VARIANTS: Dict[str, str] = {
    BASE: "",
    "positivity": "positivity",
    "weights scored": "target_weights=scored",
    "weights scored + positivity": "target_weights=scored,positivity",
    "weights scored + positivity + confidence 0.5": (
        "target_weights=scored,positivity,confidence=0.5"
    ),
    "weights tails": "target_weights=tails",
    "weights groups": "target_weights=groups",
    "weights targets": "target_weights=targets",
    "confidence 0.1": "confidence=0.1",
    "confidence 0.5": "confidence=0.5",
    "confidence 1": "confidence=1",
    "confidence 0.5 + EMA 0.99": "confidence=0.5,ema=0.99",
    "EMA 0.99": "ema=0.99",
    "EMA 0.999": "ema=0.999",
    "noise 0.01": "input_noise=0.01",
    "noise 0.05": "input_noise=0.05",
}


@dataclass(frozen=True)
class Base:
    """The student's network and recipe of sample size, with other numbers.

    layers, hidden  of the network, per direction
    fraction        of the training rows
    """

    layers: int
    hidden: int
    epochs: int = 4
    fraction: float = 3 / 4


BASES: Dict[str, Base] = {
    "narrow": Base(2, 16),
    "wide": Base(3, 64),
    "student": Base(2, 32, SAMPLE_EPOCHS, 1.0),  # as `make distil PROFILE=sample` trains it
}


def network_names() -> Tuple[str, ...]:
    """Return the base networks that can be measured, the cheapest one first."""
    return tuple(BASES)


def experiment(network: str, variant: str, seed: int) -> Experiment:
    """Return the row of one training: a base network with a variant's options and a seed.

    seed  from 0
    """
    [student] = EXPERIMENTS
    base = BASES[network]
    sample = at_sample_size(RECIPE, faster=5, epochs=base.epochs, fraction=base.fraction)
    recipe = replace(
        sample,
        schedule=CosineRestarts(base.epochs, 1, 1e-6),
        seed=FIRST_SEED + seed,
        rows=replace(sample.rows, seed=FIRST_SEED + seed),
        options=parse(VARIANTS[variant]),
    )
    number = f"{network}-{list(VARIANTS).index(variant)}-{seed}"
    small = student.network["full"].narrower(base.layers, base.hidden)
    return replace(
        student,
        id=number,
        artifact=f"option_{number}",
        network=dict(student.network, sample=small),
        recipe=dict(student.recipe, sample=recipe),
    )
