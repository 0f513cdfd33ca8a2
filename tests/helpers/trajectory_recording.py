"""Runs the kit's training of one experiment in float64, and tells what happens step by step."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any, Callable, List, Optional, Tuple
from unittest import mock

import numpy as np
import torch
from torch import nn

from leapkit.core import receipts
from leapkit.core.experiments import Experiment
from leapkit.core.files import sha256
from leapkit.core.layout import Layout, RawData, Results, RunFiles
from leapkit.core.plan import CheckpointPlan
from leapkit.data import checkpoints, validation_predictions
from leapkit.data.score import Score
from leapkit.run import checkpoint_training, training
from leapkit.run.confidence import WithConfidence
from leapkit.run.options import RunOptions
from leapkit.run.training_run import Run
from tests.helpers import trajectory_rule as rule
from tests.helpers.parity import EXPERIMENTS

# What happened, where (which decides without a tolerance), and the numbers. "g2 3.5" is update 5 of
# epoch 3, both counted from 1, of the copy that is tuned for group 2.
#   update       g2 3.5             loss, rates, sum |p| and sum p^2 of all parameters
#   evaluation   g2 3.5 best        R2 that decides, and of the predicted columns
#   tensor       g2 fc.0.bias trained    the same sums of it in the checkpoint, and whose it is
#   predictions  g2                 the same of the validation predictions that are kept
Event = Tuple[str, str, Tuple[float, ...]]
Tell = Callable[[Event], None]


def record(experiment: Experiment, kind: rule.Kind, tell: Tell) -> None:
    """Train an experiment by the rule, through CheckpointTrainer; tell each event as it happens."""
    recorder = _Recorder(tell)
    with contextlib.ExitStack() as stack:
        for patch in (
            mock.patch.multiple(training, _update=recorder.update, _keep=recorder.keep),
            mock.patch.object(checkpoint_training, "StepRows", rule.RuleRows),
            # That a run goes on after a kill is the matter of tests/run/test_training.py.
            mock.patch.object(training, "_save", lambda run: None),
            mock.patch.object(os, "fsync", lambda handle: None),
            mock.patch.object(WithConfidence, "__init__", _with_a_float64_head),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            stack.enter_context(patch)
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for product in _trained(experiment, kind, root):
            for event in _product(product):
                tell(event)


class _Recorder:
    """Stands in for the loop's functions that make an update and note an evaluation."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._update = training._update
        self._keep = training._keep

    def update(self, run: Run, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        rates = [float(group["lr"]) for group in run.optimiser.param_groups]
        loss = self._update(run, x, y)
        where = _where(run.task.group, f"{run.epoch + 1}.{run.step + 1}")
        flat = [parameter.detach().numpy().ravel() for parameter in run.network.parameters()]
        self._tell(("update", where, (float(loss), *rates, *_sums(np.concatenate(flat)))))
        return loss

    def keep(self, run: Run, score: Score, predictions: Any) -> None:
        self._keep(run, score, predictions)
        best = " best" if run.best is score else ""
        where = _where(run.task.group, f"{run.epoch + 1}.{run.step}{best}")
        self._tell(("evaluation", where, (run.task.value(score), score.predicted)))


_with_a_head = WithConfidence.__init__


def _with_a_float64_head(self: WithConfidence, network: nn.Module, seed: int) -> None:
    _with_a_head(self, network, seed)
    self.head.double()


def _trained(experiment: Experiment, kind: rule.Kind, root: Path) -> List[RunFiles]:
    rule.write_world(root / "raw_data", kind.steps)
    layout = Layout(RawData(root / "raw_data"), Results(root / "submission"), root / "weights")
    scaling = rule.scaling(experiment.family)
    if experiment.parent:
        _write_parent(experiment, kind, layout)
    options = RunOptions(
        "reproduce",
        "full",
        layout,
        lambda config: rule.network(config, "fresh", kind.gradients),
        "cpu",
    )
    trainer = checkpoint_training.CheckpointTrainer(
        experiment, options, scaling, torch.device("cpu")
    )
    folder = layout.results.experiment(experiment.member, experiment.id)
    folder.mkdir(parents=True)
    files = [RunFiles(folder, experiment.id, group) for group in experiment.checkpoint_groups]
    trainer.make([CheckpointPlan(each.group, each.checkpoint, True) for each in files])
    return files


def _write_parent(child: Experiment, kind: rule.Kind, layout: Layout) -> None:
    """Write the parent's products by the rule: it scored well at the odd groups, badly else."""
    parent = EXPERIMENTS[f"{child.member}/{child.parent}"]
    files = RunFiles(layout.results.experiment(parent.member, parent.id), parent.id)
    network = rule.network(rule.tiny(parent, kind).network["full"], "parent")
    checkpoints.save(network, files.checkpoint)
    rows = rule.VALIDATION_STEPS * rule.COLUMNS
    predictions = rule.numbers("parent's predictions", rows, 368)
    validation_predictions.save(files.validation_predictions, rows, 368, [predictions])
    details = {
        "oof": sha256(files.validation_predictions),
        "validation": {"groups": [0.5 if group % 2 else -0.5 for group in range(7)]},
    }
    receipts.write(files.checkpoint, "training", {}, receipts.now(), details)


def _product(files: RunFiles) -> List[Event]:
    whose = receipts.read(files.checkpoint)["details"]["weights"]
    tensors = checkpoints.read_tensors(files.checkpoint)
    events: List[Event] = [
        ("tensor", _where(files.group, f"{name} {whose}"), _sums(values))
        for name, values in tensors.items()
    ]
    predictions = validation_predictions.read(files.validation_predictions)
    kept = _sums(predictions.astype(np.float64))
    return [*events, ("predictions", _where(files.group, ""), kept)]


def _where(group: Optional[int], place: str) -> str:
    return (place if group is None else f"g{group} {place}").strip()


def _sums(values: np.ndarray) -> Tuple[float, float]:
    return float(np.abs(values).sum()), float(np.square(values).sum())
