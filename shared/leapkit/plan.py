"""What a run would do for each experiment, and why (standard library only: no image, no torch, no GPU).

The members decide with these functions inside their containers and the launcher prints the same decision outside.
"""
from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from leapkit.errors import KitError
from leapkit.experiments import Experiment, TrainingRows, lineage, part_name, select
from leapkit.files import HashIndex, read_json, sha256_json
from leapkit.receipts import judge, receipt_path
from leapkit.world import RawData, RunFiles, Submission

MODES = ("reproduce", "infer-only")
ADMITTED = "admitted"  # the kind of receipt that `make verify` writes for a file from elsewhere


@dataclass(frozen=True)
class Places:
    """Where the world, the results and a member's published checkpoints lie."""

    raw: RawData
    submission: Submission
    weights: Path


class Hashes:
    """Hashes of the world's files by role, each found once for all experiments."""

    def __init__(self, raw: RawData, index: HashIndex) -> None:
        self.raw, self.index = raw, index
        self._steps: Dict[str, Dict[str, str]] = {}

    def of(self, path: Path) -> str:
        if not path.exists():
            raise KitError("the file is missing", path,
                           "see README, 'Real data'; `make reproduce PROFILE=sample` needs none")
        return self.index.of(path)

    def scaling(self, family: str) -> Dict[str, str]:
        return {role: self.of(path) for role, path in self.raw.scaling_files(family).items()}

    def test(self) -> Dict[str, str]:
        return {role: self.of(path) for role, path in self.raw.test_files().items()}

    def steps(self, first_month: str) -> Dict[str, str]:
        """The split and the step files of training from a month on and of validation."""
        if first_month not in self._steps:
            raw, split = self.raw, self.raw.split()
            training, validation = raw.training_pairs(first_month), raw.validation_pairs()
            found = {"split": sha256_json([split.validation_stride, [p.mli.name for p in validation]])}
            for role, chosen in (("training steps", training), ("validation steps", validation)):
                found[role] = self.index.of_many([f for pair in chosen for f in (pair.mli, pair.mlo)], raw.steps)
            self._steps[first_month] = found
        return self._steps[first_month]

    def rows(self, rows: TrainingRows) -> Dict[str, str]:
        """What `steps` says, and the file that names the rows where there is one."""
        index = self.raw.row_index(rows)
        found = dict(self.steps(rows.first_month))
        if index:
            found["row index"] = self.of(index)
        return found


@dataclass
class Part:
    """One checkpoint of an experiment: whether it is trained, why, and the inputs ({role: sha256}) that decide it."""

    group: Optional[int]
    checkpoint: Path
    train: bool = False
    reason: str = ""
    inputs: Dict[str, str] = field(default_factory=dict)


@dataclass
class Todo:
    """One experiment's steps: its parts' training, its inference."""

    row: Experiment
    parts: List[Part] = field(default_factory=list)
    infer: bool = False
    reasons: Dict[str, str] = field(default_factory=dict)
    inference_inputs: Dict[str, str] = field(default_factory=dict)
    blocked: str = ""  # why nothing can be done, in one sentence
    remedy: str = ""

    @property
    def train(self) -> bool:
        return any(part.train for part in self.parts)

    @property
    def runs(self) -> bool:
        return self.train or self.infer

    def lines(self) -> List[str]:
        if self.blocked:
            return ["%-24s cannot run: %s; %s" % (self.row.name, self.blocked, self.remedy)]
        return ["%-24s %-5s %s: %s" % (self.row.name, step, "runs" if getattr(self, step) else "is skipped", reason)
                for step, reason in self.reasons.items()]


def wanted(rows: Sequence[Experiment], names: str, mode: str, everything: bool) -> Sequence[Experiment]:
    """The experiments of a run, parents before their children.

    names       what the user asks for, "" for the default: in infer-only the published blend's, else all with
                `everything`, else the published blend's; to reproduce one takes its parents too
    Raises KitError for an unknown name, or where infer-only finds nothing published.
    """
    if names.replace(",", " ").strip():
        chosen = select(rows, names)
    else:
        chosen = tuple(row for row in rows if row.blended or (everything and mode == "reproduce"))
    if mode == "reproduce":
        return lineage(rows, chosen)
    unpublished = [row.name for row in chosen if not row.published]
    if unpublished or not chosen:
        raise KitError("no checkpoints were published of %s" % (", ".join(unpublished) or rows[0].member), "infer-only",
                       "train them with MODE=reproduce")
    return chosen


def of_experiments(rows: Sequence[Experiment], mode: str, profile: str, places: Places, hashes: Hashes) -> List[Todo]:
    """Decides by content what runs, parents first. Never raises: what is missing becomes `blocked`."""
    todos: Dict[str, Todo] = {}
    for row in rows:
        todos[row.id] = todo = Todo(row)
        try:
            _decide(todo, mode, profile, places, hashes, todos.get(row.parent))
        except KitError as error:
            todo.blocked = "%s: %s" % (error.where, error.what) if error.where else error.what
            todo.remedy = error.remedy
            todo.infer, todo.parts = False, []
    return list(todos.values())


def _decide(todo: Todo, mode: str, profile: str, places: Places, hashes: Hashes, parent: Optional[Todo]) -> None:
    row = todo.row
    if row.artifact and _is_admitted(row, places, hashes):
        todo.reasons["infer"] = "it is a file of your own, admitted by `make verify` (move it away to make it here)"
        return
    if mode == "reproduce":
        folder = places.submission.experiment(row.member, row.id)
        for group in row.parts:
            todo.parts.append(_plan_training(row, profile, RunFiles(folder, row.id, group), hashes, parent))
        todo.reasons["train"] = _in_short(todo.parts)
    else:
        files = published_files(row, places.weights, hashes.index)
        todo.parts = [Part(group, file) for group, file in zip(row.parts, files)]
        for part in todo.parts:
            require_own(part.checkpoint, row, profile, hashes.index)
    if row.artifact:
        _plan_inference(todo, profile, places, hashes)
    elif mode == "infer-only":
        raise KitError("others start from it, it predicts nothing itself", row.name, "choose one of its children")


def _in_short(parts: Sequence[Part]) -> str:
    """One reason for all parts, with their number where they differ."""
    running = [part for part in parts if part.train]
    if len(parts) == 1 or not running:
        return parts[0].reason
    return "%d of %d groups, %s" % (len(running), len(parts), running[0].reason)


def _is_admitted(row: Experiment, places: Places, hashes: Hashes) -> bool:
    """Whether the parquet is the user's own, verified for this very test set: it is used and never written over."""
    parquet = places.submission.parquet(row.artifact)
    if not parquet.exists() or read_receipt(parquet).get("kind") != ADMITTED:
        return False
    verdict = judge(parquet, hashes.test(), hashes.index)
    if not verdict.done:
        raise KitError("is a file of your own, and %s" % verdict.reason, parquet,
                       "run `make verify` again without its receipt, or move it away")
    return True


def _plan_training(row: Experiment, profile: str, files: RunFiles, hashes: Hashes, parent: Optional[Todo]) -> Part:
    part = Part(files.group, files.checkpoint, inputs={
        **hashes.scaling(row.family), **hashes.rows(row.recipe[profile].rows),
        "network": sha256_json(row.network_row(profile)), "recipe": sha256_json(row.recipe_row(profile))})
    if row.parent:
        if parent is None or parent.blocked:
            raise KitError("its parent %s/%s cannot run" % (row.member, row.parent), row.name, "mend what stops the parent")
        if not parent.parts:
            raise KitError("its parent %s/%s is not trained here, as its parquet is a file of your own"
                           % (row.member, row.parent), row.name, "move that parquet away to train the parent")
        part.inputs["start"] = sha256_json([files.group, row.fresh, asdict(row.groups) if row.groups else None])
        if parent.train:
            part.train, part.reason = True, "its parent is about to be trained"
            return part
        part.inputs["parent"] = hashes.of(parent.parts[0].checkpoint)
    verdict = judge(files.checkpoint, part.inputs, hashes.index)
    part.train, part.reason = not verdict.done, verdict.reason
    if verdict.done and not files.oof.exists():
        part.train, part.reason = True, "its %s is missing" % files.oof.name
    return part


def _plan_inference(todo: Todo, profile: str, places: Places, hashes: Hashes) -> None:
    row = todo.row
    inputs = {**hashes.test(), **hashes.scaling(row.family), "network": sha256_json(row.network_row(profile))}
    if todo.train:
        todo.infer, todo.reasons["infer"] = True, "its checkpoint is about to be trained"
    else:
        for part in todo.parts:
            inputs["checkpoint " + row.stem(part.group)] = hashes.of(part.checkpoint)
        verdict = judge(places.submission.parquet(row.artifact), inputs, hashes.index)
        todo.infer, todo.reasons["infer"] = not verdict.done, verdict.reason
    todo.inference_inputs = inputs
    if todo.infer:
        _protect(todo, profile, places)


def published_files(row: Experiment, weights: Path, index: HashIndex) -> List[Path]:
    """The team's checkpoints of an experiment, under any of their names, in a folder of their own or not.

    Raises KitError where one is missing, or where files of several names differ.
    """
    names = (row.id,) + (row.published.names if row.published else ())
    files = []
    for group in row.parts:
        stems = [part_name(name, group) + ".pt" for name in names]
        candidates = [weights / stem for stem in stems]
        candidates += [weights / folder / stem for folder, stem in itertools.product(names, stems)]
        there = [path for path in candidates if path.exists()]
        if not there:
            raise KitError("the checkpoint is missing", candidates[min(1, len(stems) - 1)],
                           "put the published file there (README, 'Inference'), or train it with `make reproduce`")
        for other in there[1:]:
            if index.of(other) != index.of(there[0]):
                raise KitError("is another file than %s, and both are names of %s" % (there[0].name, row.name), other,
                               "keep the right one")
        files.append(there[0])
    return files


def require_own(checkpoint: Path, row: Experiment, profile: str, index: HashIndex) -> bool:
    """Whether a receipt beside the checkpoint proves that this network was trained; False where there is none.

    Raises KitError where it proves another network: equal names and shapes would let it load.
    """
    receipt = read_receipt(checkpoint)
    if receipt.get("kind") != "training" or receipt.get("sha256") != index.of(checkpoint):
        return False
    made = receipt.get("inputs", {}).get("network")
    if made != sha256_json(row.network_row(profile)):
        raise KitError("its receipt says that it is the checkpoint of another network than %s at %s size"
                       % (row.name, profile), checkpoint, "put this network's own checkpoint there")
    return True


def refuse_shared_files(todos: Sequence[Todo], profile: str, hashes: Hashes) -> None:
    """Blocks experiments of different networks that were given the same checkpoint file under two names."""
    seen: Dict[str, Todo] = {}
    for todo in todos:
        for part in todo.parts:
            other = seen.setdefault(hashes.of(part.checkpoint), todo)
            if other.row.network_row(profile) != todo.row.network_row(profile):
                todo.blocked = "%s: is the same file as a checkpoint of %s, another network" % (
                    part.checkpoint, other.row.name)
                todo.remedy = "put each network's own checkpoint there"


def scratch_path(folder: Path, inference_inputs: Mapping[str, str]) -> Path:
    """Unfinished predictions, named after everything that decides them."""
    return folder / ("predictions-%s.f32" % sha256_json(dict(inference_inputs))[:16])


def _protect(todo: Todo, profile: str, places: Places) -> None:
    """Raises KitError rather than write over a user's own parquet, or over full-size results from the sample world."""
    row, parquet = todo.row, places.submission.parquet(todo.row.artifact)
    if not parquet.exists():
        return
    if not receipt_path(parquet).exists():
        if not scratch_path(places.submission.experiment(row.member, row.id), todo.inference_inputs).exists():
            raise KitError("has no receipt, so it may be your own download", parquet,
                           "admit it with `make verify`, or move it away")
        return  # a run was stopped between the parquet and its receipt
    receipt = read_receipt(parquet)
    if not receipt:
        raise KitError("has a receipt that cannot be read, so nothing says whether it can be made again", parquet,
                       "move both away, or remove the receipt and admit the parquet with `make verify`")
    if profile == "sample" and receipt.get("details", {}).get("profile") == "full":
        raise KitError("was made at full size, and the sample profile would write over it", parquet,
                       "give another folder with SUBMISSION=")


def read_receipt(product: Path) -> Dict[str, Any]:
    """The receipt of a product; empty when there is none or it is no receipt."""
    try:
        receipt = read_json(receipt_path(product))
    except KitError:
        return {}
    if not isinstance(receipt, dict) or not all(isinstance(receipt.get(k, {}), dict) for k in ("details", "inputs")):
        return {}
    return receipt
