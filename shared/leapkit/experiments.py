"""An experiment is data: one frozen, validated row per network (standard library only).

The launcher reads the same rows to plan, without torch; the members' code turns them into networks and runs.
"""
from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Mapping, Sequence, Tuple

from leapkit.errors import KitError

FAMILIES = ("adam", "fdzm")
PROFILES = ("sample", "full")
_MONTH = re.compile(r"^\d{4}-\d{2}$")


def _require(condition: bool, row: object, what: str) -> None:
    if not condition:
        raise ValueError("%s: %s" % (row, what))


@dataclass(frozen=True)
class TrainingRows:
    """Which rows of the training months are learned from.

    first_month  months before it are left out (YYYY-MM)
    fraction     share of each month's rows, drawn without replacement from `seed`
    """

    first_month: str = "0001-02"
    fraction: float = 1.0
    seed: int = 1103

    def __post_init__(self) -> None:
        _require(bool(_MONTH.match(self.first_month)), self, "first_month is YYYY-MM")
        _require(0 < self.fraction <= 1, self, "0 < fraction <= 1")


@dataclass(frozen=True)
class PlateauSchedule:
    """ReduceLROnPlateau on the validation score, stepped at every evaluation (torch's default threshold 1e-4, relative)."""

    factor: float = 0.1
    patience: int = 2
    min_lr: float = 1e-5

    def __post_init__(self) -> None:
        _require(0 < self.factor < 1 and self.patience >= 0 and self.min_lr >= 0, self, "impossible schedule")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained (reference/models.md sections 2 and 4).

    lr, betas, weight_decay    of the optimiser; Adam
    schedule                   of the learning rate
    epochs                     at most; the run stops after the first epoch without a new best score
    batch, validation_batch    rows
    clip                       largest gradient norm
    evaluations_per_epoch      evenly spread, the last one at the epoch's end
    smooth_l1_beta             of the loss over all columns and of its level-difference part
    seed                       of initialisation, shuffling and dropout
    rows                       which rows are learned from
    """

    lr: float
    epochs: int
    batch: int
    validation_batch: int
    seed: int
    rows: TrainingRows
    schedule: PlateauSchedule = field(default_factory=PlateauSchedule)
    betas: Tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float = 1000.0
    evaluations_per_epoch: int = 4
    smooth_l1_beta: float = 1.0

    def __post_init__(self) -> None:
        _require(self.lr > 0 and self.clip > 0 and self.smooth_l1_beta > 0, self, "lr, clip and beta are positive")
        _require(min(self.epochs, self.batch, self.validation_batch, self.evaluations_per_epoch) >= 1, self,
                 "epochs, batches and evaluations are at least 1")


@dataclass(frozen=True)
class Experiment:
    """One network of the blend.

    member, id  `adam`, `195`: the kit's name is `adam/195`
    artifact    the parquet's stem in submission/subs, as the published blend table has it (dots included)
    family      of statistics
    network     a frozen dataclass per profile, built by the member's networks.py
    recipe      per profile
    batch       rows per forward pass at inference
    """

    member: str
    id: str
    artifact: str
    family: str
    network: Mapping[str, Any]
    recipe: Mapping[str, Recipe]
    batch: int

    def __post_init__(self) -> None:
        _require(self.family in FAMILIES, self.name, "unknown family %r" % self.family)
        _require(bool(re.match(r"^[\w.-]+$", self.artifact)) and not self.artifact.endswith((".parquet", ".npy")),
                 self.name, "the artifact is a file stem")
        _require(set(self.network) == set(self.recipe) == set(PROFILES), self.name, "one network and recipe per profile")
        _require(self.batch >= 1, self.name, "batch is at least 1")

    @property
    def name(self) -> str:
        return "%s/%s" % (self.member, self.id)

    @property
    def checkpoint(self) -> str:
        return self.id + ".pt"

    @property
    def parquet(self) -> str:
        return self.artifact + ".parquet"

    def network_row(self, profile: str) -> Dict[str, Any]:
        """The network as plain data: what a receipt records and compares."""
        return {"class": type(self.network[profile]).__name__, **asdict(self.network[profile])}

    def recipe_row(self, profile: str) -> Dict[str, Any]:
        return asdict(self.recipe[profile])


def by_id(rows: Sequence[Experiment]) -> Dict[str, Experiment]:
    """{id: row}; raises ValueError where an id or an artifact stands there twice."""
    table = {row.id: row for row in rows}
    _require(len(table) == len(rows) and len({row.artifact for row in rows}) == len(rows), "registry",
             "an id or an artifact stands there twice")
    return table


def select(rows: Sequence[Experiment], wanted: str) -> Tuple[Experiment, ...]:
    """Rows named in a list such as `195,adam/200` (all when empty). Raises KitError for an unknown name."""
    names = [name for name in re.split(r"[,\s]+", wanted) if name]
    known = {alias: row for row in rows for alias in (row.id, row.name)}
    for name in names:
        if name not in known:
            raise KitError("unknown experiment %s" % name, "EXPERIMENTS",
                           "choose from " + ", ".join(row.name for row in rows))
    return tuple(row for row in rows if not names or row.id in names or row.name in names)
