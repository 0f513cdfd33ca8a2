"""What a run would do for each experiment, and why.

The members decide with these functions inside their containers; the launcher prints the same
decision outside, without an image, torch or a GPU.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.files import sha256_json
from leapkit.core.input_hashes import InputHashes
from leapkit.core.layout import Layout, RunFiles, scratch_path
from leapkit.core.ownership import (
    is_admitted,
    proves_training,
    published_checkpoints,
    require_replaceable,
)
from leapkit.core.receipts import judge

MODES = ("reproduce", "infer-only")


@dataclass
class CheckpointPlan:
    """One checkpoint of an experiment.

    group   of targets; None for all
    train   whether it is trained, for the `reason`
    inputs  {role: sha256} of what decides that
    """

    group: Optional[int]
    checkpoint: Path
    train: bool = False
    reason: str = ""
    inputs: Dict[str, str] = field(default_factory=dict)


@dataclass
class ExperimentPlan:
    """The steps of one experiment: the training of its checkpoints, its inference.

    reasons           step (train, infer) -> why it runs or is skipped
    inference_inputs  {role: sha256} of what decides the inference
    blocked           why nothing can be done, in one sentence; "" if something can
    """

    experiment: Experiment
    checkpoints: List[CheckpointPlan] = field(default_factory=list)
    infer: bool = False
    reasons: Dict[str, str] = field(default_factory=dict)
    inference_inputs: Dict[str, str] = field(default_factory=dict)
    blocked: str = ""
    remedy: str = ""

    @property
    def train(self) -> bool:
        return any(checkpoint.train for checkpoint in self.checkpoints)

    @property
    def runs(self) -> bool:
        return self.train or self.infer

    def lines(self) -> List[str]:
        """Return the plan as text: a line per step."""
        name = self.experiment.name
        if self.blocked:
            return [f"{name:<24} cannot run: {self.blocked}; {self.remedy}"]
        runs = {"train": self.train, "infer": self.infer}
        return [
            f"{name:<24} {step:<5} {'runs' if runs[step] else 'is skipped'}: {reason}"
            for step, reason in self.reasons.items()
        ]

    def of_groups(self, groups: Sequence[int]) -> ExperimentPlan:
        """Return the training of some groups alone, without inference."""
        checkpoints = [planned for planned in self.checkpoints if planned.group in groups]
        reasons = dict(self.reasons)
        if checkpoints:
            numbers = ", ".join(str(planned.group) for planned in checkpoints)
            reasons = {"train": f"group {numbers} alone: {_summary(checkpoints)}"}
        return replace(self, checkpoints=checkpoints, infer=False, reasons=reasons)

    def block(self, error: KitError) -> None:
        """Do nothing for this experiment, because of `error`."""
        self.blocked = f"{error.where}: {error.what}" if error.where else error.what
        self.remedy = error.remedy
        self.infer = False
        self.checkpoints = []


def plan_experiments(
    experiments: Sequence[Experiment], mode: str, profile: str, layout: Layout, hashes: InputHashes
) -> List[ExperimentPlan]:
    """Decide by content what runs.

    experiments  of one member, parents before their children
    mode         reproduce or infer-only
    profile      sample or full
    Raises no KitError: what is missing blocks the experiment that needs it.
    """
    plans: Dict[str, ExperimentPlan] = {}
    for experiment in experiments:
        experiment_plan = ExperimentPlan(experiment)
        plans[experiment.id] = experiment_plan
        try:
            _decide(experiment_plan, mode, profile, layout, hashes, plans.get(experiment.parent))
        except KitError as error:
            experiment_plan.block(error)
    return list(plans.values())


def block_shared_files(plans: Sequence[ExperimentPlan], profile: str, hashes: InputHashes) -> None:
    """Block experiments that were given the checkpoint file of another network."""
    users: Dict[str, Experiment] = {}
    for experiment_plan in plans:
        experiment = experiment_plan.experiment
        for checkpoint in (planned.checkpoint for planned in experiment_plan.checkpoints):
            first = users.setdefault(hashes.of(checkpoint), experiment)
            if first.network_record(profile) != experiment.network_record(profile):
                experiment_plan.blocked = (
                    f"{checkpoint}: is the same file as a checkpoint of {first.name}, "
                    "another network"
                )
                experiment_plan.remedy = "put each network's own checkpoint there"


def _decide(
    experiment_plan: ExperimentPlan,
    mode: str,
    profile: str,
    layout: Layout,
    hashes: InputHashes,
    parent: Optional[ExperimentPlan],
) -> None:
    experiment = experiment_plan.experiment
    if experiment.artifact and is_admitted(layout.results.parquet(experiment.artifact), hashes):
        experiment_plan.reasons["infer"] = (
            "it is a file of your own, admitted by `make verify` (move it away to make it here)"
        )
        return
    if mode == "reproduce":
        folder = layout.results.experiment(experiment.member, experiment.id)
        experiment_plan.checkpoints = [
            _plan_training(
                experiment, profile, RunFiles(folder, experiment.id, group), hashes, parent
            )
            for group in experiment.checkpoint_groups
        ]
        experiment_plan.reasons["train"] = _summary(experiment_plan.checkpoints)
    else:
        files = published_checkpoints(experiment, layout.weights, hashes.index)
        for group, file in zip(experiment.checkpoint_groups, files):
            proves_training(file, experiment, profile, hashes.index)  # refuses another network's
            experiment_plan.checkpoints.append(CheckpointPlan(group, file))
    if experiment.artifact:
        _plan_inference(experiment_plan, profile, layout, hashes)
    elif mode == "infer-only":
        raise KitError(
            "others start from it, it predicts nothing itself",
            experiment.name,
            "choose one of its children",
        )


def _summary(checkpoints: Sequence[CheckpointPlan]) -> str:
    """Return one reason for all checkpoints, with the number of those that are trained."""
    running = [checkpoint for checkpoint in checkpoints if checkpoint.train]
    if len(checkpoints) == 1 or not running:
        return checkpoints[0].reason
    return f"{len(running)} of {len(checkpoints)} groups, {running[0].reason}"


def _plan_training(
    experiment: Experiment,
    profile: str,
    files: RunFiles,
    hashes: InputHashes,
    parent: Optional[ExperimentPlan],
) -> CheckpointPlan:
    planned = CheckpointPlan(files.group, files.checkpoint)
    planned.inputs = {
        **hashes.scaling(experiment.family),
        **hashes.rows(experiment.recipe[profile].rows),
        "network": sha256_json(experiment.network_record(profile)),
        "recipe": sha256_json(experiment.recipe_record(profile)),
    }
    if experiment.parent:
        trained_parent = _require_parent(experiment, parent)
        group_rule = asdict(experiment.groups) if experiment.groups else None
        planned.inputs["start"] = sha256_json([files.group, experiment.reinitialised, group_rule])
        if trained_parent.train:
            planned.train = True
            planned.reason = "its parent is about to be trained"
            return planned
        planned.inputs["parent"] = hashes.of(trained_parent.checkpoints[0].checkpoint)
    verdict = judge(files.checkpoint, planned.inputs, hashes.index)
    planned.train = not verdict.done
    planned.reason = verdict.reason
    if verdict.done and not files.validation_predictions.exists():
        planned.train = True
        planned.reason = f"its {files.validation_predictions.name} is missing"
    return planned


def _require_parent(experiment: Experiment, parent: Optional[ExperimentPlan]) -> ExperimentPlan:
    """Return the parent's plan. Raises KitError if it has no weights to start from."""
    name = f"{experiment.member}/{experiment.parent}"
    if parent is None or parent.blocked:
        raise KitError(
            f"its parent {name} cannot run", experiment.name, "fix what stops the parent"
        )
    if not parent.checkpoints:
        raise KitError(
            f"its parent {name} is not trained here, as its parquet is a file of your own",
            experiment.name,
            "move that parquet away to train the parent",
        )
    return parent


def _plan_inference(
    experiment_plan: ExperimentPlan, profile: str, layout: Layout, hashes: InputHashes
) -> None:
    experiment = experiment_plan.experiment
    parquet = layout.results.parquet(experiment.artifact)
    inputs = {
        **hashes.test(),
        **hashes.scaling(experiment.family),
        "network": sha256_json(experiment.network_record(profile)),
    }
    if experiment_plan.train:
        experiment_plan.infer = True
        experiment_plan.reasons["infer"] = "its checkpoint is about to be trained"
    else:
        for planned in experiment_plan.checkpoints:
            role = "checkpoint " + experiment.stem(planned.group)
            inputs[role] = hashes.of(planned.checkpoint)
        verdict = judge(parquet, inputs, hashes.index)
        experiment_plan.infer = not verdict.done
        experiment_plan.reasons["infer"] = verdict.reason
    experiment_plan.inference_inputs = inputs
    if experiment_plan.infer:
        folder = layout.results.experiment(experiment.member, experiment.id)
        require_replaceable(parquet, scratch_path(folder, inputs), profile)
