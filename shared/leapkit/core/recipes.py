"""How a network is trained, as frozen and validated data: rows, schedule, augmentation, recipe.

A field's name, class and value are hashed into receipts: a change of any of them makes every
trained checkpoint stale.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Dict, Mapping, Optional, Tuple, Union

from leapkit.core.training_options import TrainingOptions

OPTIMISERS = ("adam", "adamw")
# Rows of a pool at sample size: fewer than the sample world has, so that it is read in several
# pools, as the real data is.
SAMPLE_POOL = 1 << 13
# Fractions of the sample world's training rows that a network learns from: enough for the blend to
# pass a ridge regression, few enough for a first run of ten minutes on two cores.
TRAINING_FRACTION = 3 / 4
TUNING_FRACTION = 1 / 32  # for each group of targets
_MONTH = re.compile(r"^\d{4}-\d{2}$")


def require(condition: bool, record: object, rule: str) -> None:
    """Raise ValueError, naming the record and its rule, unless the condition holds."""
    if not condition:
        raise ValueError(f"{record}: {rule}")


@dataclass(frozen=True)
class RowSelection:
    """Which rows of the training months are learned from.

    first_month  months before it are left out (YYYY-MM)
    fraction     share of each month's rows, drawn without replacement from `seed`
    index        file below raw_data that names the rows instead, if the user has it
                 (leapkit.data.row_index)
    pool         rows that are in memory and shuffled together, two pools at a time (3.7 kB a row)
    """

    first_month: str = "0001-02"
    fraction: float = 1.0
    seed: int = 1103
    index: str = ""
    pool: int = 1 << 19

    def __post_init__(self) -> None:
        require(bool(_MONTH.match(self.first_month)), self, "first_month is YYYY-MM")
        require(0 < self.fraction <= 1, self, "0 < fraction <= 1")
        require(self.pool >= 1, self, "a pool holds at least one row")


@dataclass(frozen=True)
class PlateauSchedule:
    """ReduceLROnPlateau on the validation score, stepped at every evaluation.

    The threshold is torch's default: 1e-4, relative.
    """

    factor: float = 0.1
    patience: int = 2
    min_lr: float = 1e-5

    def __post_init__(self) -> None:
        require(0 < self.factor < 1, self, "0 < factor < 1")
        require(self.patience >= 0 and self.min_lr >= 0, self, "nothing is negative")


@dataclass(frozen=True)
class CosineRestarts:
    """CosineAnnealingWarmRestarts in epochs, stepped after every update.

    It is stepped with epoch + step / steps, both counted from 0.

    first   epochs of the first cycle
    factor  each cycle is this many times as long as the one before
    min_lr  learning rate at the end of a cycle, for every group of parameters
    """

    first: int
    factor: int
    min_lr: float

    def __post_init__(self) -> None:
        require(self.first >= 1 and self.factor >= 1, self, "a cycle lasts at least one epoch")
        require(self.min_lr >= 0, self, "min_lr is not negative")


@dataclass(frozen=True)
class Augmentation:
    """Chances per sample of changing all its profiles.

    flip   chance of turning them upside down
    roll   chance of rolling them by 1 to `shift` levels, up or down
    """

    flip: float
    roll: float
    shift: int

    def __post_init__(self) -> None:
        require(
            self.flip >= 0 and self.roll >= 0 and self.flip + self.roll <= 1,
            self,
            "flip and roll are chances of which at most one comes true",
        )
        require(self.shift >= 1, self, "a roll shifts by at least one level")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained (docs/reference/models.md, "Training loop").

    lr                     of all parameters, or {prefix of parameter names: lr}: parameters that no
                           prefix names stay as they are initialised
    optimiser              adam or adamw
    betas, weight_decay    of the optimiser
    schedule               of the learning rate
    epochs                 at most
    early_stop             ends the run after the first epoch without a new best score
    batch                  rows per update; the rest of an epoch that fills no batch is not used
    validation_batch       rows per forward pass of an evaluation
    clip                   largest gradient norm
    evaluations_per_epoch  evenly spread, the last one at the epoch's end; one number for all
                           epochs, or one per epoch
    skipped_evaluations    the first so many of an epoch's evaluations are left out
    min_gain               a checkpoint replaces the best one if its score is better by more
    smooth_l1_beta         of both parts of the loss over all targets; a group's loss has beta 1
    augmentation           of the training rows
    seed                   of initialisation, shuffling, dropout and augmentation
    rows                   which rows are learned from
    options                beyond the published solution; none is on by default
    """

    lr: Union[float, Mapping[str, float]]
    epochs: int
    batch: int
    validation_batch: int
    seed: int
    schedule: Union[PlateauSchedule, CosineRestarts]
    rows: RowSelection = field(default_factory=RowSelection)
    optimiser: str = "adamw"
    betas: Tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    clip: float = 1000.0
    evaluations_per_epoch: Union[int, Tuple[int, ...]] = 2
    skipped_evaluations: int = 0
    min_gain: float = 0.0
    smooth_l1_beta: float = 1.0
    early_stop: bool = False
    augmentation: Optional[Augmentation] = None
    options: TrainingOptions = field(default_factory=TrainingOptions)

    def __post_init__(self) -> None:
        rates = self.rates.values()
        # A rate that is not a number passes no comparison.
        require(bool(rates) and all(rate > 0 for rate in rates), self, "lr is a positive number")
        require(
            self.clip > 0 and self.smooth_l1_beta > 0, self, "clip and smooth_l1_beta are positive"
        )
        require(self.optimiser in OPTIMISERS, self, f"the optimiser is one of {OPTIMISERS}")
        require(
            min(self.epochs, self.batch, self.validation_batch) >= 1,
            self,
            "epochs and batches are at least 1",
        )
        fewest = min(self.evaluations_in(epoch) for epoch in range(self.epochs))
        require(
            0 <= self.skipped_evaluations < fewest,
            self,
            "at least one evaluation of an epoch is not skipped",
        )
        require(self.min_gain >= 0, self, "min_gain is not negative")
        require(
            not (self.options.positivity and self.augmentation),
            self,
            "positivity is not combined with augmentation, which moves the water it bounds by",
        )

    @property
    def rates(self) -> Dict[str, float]:
        """{prefix of parameter names: learning rate}; the prefix "" names all."""
        return {"": self.lr} if isinstance(self.lr, (int, float)) else dict(self.lr)

    def evaluations_in(self, epoch: int) -> int:
        """Return the number of evaluations of an epoch (from 0), the skipped ones included."""
        counts = self.evaluations_per_epoch
        if isinstance(counts, int):
            return counts
        require(len(counts) == self.epochs, self, "one number of evaluations per epoch")
        return counts[epoch]


def at_sample_size(
    recipe: Recipe,
    faster: float = 10.0,
    batch: int = 64,
    epochs: int = 1,
    fraction: float = TRAINING_FRACTION,
) -> Recipe:
    """Return the same recipe for narrow networks on a small world, for a first run of minutes.

    Each epoch has one evaluation, at its end. A recipe that fine-tunes, which is one of one epoch,
    stays that and learns from TUNING_FRACTION of the rows.

    faster            factor of all learning rates
    batch             rows per update
    epochs, fraction  of a recipe of several epochs: how many, and of which part of the rows
    """
    if recipe.epochs == 1:
        fraction = TUNING_FRACTION
        epochs = 1
    schedule = recipe.schedule
    if isinstance(schedule, CosineRestarts):
        schedule = replace(schedule, first=min(schedule.first, epochs))
    return replace(
        recipe,
        lr={prefix: faster * rate for prefix, rate in recipe.rates.items()},
        schedule=schedule,
        epochs=epochs,
        batch=batch,
        validation_batch=512,
        evaluations_per_epoch=1,
        skipped_evaluations=0,
        rows=replace(recipe.rows, fraction=fraction, index="", pool=SAMPLE_POOL),
    )
