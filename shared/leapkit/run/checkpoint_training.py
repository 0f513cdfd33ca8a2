"""Makes an experiment's checkpoints: each is trained, or taken from the parent, and receipted."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from functools import cached_property
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple

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
from leapkit.run import devices, precision, precision_cost, training
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
        self.precision = precision.choose(options.precision, device)
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

    def make(self, planned: Sequence[CheckpointPlan]) -> None:
        """Write checkpoints, each with validation predictions and receipt, and remove its state.

        Those that are trained share one reading of the rows, and each is receipted when it is
        finished. Raises KitError if the training data, the parent or a run does not allow it; the
        receipts of the others are written by then.
        """
        started = receipts.now()
        by_group = {checkpoint.group: checkpoint for checkpoint in planned}
        stay = self.experiment.groups.parents if self.experiment.groups else ()
        for group, checkpoint in by_group.items():
            if group in stay and self.parent:
                reason = "by the team's construction this group is not fine-tuned"
                details = self.parent.keep_parent_checkpoint(self._files(group), reason)
                self._prove(checkpoint, started, details)
        keys = {g: sha256_json(each.inputs) for g, each in by_group.items() if g not in stay}
        if keys:
            self.options.processes.of_first(list(keys.items()))
            for task, trained in self._train(list(keys.items())):
                self._prove(by_group[task.group], started, self._details(task, trained))

    def follow(self, keys: Sequence[Tuple[Optional[int], str]]) -> None:
        """Take part in a training that the first of several processes has begun with make()."""
        for _ in self._train(keys):
            pass

    def _train(self, keys: Sequence[Tuple[Optional[int], str]]) -> Iterator[Tuple[Task, Trained]]:
        """Train groups, each given with the key of its run; yield those that are finished."""
        config = self.experiment.network[self.options.profile]
        start = self.parent.weights if self.parent else None
        tasks = [
            Task(self._files(group), self.recipe, key, start, group, self.precision)
            for group, key in keys
        ]
        for task, trained in training.train_together(
            lambda: self.options.build(config),
            tasks,
            self.training_loader,
            self.validation_loader,
            self.scaling,
            self.device,
            self.options.processes,
        ):
            print(
                f"{task.files.stem}: trained in {trained.seconds:.0f} s,"
                f" validation {task.line(trained.score)}",
                flush=True,
            )
            yield task, trained

    def _details(self, task: Task, trained: Trained) -> Dict[str, Any]:
        """Return what the receipt of a trained checkpoint records of its training."""
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
        if self.precision == precision.BF16:
            details["precision cost"] = precision_cost.of_training(
                self.options.build(self.experiment.network[self.options.profile]),
                task,
                trained,
                self.validation_loader,
                self.scaling,
                self.device,
            )
        if self.parent and task.group is not None:
            score = trained.score.groups[task.group]
            details.update(self.parent.score_against_parent(task.files, score))
        return details

    def _prove(self, checkpoint: CheckpointPlan, started: str, details: Mapping[str, Any]) -> None:
        """Write a checkpoint's receipt, then remove the state of its training."""
        experiment = self.experiment
        profile = self.options.profile
        files = self._files(checkpoint.group)
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
                **self._confidence_head(files, details),
                **details,
                **devices.describe(self.device),
                "precision": self.precision,
            },
        )
        with contextlib.suppress(FileNotFoundError):
            files.state.unlink()

    def _confidence_head(self, files: RunFiles, details: Mapping[str, Any]) -> Dict[str, str]:
        """Return what a receipt records of the head beside a checkpoint; remove one of another."""
        if self.recipe.options.confidence and details["weights"] == "trained":
            return {"confidence head": sha256(files.confidence)}
        with contextlib.suppress(FileNotFoundError):
            files.confidence.unlink()
        return {}

    def _files(self, group: Optional[int]) -> RunFiles:
        experiment = self.experiment
        folder = self.options.layout.results.experiment(experiment.member, experiment.id)
        return RunFiles(folder, experiment.id, group)
