"""The record of a run: all that its results say of themselves, as plain data.

`collection.collect` makes it from a folder of results. The page (page.py), the file run.json and
the crate (crate.py) are views of it: none of them opens a file of the run itself.
Standard library only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

FORM = 1  # of run.json; raised when a reader of an older one would misread it

# What is known of a product. Only the first two are verdicts on its bytes and inputs.
VALID = "valid"  # its receipt holds
STALE = "stale"  # it would be made again, for the reason that stands beside it
UNCHECKED = "unchecked"  # nothing contradicts its receipt, and its bytes were not read
NO_RECEIPT = "no receipt"  # a file that nothing proves
RUNNING = "unfinished"  # a training or inference that has begun and has no receipt yet

TRAININGS = ("training", "stack network")  # kinds of steps that make a network


@dataclass(frozen=True)
class FileRecord:
    """A file of the run.

    path    below the folder of results, with `/`
    sha256  that its receipt names, or of the bytes themselves; "" if neither is known
    bytes   its size; None if the file does not exist
    """

    path: str
    sha256: str = ""
    bytes: Optional[int] = None


@dataclass(frozen=True)
class Standing:
    """Whether a product counts, why, and who says so.

    state   VALID, STALE, UNCHECKED, NO_RECEIPT or RUNNING
    reason  one phrase, as `make plan` has it
    source  "plan" (today's inputs were compared) or "receipt" (the receipts alone)
    """

    state: str
    reason: str
    source: str


@dataclass(frozen=True)
class Step:
    """One step that left a receipt, or one that has begun.

    name         "train adam/195", "infer zuiye/A", "blend searched: weights"; no two are the same
    kind         of its receipt: training, submission, admitted, weights, errors, blend, scores,
                 report, evaluation, ...
    network      "adam/195", or "" if it is of none
    group        of targets; None for all
    artifact     whose predictions the product holds, else ""
    product      the file that it made
    outputs      further files that it made
    receipt      path of the receipt, "" if there is none
    inputs       {role: sha256} of all that decided the product
    made_from    paths of products of other steps among its inputs
    started      ISO 8601, UTC, "" if unknown
    finished     as started
    seconds      that its main work took; None if unknown
    device       "cpu" or the GPU's name, "" if it is not recorded
    precision    "float32", "tf32", "bf16" or ""
    environment  of its last process: "packages" by name; python, stack, image, code, lock as text
    environments of all processes that took part in a training or an inference
    memory       {"GB": peak of the process, "GPU GB": of its GPU}; {} if it is not recorded
    why          why it ran, as it was decided then; "" if it is not recorded
    details      the receipt's own, beside what is above
    standing     whether it counts now
    """

    name: str
    kind: str
    product: FileRecord
    standing: Standing
    network: str = ""
    group: Optional[int] = None
    artifact: str = ""
    outputs: Tuple[FileRecord, ...] = ()
    receipt: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    made_from: Tuple[str, ...] = ()
    started: str = ""
    finished: str = ""
    seconds: Optional[float] = None
    device: str = ""
    precision: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    environments: Tuple[Mapping[str, Any], ...] = ()
    memory: Mapping[str, float] = field(default_factory=dict)
    why: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def packages(self) -> Mapping[str, str]:
        """The versions of the packages that it ran with, by name."""
        return dict(self.environment.get("packages", {}))


@dataclass(frozen=True)
class Evaluation:
    """A network on the validation rows, after `update` updates of its training.

    epoch    from 0
    loss     the mean of the epoch's updates so far
    r2       over all 368 targets; None if only that of a group is known
    chosen   the R2 that decides which evaluation is the best: of all targets, or of the group
    is_best  whether it was the best so far
    """

    update: int
    epoch: int
    loss: float
    chosen: Optional[float]
    r2: Optional[float] = None
    is_best: bool = False


@dataclass(frozen=True)
class Curve:
    """The losses and learning rates of one training.

    source       "history" (history.json) or "log" (of an older run: one point an evaluation)
    begins       the update from which on losses are known, 0 if all are
    steps        updates of an epoch; 0 if unknown
    updates      the number of each point's last update, increasing
    losses       the mean of the updates since the point before
    rates        learning rates at the point, one for each group of parameters
    evaluations  on the validation rows
    """

    network: str
    group: Optional[int]
    source: str
    steps: int
    updates: Tuple[int, ...]
    losses: Tuple[float, ...]
    rates: Tuple[Tuple[float, ...], ...]
    evaluations: Tuple[Evaluation, ...]
    begins: int = 0


@dataclass(frozen=True)
class Network:
    """One network of the run, in one line.

    state       the worst standing of its steps
    steps       names of its steps
    validation  best R2 on the validation rows, over 368 targets; None if it was not trained here
    test        R2 on withheld test rows over 368 targets; None if their truth is not known
    seconds     of all of its steps
    weight      in the blend that the page is about; None if it is not in it
    published   what the team published of it, {"cv", "public", "private"}; {} if nothing
    kaggle      what Kaggle answered for its parquet, {"public", "private"}; {} if it was not sent
    """

    name: str
    artifact: str
    state: str
    steps: Tuple[str, ...] = ()
    validation: Optional[float] = None
    predicted: Optional[float] = None
    test: Optional[float] = None
    test_predicted: Optional[float] = None
    seconds: float = 0.0
    weight: Optional[float] = None
    published: Mapping[str, float] = field(default_factory=dict)
    kaggle: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """A score that was reached: of a network, a blend or the baseline.

    rows       "validation", "test" (withheld rows of the world), "public" or "private" (Kaggle's)
    all        R2 over the 368 targets
    predicted  R2 over the 292 that networks predict; None if it is not known
    source     path of the file that says so
    """

    name: str
    rows: str
    all: float
    predicted: Optional[float]
    source: str


@dataclass(frozen=True)
class PlannedStep:
    """What `make plan` says of one step now."""

    name: str
    step: str
    runs: bool
    reason: str
    group: Optional[int] = None
    artifact: str = ""


@dataclass(frozen=True)
class PlanRecord:
    """What `make plan` says now.

    made      when it was asked
    mode      reproduce or infer-only
    profile   sample or full
    choices   (variable, value, reason) of every choice of the command
    lines     the plan as text
    steps     step by step
    problem   why there is no plan, "" if there is one
    """

    made: str = ""
    mode: str = ""
    profile: str = ""
    choices: Tuple[Tuple[str, str, str], ...] = ()
    lines: Tuple[str, ...] = ()
    steps: Tuple[PlannedStep, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Remark:
    """What a reader of the run should know.

    level  "warning" or "note"
    text   one sentence
    steps  names of the steps that it is about
    """

    level: str
    text: str
    steps: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Kit:
    """The kit that looked at the run, and who ran it.

    version  of leapkit
    code     commit that looks, with -dirty; "" if unknown
    user     who asked for the report, "" if unknown
    made     when, ISO 8601, UTC
    machine  what it is: platform, cores, memory, GPUs; {} if the launcher did not say
    locks    {stack of packages: sha256 of its lock file}
    """

    version: str
    code: str = ""
    user: str = ""
    made: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    locks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """All that a run left.

    kind      "training", "inference" (published checkpoints), or "blend" (parquets alone)
    table     the blend that the page is about, "" if there is none
    published what the team published of its blend: {"cv", "public", "private"}
    sboms     what `make sbom` left beside the run: what its images or environments hold
    """

    kind: str
    table: str
    kit: Kit
    steps: Tuple[Step, ...]
    networks: Tuple[Network, ...]
    curves: Tuple[Curve, ...]
    scores: Tuple[Score, ...]
    plan: PlanRecord
    remarks: Tuple[Remark, ...]
    published: Mapping[str, float] = field(default_factory=dict)
    sboms: Tuple[FileRecord, ...] = ()
    form: int = FORM

    @property
    def started(self) -> str:
        """When the first step began, "" if no step says so."""
        return min((step.started for step in self.steps if step.started), default="")

    @property
    def finished(self) -> str:
        """When the last step ended, "" if no step says so."""
        return max((step.finished for step in self.steps if step.finished), default="")

    def step(self, name: str) -> Optional[Step]:
        """Return the step of a name."""
        return next((step for step in self.steps if step.name == name), None)

    def final(self) -> Optional[Step]:
        """Return the step that made the final parquet of `table`, None if there is none."""
        named = [step for step in self.steps if step.kind == "blend"]
        return next((step for step in named if step.details.get("table") == self.table), None)


def to_json(record: Record) -> Dict[str, Any]:
    """Return the record as run.json holds it."""
    return asdict(record)


def standings(steps: Sequence[Step]) -> Dict[str, int]:
    """Return {state: number of steps}."""
    return dict(Counter(step.standing.state for step in steps))
