"""What a run would do for one experiment, and why (standard library only: no image, no torch, no GPU).

The members decide with these functions inside their containers and the launcher prints the same decision outside.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping

from leapkit.errors import KitError
from leapkit.experiments import Experiment
from leapkit.files import HashIndex, read_json, sha256_json
from leapkit.receipts import judge, receipt_path
from leapkit.world import RawData, Submission

MODES = ("reproduce", "infer-only")
ADMITTED = "admitted"  # the kind of receipt that `make verify` writes for a file from elsewhere


@dataclass(frozen=True)
class Places:
    """Where the world, the results and a member's published checkpoints lie."""

    raw: RawData
    submission: Submission
    weights: Path


@dataclass
class Todo:
    """One experiment's steps: whether each runs, why, and the inputs ({role: sha256}) that decide it."""

    name: str
    artifact: str
    checkpoint: Path = Path()
    train: bool = False
    infer: bool = False
    reasons: Dict[str, str] = field(default_factory=dict)
    training_inputs: Dict[str, str] = field(default_factory=dict)
    inference_inputs: Dict[str, str] = field(default_factory=dict)
    blocked: str = ""  # why nothing can be done, in one sentence
    remedy: str = ""

    def lines(self) -> List[str]:
        if self.blocked:
            return ["%-12s cannot run: %s; %s" % (self.name, self.blocked, self.remedy)]
        return ["%-12s %-5s %s: %s" % (self.name, step, "runs" if getattr(self, step) else "is skipped", reason)
                for step, reason in self.reasons.items()]


def of_experiment(row: Experiment, mode: str, profile: str, places: Places, index: HashIndex) -> Todo:
    """Decides by content what runs for one experiment. Never raises: what is missing becomes `blocked`."""
    todo = Todo(row.name, row.artifact)
    try:
        if _is_admitted(row, places, index):
            todo.reasons["infer"] = "it is a file of your own, admitted by `make verify` (move it away to make it here)"
            return todo
        if mode == "reproduce":
            _plan_training(row, profile, places, index, todo)
        else:
            todo.checkpoint = places.weights / row.checkpoint
        _plan_inference(row, profile, places, index, todo, mode)
    except KitError as error:
        todo.blocked = "%s: %s" % (error.where, error.what) if error.where else error.what
        todo.remedy = error.remedy
        todo.train = todo.infer = False
    return todo


def _is_admitted(row: Experiment, places: Places, index: HashIndex) -> bool:
    """Whether the parquet is the user's own, verified for this very test set: it is used and never written over."""
    parquet = places.submission.parquet(row.artifact)
    if not parquet.exists() or _read_receipt(parquet).get("kind") != ADMITTED:
        return False
    verdict = judge(parquet, {role: _hash(path, index) for role, path in places.raw.test_files().items()}, index)
    if not verdict.done:
        raise KitError("is a file of your own, and %s" % verdict.reason, parquet,
                       "run `make verify` again without its receipt, or move it away")
    return True


def _plan_training(row: Experiment, profile: str, places: Places, index: HashIndex, todo: Todo) -> None:
    raw = places.raw
    split = raw.split()
    pairs = raw.training_pairs(row.recipe[profile].rows.first_month)
    validation = raw.validation_pairs()
    inputs = {role: _hash(path, index) for role, path in raw.scaling_files(row.family).items()}
    inputs["network"] = sha256_json(row.network_row(profile))
    inputs["recipe"] = sha256_json(row.recipe_row(profile))
    inputs["split"] = sha256_json([split.validation_stride, [p.mli.name for p in validation]])
    for role, chosen in (("training steps", pairs), ("validation steps", validation)):
        inputs[role] = index.of_many([f for pair in chosen for f in (pair.mli, pair.mlo)], raw.steps)
    todo.training_inputs = inputs
    todo.checkpoint = places.submission.experiment(row.member, row.id) / row.checkpoint
    verdict = judge(todo.checkpoint, inputs, index)
    if verdict.done and not (todo.checkpoint.parent / "oof.npy").exists():
        todo.train, todo.reasons["train"] = True, "its oof.npy is missing"
    else:
        todo.train, todo.reasons["train"] = not verdict.done, verdict.reason


def _plan_inference(row: Experiment, profile: str, places: Places, index: HashIndex, todo: Todo, mode: str) -> None:
    raw = places.raw
    inputs = {role: _hash(path, index)
              for role, path in list(raw.test_files().items()) + list(raw.scaling_files(row.family).items())}
    inputs["network"] = sha256_json(row.network_row(profile))
    if todo.train:
        todo.infer, todo.reasons["infer"] = True, "its checkpoint is about to be trained"
    else:
        if not todo.checkpoint.exists():
            raise KitError("the checkpoint is missing", todo.checkpoint,
                           "put the published file there (README, 'Inference'), or train it with `make reproduce`")
        inputs["checkpoint " + row.checkpoint] = index.of(todo.checkpoint)
        verdict = judge(places.submission.parquet(row.artifact), inputs, index)
        todo.infer, todo.reasons["infer"] = not verdict.done, verdict.reason
    todo.inference_inputs = inputs
    if todo.infer:
        _protect(row, profile, places, todo)


def scratch_path(folder: Path, inference_inputs: Mapping[str, str]) -> Path:
    """Unfinished predictions, named after everything that decides them."""
    return folder / ("predictions-%s.f32" % sha256_json(dict(inference_inputs))[:16])


def _protect(row: Experiment, profile: str, places: Places, todo: Todo) -> None:
    """Raises KitError rather than write over a user's own parquet, or over full-size results from the sample world."""
    parquet = places.submission.parquet(row.artifact)
    if not parquet.exists():
        return
    if not receipt_path(parquet).exists():
        ours = scratch_path(places.submission.experiment(row.member, row.id), todo.inference_inputs).exists()
        if not ours:  # else a run was stopped between the parquet and its receipt
            raise KitError("has no receipt, so it may be your own download", parquet,
                           "admit it with `make verify`, or move it away")
        return
    receipt = _read_receipt(parquet)
    if not receipt:
        raise KitError("has a receipt that cannot be read, so nothing says whether it can be made again", parquet,
                       "move both away, or remove the receipt and admit the parquet with `make verify`")
    if profile == "sample" and receipt.get("details", {}).get("profile") == "full":
        raise KitError("was made at full size, and the sample profile would write over it", parquet,
                       "give another folder with SUBMISSION=")


def _read_receipt(product: Path) -> Dict[str, Any]:
    """The receipt of a product; empty when it is no receipt."""
    try:
        receipt = read_json(receipt_path(product))
    except KitError:
        return {}
    if not isinstance(receipt, dict) or not isinstance(receipt.get("details", {}), dict):
        return {}
    return receipt


def _hash(path: Path, index: HashIndex) -> str:
    if not path.exists():
        raise KitError("the file is missing", path, "see README, 'Real data'; `make reproduce PROFILE=sample` needs none")
    return index.of(path)
