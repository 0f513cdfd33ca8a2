"""What a run would do for each experiment, and why (standard library only: no image, no torch, no GPU).

The members decide with these functions inside their containers and the launcher prints the same decision outside.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment, RowSelection, group_stem, lineage, select
from leapkit.core.files import read_json, sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Layout, RawData, RunFiles
from leapkit.core.receipts import judge, receipt_path

MODES = ("reproduce", "infer-only")
ADMITTED = "admitted"  # the kind of receipt that `make verify` writes for a file from elsewhere


class Hashes:
    """Hashes of the world's files by role, each found once for all experiments."""

    def __init__(self, raw: RawData, index: HashIndex) -> None:
        self.raw, self.index = raw, index
        self._steps: Dict[str, Dict[str, str]] = {}

    def of(self, path: Path) -> str:
        if not path.exists():
            raise KitError(
                "the file is missing",
                path,
                "see README, 'Real data'; `make reproduce PROFILE=sample` needs none",
            )
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
            found = {
                "split": sha256_json([split.validation_stride, [p.mli.name for p in validation]])
            }
            for role, chosen in (("training steps", training), ("validation steps", validation)):
                found[role] = self.index.of_many(
                    [f for pair in chosen for f in (pair.mli, pair.mlo)], raw.steps
                )
            self._steps[first_month] = found
        return self._steps[first_month]

    def rows(self, rows: RowSelection) -> Dict[str, str]:
        """What `steps` says, and the file that names the rows where there is one."""
        index = self.raw.row_index(rows)
        found = dict(self.steps(rows.first_month))
        if index:
            found["experiment index"] = self.of(index)
        return found


@dataclass
class CheckpointPlan:
    """One checkpoint of an experiment: whether it is trained, why, and the inputs ({role: sha256}) that decide it."""

    group: Optional[int]
    checkpoint: Path
    train: bool = False
    reason: str = ""
    inputs: Dict[str, str] = field(default_factory=dict)


@dataclass
class ExperimentPlan:
    """One experiment's steps: its parts' training, its inference."""

    experiment: Experiment
    checkpoints: List[CheckpointPlan] = field(default_factory=list)
    infer: bool = False
    reasons: Dict[str, str] = field(default_factory=dict)
    inference_inputs: Dict[str, str] = field(default_factory=dict)
    blocked: str = ""  # why nothing can be done, in one sentence
    remedy: str = ""

    @property
    def train(self) -> bool:
        return any(part.train for part in self.checkpoints)

    @property
    def runs(self) -> bool:
        return self.train or self.infer

    def lines(self) -> List[str]:
        if self.blocked:
            return ["%-24s cannot run: %s; %s" % (self.experiment.name, self.blocked, self.remedy)]
        return [
            "%-24s %-5s %s: %s"
            % (self.experiment.name, step, "runs" if getattr(self, step) else "is skipped", reason)
            for step, reason in self.reasons.items()
        ]


def wanted(
    experiments: Sequence[Experiment], names: str, mode: str, everything: bool
) -> Sequence[Experiment]:
    """The experiments of a run, parents before their children.

    names       what the user asks for, "" for the default: in infer-only the published blend's, else all with
                `everything`, else the published blend's; to reproduce one takes its parents too
    Raises KitError for an unknown name, or where infer-only finds nothing published.
    """
    if names.replace(",", " ").strip():
        chosen = select(experiments, names)
    else:
        chosen = tuple(
            experiment
            for experiment in experiments
            if experiment.blended or (everything and mode == "reproduce")
        )
    if mode == "reproduce":
        return lineage(experiments, chosen)
    unpublished = [experiment.name for experiment in chosen if not experiment.published]
    if unpublished or not chosen:
        raise KitError(
            "no checkpoints were published of %s"
            % (", ".join(unpublished) or experiments[0].member),
            "infer-only",
            "train them with MODE=reproduce",
        )
    return chosen


def of_experiments(
    experiments: Sequence[Experiment], mode: str, profile: str, layout: Layout, hashes: Hashes
) -> List[ExperimentPlan]:
    """Decides by content what runs, parents first. Never raises: what is missing becomes `blocked`."""
    plans: Dict[str, ExperimentPlan] = {}
    for experiment in experiments:
        plans[experiment.id] = experiment_plan = ExperimentPlan(experiment)
        try:
            _decide(experiment_plan, mode, profile, layout, hashes, plans.get(experiment.parent))
        except KitError as error:
            experiment_plan.blocked = f"{error.where}: {error.what}" if error.where else error.what
            experiment_plan.remedy = error.remedy
            experiment_plan.infer, experiment_plan.checkpoints = False, []
    return list(plans.values())


def _decide(
    experiment_plan: ExperimentPlan,
    mode: str,
    profile: str,
    layout: Layout,
    hashes: Hashes,
    parent: Optional[ExperimentPlan],
) -> None:
    experiment = experiment_plan.experiment
    if experiment.artifact and _is_admitted(experiment, layout, hashes):
        experiment_plan.reasons["infer"] = (
            "it is a file of your own, admitted by `make verify` (move it away to make it here)"
        )
        return
    if mode == "reproduce":
        folder = layout.results.experiment(experiment.member, experiment.id)
        for group in experiment.checkpoint_groups:
            experiment_plan.checkpoints.append(
                _plan_training(
                    experiment, profile, RunFiles(folder, experiment.id, group), hashes, parent
                )
            )
        experiment_plan.reasons["train"] = _in_short(experiment_plan.checkpoints)
    else:
        files = published_files(experiment, layout.weights, hashes.index)
        experiment_plan.checkpoints = [
            CheckpointPlan(group, file) for group, file in zip(experiment.checkpoint_groups, files)
        ]
        for part in experiment_plan.checkpoints:
            require_own(part.checkpoint, experiment, profile, hashes.index)
    if experiment.artifact:
        _plan_inference(experiment_plan, profile, layout, hashes)
    elif mode == "infer-only":
        raise KitError(
            "others start from it, it predicts nothing itself",
            experiment.name,
            "choose one of its children",
        )


def _in_short(parts: Sequence[CheckpointPlan]) -> str:
    """One reason for all parts, with their number where they differ."""
    running = [part for part in parts if part.train]
    if len(parts) == 1 or not running:
        return parts[0].reason
    return "%d of %d groups, %s" % (len(running), len(parts), running[0].reason)


def _is_admitted(experiment: Experiment, layout: Layout, hashes: Hashes) -> bool:
    """Whether the parquet is the user's own, verified for this very test set: it is used and never written over."""
    parquet = layout.results.parquet(experiment.artifact)
    if not parquet.exists() or read_receipt(parquet).get("kind") != ADMITTED:
        return False
    verdict = judge(parquet, hashes.test(), hashes.index)
    if not verdict.done:
        raise KitError(
            f"is a file of your own, and {verdict.reason}",
            parquet,
            "run `make verify` again without its receipt, or move it away",
        )
    return True


def _plan_training(
    experiment: Experiment,
    profile: str,
    files: RunFiles,
    hashes: Hashes,
    parent: Optional[ExperimentPlan],
) -> CheckpointPlan:
    part = CheckpointPlan(
        files.group,
        files.checkpoint,
        inputs={
            **hashes.scaling(experiment.family),
            **hashes.rows(experiment.recipe[profile].rows),
            "network": sha256_json(experiment.network_record(profile)),
            "recipe": sha256_json(experiment.recipe_record(profile)),
        },
    )
    if experiment.parent:
        if parent is None or parent.blocked:
            raise KitError(
                f"its parent {experiment.member}/{experiment.parent} cannot run",
                experiment.name,
                "mend what stops the parent",
            )
        if not parent.checkpoints:
            raise KitError(
                f"its parent {experiment.member}/{experiment.parent} is not trained here, as its parquet is a file of your own",
                experiment.name,
                "move that parquet away to train the parent",
            )
        part.inputs["start"] = sha256_json(
            [
                files.group,
                experiment.fresh,
                asdict(experiment.groups) if experiment.groups else None,
            ]
        )
        if parent.train:
            part.train, part.reason = True, "its parent is about to be trained"
            return part
        part.inputs["parent"] = hashes.of(parent.checkpoints[0].checkpoint)
    verdict = judge(files.checkpoint, part.inputs, hashes.index)
    part.train, part.reason = not verdict.done, verdict.reason
    if verdict.done and not files.validation_predictions.exists():
        part.train, part.reason = True, f"its {files.validation_predictions.name} is missing"
    return part


def _plan_inference(
    experiment_plan: ExperimentPlan, profile: str, layout: Layout, hashes: Hashes
) -> None:
    experiment = experiment_plan.experiment
    inputs = {
        **hashes.test(),
        **hashes.scaling(experiment.family),
        "network": sha256_json(experiment.network_record(profile)),
    }
    if experiment_plan.train:
        experiment_plan.infer, experiment_plan.reasons["infer"] = (
            True,
            "its checkpoint is about to be trained",
        )
    else:
        for part in experiment_plan.checkpoints:
            inputs["checkpoint " + experiment.stem(part.group)] = hashes.of(part.checkpoint)
        verdict = judge(layout.results.parquet(experiment.artifact), inputs, hashes.index)
        experiment_plan.infer, experiment_plan.reasons["infer"] = not verdict.done, verdict.reason
    experiment_plan.inference_inputs = inputs
    if experiment_plan.infer:
        _protect(experiment_plan, profile, layout)


def published_files(experiment: Experiment, weights: Path, index: HashIndex) -> List[Path]:
    """The team's checkpoints of an experiment, under any of their names, in a folder of their own or not.

    Raises KitError where one is missing, or where files of several names differ.
    """
    names = (experiment.id,) + (experiment.published.names if experiment.published else ())
    files = []
    for group in experiment.checkpoint_groups:
        stems = [group_stem(name, group) + ".pt" for name in names]
        candidates = [weights / stem for stem in stems]
        candidates += [weights / folder / stem for folder, stem in itertools.product(names, stems)]
        there = [path for path in candidates if path.exists()]
        if not there:
            raise KitError(
                "the checkpoint is missing",
                candidates[min(1, len(stems) - 1)],
                "put the published file there (README, 'Inference'), or train it with `make reproduce`",
            )
        for other in there[1:]:
            if index.of(other) != index.of(there[0]):
                raise KitError(
                    f"is another file than {there[0].name}, and both are names of {experiment.name}",
                    other,
                    "keep the right one",
                )
        files.append(there[0])
    return files


def require_own(checkpoint: Path, experiment: Experiment, profile: str, index: HashIndex) -> bool:
    """Whether a receipt beside the checkpoint proves that this network was trained; False where there is none.

    Raises KitError where it proves another network: equal names and shapes would let it load.
    """
    receipt = read_receipt(checkpoint)
    if receipt.get("kind") != "training" or receipt.get("sha256") != index.of(checkpoint):
        return False
    made = receipt.get("inputs", {}).get("network")
    if made != sha256_json(experiment.network_record(profile)):
        raise KitError(
            f"its receipt says that it is the checkpoint of another network than {experiment.name} at {profile} size",
            checkpoint,
            "put this network's own checkpoint there",
        )
    return True


def refuse_shared_files(plans: Sequence[ExperimentPlan], profile: str, hashes: Hashes) -> None:
    """Blocks experiments of different networks that were given the same checkpoint file under two names."""
    seen: Dict[str, ExperimentPlan] = {}
    for experiment_plan in plans:
        for part in experiment_plan.checkpoints:
            other = seen.setdefault(hashes.of(part.checkpoint), experiment_plan)
            if other.experiment.network_record(
                profile
            ) != experiment_plan.experiment.network_record(profile):
                experiment_plan.blocked = f"{part.checkpoint}: is the same file as a checkpoint of {other.experiment.name}, another network"
                experiment_plan.remedy = "put each network's own checkpoint there"


def scratch_path(folder: Path, inference_inputs: Mapping[str, str]) -> Path:
    """Unfinished predictions, named after everything that decides them."""
    return folder / (f"predictions-{sha256_json(dict(inference_inputs))[:16]}.f32")


def _protect(experiment_plan: ExperimentPlan, profile: str, layout: Layout) -> None:
    """Raises KitError rather than write over a user's own parquet, or over full-size results from the sample world."""
    experiment, parquet = (
        experiment_plan.experiment,
        layout.results.parquet(experiment_plan.experiment.artifact),
    )
    if not parquet.exists():
        return
    if not receipt_path(parquet).exists():
        if not scratch_path(
            layout.results.experiment(experiment.member, experiment.id),
            experiment_plan.inference_inputs,
        ).exists():
            raise KitError(
                "has no receipt, so it may be your own download",
                parquet,
                "admit it with `make verify`, or move it away",
            )
        return  # a run was stopped between the parquet and its receipt
    receipt = read_receipt(parquet)
    if not receipt:
        raise KitError(
            "has a receipt that cannot be read, so nothing says whether it can be made again",
            parquet,
            "move both away, or remove the receipt and admit the parquet with `make verify`",
        )
    if profile == "sample" and receipt.get("details", {}).get("profile") == "full":
        raise KitError(
            "was made at full size, and the sample profile would write over it",
            parquet,
            "give another folder with SUBMISSION=",
        )


def read_receipt(product: Path) -> Dict[str, Any]:
    """The receipt of a product; empty when there is none or it is no receipt."""
    try:
        receipt = read_json(receipt_path(product))
    except KitError:
        return {}
    if not isinstance(receipt, dict) or not all(
        isinstance(receipt.get(k, {}), dict) for k in ("details", "inputs")
    ):
        return {}
    return receipt
