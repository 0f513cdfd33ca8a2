"""Makes an experiment's checkpoints: each is trained, or taken from the parent, and receipted."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from functools import cached_property
from typing import Any, Dict, Optional

import torch

from leapkit.core import receipts
from leapkit.core.experiments import Experiment
from leapkit.core.files import sha256, sha256_json
from leapkit.core.layout import RunFiles
from leapkit.core.plan import CheckpointPlan
from leapkit.data.loader import Loader
from leapkit.data.row_index import read_index
from leapkit.data.scaling import Scaling
from leapkit.data.step_file import lowest_precision
from leapkit.data.step_rows import StepRows
from leapkit.run import devices, training
from leapkit.run.fine_tuning import Parent
from leapkit.run.options import RunOptions
from leapkit.run.training_run import Task, Trained


class CheckpointTrainer:
    """Trains the checkpoints of one experiment, which share rows, recipe, parent and device."""

    def __init__(
        self,
        experiment: Experiment,
        options: RunOptions,
        scaling: Scaling,
        device: torch.device,
    ) -> None:
        self.experiment = experiment
        self.options = options
        self.scaling = scaling
        self.device = device
        self.recipe = experiment.recipe[options.profile]
        raw = options.layout.raw
        self.validation_rows = StepRows(
            raw.validation_pairs(), scaling, accept_float32=raw.float32_steps
        )
        self.validation_loader = Loader(self.validation_rows, self.recipe.rows.pool)
        self.parent = Parent(experiment, options.layout) if experiment.parent else None

    @cached_property
    def training_rows(self) -> StepRows:
        """The rows that the recipe selects, looked up only if a checkpoint is trained."""
        raw = self.options.layout.raw
        selection = self.recipe.rows
        index = raw.row_index(selection)
        return StepRows(
            raw.training_pairs(selection.first_month),
            self.scaling,
            selection,
            read_index(index) if index else None,
            raw.float32_steps,
        )

    @cached_property
    def training_loader(self) -> Loader:
        loader = Loader(self.training_rows, self.recipe.rows.pool)
        months = len(self.training_rows.used())
        print(
            f"{self.experiment.name}: {len(loader)} training rows of {months} months,"
            f" {len(self.validation_loader)} validation rows",
            flush=True,
        )
        return loader

    def make(self, checkpoint: CheckpointPlan) -> None:
        """Write a checkpoint, its validation predictions and its receipt; then remove the state.

        Raises KitError if the training data, the parent or the run itself does not allow it.
        """
        started = receipts.now()
        experiment = self.experiment
        profile = self.options.profile
        files = self._files(checkpoint.group)
        parent = self._parent_that_stays(checkpoint.group)
        if parent:
            reason = "by the team's construction this group is not fine-tuned"
            details = parent.keep_parent_checkpoint(files, reason)
        else:
            details = self._train(files, sha256_json(checkpoint.inputs))
        receipts.write(
            files.checkpoint,
            "training",
            checkpoint.inputs,
            started,
            {
                "network": experiment.network_record(profile),
                "recipe": experiment.recipe_record(profile),
                "validation rows": len(self.validation_loader),
                "oof": sha256(files.validation_predictions),
                **details,
                **devices.describe(self.device),
            },
        )
        with contextlib.suppress(FileNotFoundError):
            files.state.unlink()

    def _parent_that_stays(self, group: Optional[int]) -> Optional[Parent]:
        """Return the parent if the experiment's rule leaves it in place for this group."""
        rule = self.experiment.groups
        return self.parent if rule and group in rule.parents else None

    def follow(self, group: Optional[int], key: str) -> None:
        """Take part in a training that the first of several processes has begun with _train()."""
        self._trained(self._files(group), key)

    def _train(self, files: RunFiles, key: str) -> Dict[str, Any]:
        """Train one checkpoint and return what its receipt records of that."""
        self.options.processes.of_first((files.group, key))
        trained = self._trained(files, key)
        details = {
            "weights": "trained",
            "training rows": len(self.training_loader),
            "training months": self.training_rows.used(),
            "validation months": self.validation_rows.used(),
            "step precision": lowest_precision(
                [self.training_rows.precision, self.validation_rows.precision]
            ),
            "epochs": trained.epochs,
            "seconds": round(trained.seconds, 1),
            "environments": trained.environments,
            "validation": asdict(trained.score),
        }
        if self.parent and files.group is not None:
            score = trained.score.groups[files.group]
            details.update(self.parent.score_against_parent(files, score))
        return details

    def _trained(self, files: RunFiles, key: str) -> Trained:
        config = self.experiment.network[self.options.profile]
        start = self.parent.weights if self.parent else None
        task = Task(files, self.recipe, key, start, files.group)
        trained = training.train(
            lambda: self.options.build(config),
            task,
            self.training_loader,
            self.validation_loader,
            self.scaling,
            self.device,
            self.options.processes,
        )
        print(
            f"{files.stem}: trained in {trained.seconds:.0f} s,"
            f" validation {task.line(trained.score)}",
            flush=True,
        )
        return trained

    def _files(self, group: Optional[int]) -> RunFiles:
        experiment = self.experiment
        folder = self.options.layout.results.experiment(experiment.member, experiment.id)
        return RunFiles(folder, experiment.id, group)
