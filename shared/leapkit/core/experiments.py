"""An experiment is data: one frozen, validated record per network (standard library only).

The launcher reads the same experiments to plan, without torch; the members' code turns them into networks and runs.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from leapkit.core.columns import GROUP_NAMES
from leapkit.core.errors import KitError

FAMILIES = ("adam", "fdzm")
PROFILES = ("sample", "full")
SAMPLE_POOL = (
    1 << 13
)  # rows: less than there are, so that the sample world is read as the real data is
OPTIMISERS = ("adam", "adamw")
_MONTH = re.compile(r"^\d{4}-\d{2}$")


def _require(condition: bool, experiment: object, what: str) -> None:
    if not condition:
        raise ValueError(f"{experiment}: {what}")


@dataclass(frozen=True)
class RowSelection:
    """Which rows of the training months are learned from.

    first_month  months before it are left out (YYYY-MM)
    fraction     share of each month's rows, drawn without replacement from `seed`
    index        file below raw_data that names them instead, where the user has it (leapkit.data.row_index)
    pool         rows that are in memory and shuffled together, two pools at a time (3.7 kB a row)
    """

    first_month: str = "0001-02"
    fraction: float = 1.0
    seed: int = 1103
    index: str = ""
    pool: int = 1 << 19

    def __post_init__(self) -> None:
        _require(bool(_MONTH.match(self.first_month)), self, "first_month is YYYY-MM")
        _require(0 < self.fraction <= 1 <= self.pool, self, "0 < fraction <= 1, and a pool of rows")


@dataclass(frozen=True)
class PlateauSchedule:
    """ReduceLROnPlateau on the validation score, stepped at every evaluation (torch's default threshold 1e-4, relative)."""

    factor: float = 0.1
    patience: int = 2
    min_lr: float = 1e-5

    def __post_init__(self) -> None:
        _require(
            0 < self.factor < 1 and self.patience >= 0 and self.min_lr >= 0,
            self,
            "impossible schedule",
        )


@dataclass(frozen=True)
class CosineRestarts:
    """CosineAnnealingWarmRestarts in epochs, stepped after every update with epoch + step / steps (both from 0).

    first   epochs of the first cycle
    factor  every cycle is so many times as long as the one before
    min_lr  at the end of a cycle, for every group of parameters
    """

    first: int
    factor: int
    min_lr: float

    def __post_init__(self) -> None:
        _require(
            self.first >= 1 and self.factor >= 1 and self.min_lr >= 0, self, "impossible schedule"
        )


@dataclass(frozen=True)
class Augmentation:
    """Chance per sample of turning all its profiles upside down, or of rolling them by 1..shift levels either way."""

    flip: float
    roll: float
    shift: int

    def __post_init__(self) -> None:
        _require(
            self.flip >= 0 and self.roll >= 0 and self.flip + self.roll <= 1 and self.shift >= 1,
            self,
            "two chances and a shift",
        )


@dataclass(frozen=True)
class Recipe:
    """How a network is trained (reference/models.md sections 2 and 4 to 8).

    lr                     of all parameters, or {prefix of parameter names: lr}: those that no prefix names stay as
                           they are initialised
    optimiser              adam or adamw
    betas, weight_decay    of the optimiser
    schedule               of the learning rate
    epochs                 at most
    early_stop             ends the run after the first epoch without a new best score
    batch                  rows; the rows left over at an epoch's end are not used in it
    validation_batch       rows
    clip                   largest gradient norm
    evaluations_per_epoch  evenly spread, the last one at the epoch's end; one number, or one per epoch
    skipped_evaluations    the first so many of an epoch's evaluations are left out
    min_gain               a checkpoint replaces the best one when its score is better by more than this
    smooth_l1_beta         of both parts of the loss over all columns; a group's loss has beta 1
    augmentation           of the training rows
    seed                   of initialisation, shuffling, dropout and augmentation
    rows                   which rows are learned from
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

    def __post_init__(self) -> None:
        _require(
            bool(self.rates)
            and min(self.rates.values()) > 0
            and self.clip > 0
            and self.smooth_l1_beta > 0,
            self,
            "lr, clip and beta are positive",
        )
        _require(all(rate == rate for rate in self.rates.values()), self, "lr is a number")
        _require(self.optimiser in OPTIMISERS, self, f"the optimiser is one of {OPTIMISERS}")
        counts = [self.evaluations_in(epoch) for epoch in range(self.epochs)]
        _require(
            min([self.epochs, self.batch, self.validation_batch] + counts) >= 1,
            self,
            "epochs, batches and evaluations are at least 1",
        )
        _require(
            0 <= self.skipped_evaluations < min(counts) and self.min_gain >= 0,
            self,
            "one evaluation an epoch at least, and no negative gain",
        )

    @property
    def rates(self) -> Dict[str, float]:
        """{prefix of parameter names: learning rate}; the prefix "" names all."""
        return {"": self.lr} if isinstance(self.lr, (int, float)) else dict(self.lr)

    def evaluations_in(self, epoch: int) -> int:
        """How often epoch `epoch` (from 0) is divided by evaluations."""
        counts = self.evaluations_per_epoch
        if isinstance(counts, int):
            return counts
        _require(len(counts) == self.epochs, self, "one number of evaluations per epoch")
        return counts[epoch]


def at_sample_size(
    recipe: Recipe,
    epochs: int = 0,
    batch: int = 64,
    faster: float = 10.0,
    tuning_rows: float = 0.125,
) -> Recipe:
    """The same recipe for narrow networks on a small world: small batches, larger steps, a fifth of the epochs.

    One epoch of fine-tuning stays one epoch, over an eighth of the rows.
    """
    tunes, schedule = recipe.epochs == 1, recipe.schedule
    epochs = 1 if tunes else epochs or round(recipe.epochs / 5)
    if isinstance(schedule, CosineRestarts):
        schedule = replace(schedule, first=min(schedule.first, epochs))
    return replace(
        recipe,
        lr={prefix: faster * rate for prefix, rate in recipe.rates.items()},
        schedule=schedule,
        epochs=epochs,
        batch=batch,
        validation_batch=512,
        evaluations_per_epoch=recipe.evaluations_per_epoch if tunes else 1,
        rows=replace(
            recipe.rows, fraction=tuning_rows if tunes else 1.0, index="", pool=SAMPLE_POOL
        ),
    )


@dataclass(frozen=True)
class GroupRule:
    """Fine-tuning of one copy of the parent per group of targets (reference/models.md section 8).

    parents         groups that keep the parent's weights without being trained
    keep_if_better  a group whose fine-tuned score is below the parent's keeps the parent's weights
    """

    parents: Tuple[int, ...] = ()
    keep_if_better: bool = False


@dataclass(frozen=True)
class PublishedCheckpoints:
    """The team's own checkpoint files.

    names   stems that they go by, the usual one first: <name>.pt, or <name>_g0.pt to <name>_g6.pt
    prefix  of the tensors' names in them: `module.` where the team saved its nn.DataParallel wrapper
    indistinguishable_from  another experiment whose files have the same names and shapes and compute something else
    """

    names: Tuple[str, ...]
    prefix: str = ""
    indistinguishable_from: str = ""


@dataclass(frozen=True)
class Experiment:
    """One network, or seven copies of one.

    member, id  `adam`, `195`: the kit's name is `adam/195`
    artifact    the parquet's stem in submission/subs, as the published blend table has it (dots included); "" for a
                network that only others start from
    family      of statistics
    network     a frozen dataclass per profile, built by the member's networks.py
    recipe      per profile
    batch       rows per forward pass at inference
    parent      id of the experiment whose weights it starts from, "" for fresh ones
    fresh       tensors that are not taken from the parent
    groups      the rule of group fine-tuning; None for one checkpoint that predicts all targets
    published   the team's checkpoint files; None where it released none
    blended     whether the published blend counts it
    """

    member: str
    id: str
    artifact: str
    family: str
    network: Mapping[str, Any]
    recipe: Mapping[str, Recipe]
    batch: int
    parent: str = ""
    fresh: Tuple[str, ...] = ()
    groups: Optional[GroupRule] = None
    published: Optional[PublishedCheckpoints] = None
    blended: bool = False

    def __post_init__(self) -> None:
        _require(self.family in FAMILIES, self.name, f"unknown family {self.family!r}")
        _require(
            bool(re.match(r"^[\w.-]*$", self.artifact))
            and not self.artifact.endswith((".parquet", ".npy")),
            self.name,
            "the artifact is a file stem",
        )
        _require(
            set(self.network) == set(self.recipe) == set(PROFILES),
            self.name,
            "one network and recipe per profile",
        )
        _require(self.batch >= 1, self.name, "batch is at least 1")
        _require(
            bool(self.parent) or not (self.groups or self.fresh),
            self.name,
            "groups are tuned from a parent",
        )
        _require(
            bool(self.artifact and self.published) or not self.blended,
            self.name,
            "what the published blend counts has an artifact and checkpoints",
        )

    @property
    def name(self) -> str:
        return f"{self.member}/{self.id}"

    @property
    def checkpoint_groups(self) -> Tuple[Optional[int], ...]:
        """The group of each checkpoint: (None,) for one that predicts all targets, else (0, ..., 6)."""
        return (None,) if self.groups is None else tuple(range(len(GROUP_NAMES)))

    def stem(self, group: Optional[int]) -> str:
        """The name of a checkpoint without its suffix: 195, or 32_g0."""
        return group_stem(self.id, group)

    @property
    def parquet(self) -> str:
        return self.artifact + ".parquet"

    def network_record(self, profile: str) -> Dict[str, Any]:
        """The network as plain data: what a receipt records and compares."""
        return {"class": type(self.network[profile]).__name__, **asdict(self.network[profile])}

    def recipe_record(self, profile: str) -> Dict[str, Any]:
        recipe = self.recipe[profile]
        return {
            **asdict(recipe),
            "schedule": {"class": type(recipe.schedule).__name__, **asdict(recipe.schedule)},
        }


def group_stem(name: str, group: Optional[int]) -> str:
    return name if group is None else "%s_g%d" % (name, group)


def by_id(experiments: Sequence[Experiment]) -> Dict[str, Experiment]:
    """{id: experiment}; raises ValueError where an id or an artifact stands there twice, or a parent is not there."""
    table = {experiment.id: experiment for experiment in experiments}
    artifacts = [experiment.artifact for experiment in experiments if experiment.artifact]
    _require(
        len(table) == len(experiments) and len(set(artifacts)) == len(artifacts),
        "registry",
        "an id or an artifact stands there twice",
    )
    _require(
        all(experiment.parent in table for experiment in experiments if experiment.parent),
        "registry",
        "a parent is not there",
    )
    return table


def select(experiments: Sequence[Experiment], wanted: str) -> Tuple[Experiment, ...]:
    """Rows named in a list such as `195,adam/200` or by their artifacts (all when empty). Raises KitError."""
    names = [name for name in re.split(r"[,\s]+", wanted) if name]
    known = {alias for experiment in experiments for alias in _aliases(experiment)}
    for name in names:
        if name not in known:
            raise KitError(
                f"unknown experiment {name}",
                "EXPERIMENTS",
                "choose from " + ", ".join(experiment.name for experiment in experiments),
            )
    return tuple(
        experiment
        for experiment in experiments
        if not names or set(_aliases(experiment)) & set(names)
    )


def _aliases(experiment: Experiment) -> List[str]:
    return [name for name in (experiment.id, experiment.name, experiment.artifact) if name]


def lineage(
    experiments: Sequence[Experiment], chosen: Sequence[Experiment]
) -> Tuple[Experiment, ...]:
    """`chosen` and all that they start from, every parent before its children, else in the order of `experiments`."""
    ordered: List[Experiment] = []

    def add(experiment: Experiment) -> None:
        if experiment.parent:
            add(
                next(
                    r
                    for r in experiments
                    if (r.member, r.id) == (experiment.member, experiment.parent)
                )
            )
        if experiment not in ordered:
            ordered.append(experiment)

    for experiment in experiments:
        if experiment in chosen:
            add(experiment)
    return tuple(ordered)
