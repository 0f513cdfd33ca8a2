"""A member's command line: train what is not trained, predict what is not predicted, say why.

Every member's __main__ calls main() with its own rows and its own builder of networks; nothing here knows a member.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, List, Mapping, Optional, Sequence

import numpy as np
import torch
from torch import nn

from leapkit.core import file_lock, job_runner, plan, receipts
from leapkit.core.columns import GROUP_NAMES, GROUPS, TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.experiments import PROFILES, Experiment
from leapkit.core.files import publish_copy, sha256, sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.input_hashes import InputHashes
from leapkit.core.layout import Layout, RawData, Results, RunFiles, scratch_path
from leapkit.core.ownership import proves_training
from leapkit.core.recipes import RowSelection
from leapkit.core.registry import choose_experiments, lineage, select
from leapkit.data import checkpoints, scaling, validation_predictions
from leapkit.data.inference_set import prepare
from leapkit.data.loader import Loader
from leapkit.data.row_index import read_index
from leapkit.data.step_rows import StepRows
from leapkit.run import devices, inference, training

Build = Callable[[Any], nn.Module]
CPU_BATCH = 256  # rows per forward pass on a CPU; the rows' batch is for a GPU


def arguments(member: str, argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="members." + member, description=f"Trains and applies {member}'s networks."
    )
    parser.add_argument(
        "command",
        choices=plan.MODES,
        help="reproduce: train, then predict; infer-only: predict with published checkpoints",
    )
    parser.add_argument("--raw-data", type=Path, default=Path("raw_data"))
    parser.add_argument("--submission", type=Path, default=Path("submission"))
    parser.add_argument("--weights", type=Path, default=Path("members") / member / "weights")
    parser.add_argument("--profile", choices=PROFILES, default="full")
    parser.add_argument(
        "--experiments",
        default="",
        help="ids, comma separated, and what they start from; all when empty",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--threads", type=int, default=0, help="of one experiment; all cores, at sample size one"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=0,
        help="experiments side by side, of all members; one per GPU, at sample size cores + 1",
    )
    parser.add_argument(
        "--alone", action="store_true", help=argparse.SUPPRESS
    )  # one experiment, in this process
    return parser.parse_args(argv)


def main(member: str, experiments: Sequence[Experiment], build: Build, argv: List[str]) -> int:
    """One experiment in this process; several in a process each, so that one's failure or memory is its own."""
    options = arguments(member, argv)
    devices.tune_libraries()
    if options.alone:
        chosen = select(experiments, options.experiments)
    else:
        chosen = tuple(
            choose_experiments(experiments, options.experiments, options.command, everything=True)
        )
    if len(chosen) == 1:
        run_experiment(chosen[0], experiments, build, options)
        return 0
    layout = Results(options.submission)
    with explain_os_errors(layout.subs):
        layout.subs.mkdir(parents=True, exist_ok=True)
    jobs = [
        job_runner.Job(
            experiment.name,
            [sys.executable, "-m", "members." + member]
            + argv
            + ["--alone", "--experiments", experiment.id],
            [f"{member}/{experiment.parent}"]
            if experiment.parent and options.command == "reproduce"
            else [],
        )
        for experiment in chosen
    ]
    return job_runner.run(
        jobs, job_runner.JobSlots(layout.subs / ".slots", *_side_by_side(options))
    )


def _side_by_side(options: argparse.Namespace) -> Any:
    """(how many experiments run at a time, on which GPUs)."""
    # At sample width a network is too small for two threads to help each other: one thread each, side by side, and one
    # more than there are cores, so that none idles while the last experiment ends.
    if options.profile == "sample":
        return options.jobs or (os.cpu_count() or 1) + 1, []
    gpus = devices.gpus() if devices.choose_device(options.device).type == "cuda" else []
    return options.jobs or max(1, len(gpus)), gpus


def run_experiment(
    experiment: Experiment,
    experiments: Sequence[Experiment],
    build: Build,
    options: argparse.Namespace,
) -> None:
    """Trains and predicts one experiment where its receipts do not hold. Raises KitError when it cannot."""
    layout = Layout(RawData(options.raw_data), Results(options.submission), options.weights)
    family = lineage(experiments, [experiment]) if options.command == "reproduce" else [experiment]
    with locked(
        layout.results.experiment(experiment.member, experiment.id), "another run is at work here"
    ):
        experiment_plan = decide(family, options, layout)
        for line in experiment_plan.lines():
            print(line, flush=True)
        if experiment_plan.blocked:
            raise KitError(experiment_plan.blocked, experiment.name, experiment_plan.remedy)
        if not experiment_plan.runs:
            return
        # One thread at sample size also makes its results independent of the number of cores.
        threads = options.threads or (1 if options.profile == "sample" else 0)
        if threads:
            torch.set_num_threads(threads)
        device = devices.choose_device(options.device)
        if experiment_plan.train:
            train(experiment_plan, options.profile, layout, build, device)
            experiment_plan = decide(family, options, layout)
        if experiment_plan.infer:
            infer(experiment_plan, options, layout, build, device)


def decide(
    family: Sequence[Experiment], options: argparse.Namespace, layout: Layout
) -> plan.ExperimentPlan:
    """The plan of the last of `family`; hashes are kept where all members and the launcher find them."""
    with locked(layout.results.cache):
        index = HashIndex(layout.results.hashes)
        plans = plan.plan_experiments(
            family, options.command, options.profile, layout, InputHashes(layout.raw, index)
        )
        index.save()
    waiting = [
        experiment_plan.experiment.name for experiment_plan in plans[:-1] if experiment_plan.train
    ]
    if waiting:
        plans[-1].blocked = plans[-1].blocked or f"its parent {waiting[-1]} is not trained"
        plans[-1].remedy = plans[-1].remedy or "run that first"
    return plans[-1]


def locked(folder: Path, refuse: str = "") -> ContextManager[None]:
    """Holds a folder's lock; where another process has it, waits, or raises KitError with the reason `refuse`."""
    refusal = KitError(refuse, folder, "wait for it or stop it") if refuse else None
    return file_lock.hold(folder / ".lock", refusal)


def train(
    experiment_plan: plan.ExperimentPlan,
    profile: str,
    layout: Layout,
    build: Build,
    device: torch.device,
) -> None:
    """Trains the parts that are not proven, and writes the receipt of each one's checkpoint."""
    experiment, recipe = experiment_plan.experiment, experiment_plan.experiment.recipe[profile]
    scale = load_statistics(experiment, layout)
    held_out = StepRows(layout.raw.validation_pairs(), scale)
    validation = Loader(held_out, recipe.rows.pool)
    parent = Parent(experiment, layout) if experiment.parent else None
    learned: Optional[StepRows] = None
    for part in experiment_plan.checkpoints:
        files = RunFiles(
            layout.results.experiment(experiment.member, experiment.id), experiment.id, part.group
        )
        if not part.train:
            continue
        started = receipts.now()
        if (
            parent
            and part.group is not None
            and experiment.groups
            and part.group in experiment.groups.parents
        ):
            details = parent.stands_in(
                files, "by the team's construction this group is not fine-tuned"
            )
        else:
            if learned is None:
                learned = training_rows(recipe.rows, layout.raw, scale)
                train_rows = Loader(learned, recipe.rows.pool)
                print(
                    "%s: %d training rows of %d months, %d validation rows"
                    % (files.stem, len(train_rows), len(learned.used()), len(validation)),
                    flush=True,
                )
            task = training.Task(
                files,
                recipe,
                sha256_json(part.inputs),
                parent.weights if parent else None,
                part.group,
            )
            done = training.train(
                lambda: build(experiment.network[profile]),
                task,
                train_rows,
                validation,
                scale,
                device,
            )
            details = {
                "weights": "trained",
                "training rows": len(train_rows),
                "training months": learned.used(),
                "validation months": held_out.used(),
                "epochs": done.epochs,
                "seconds": round(done.seconds, 1),
                "validation": asdict(done.score),
            }
            print(
                f"{files.stem}: trained in {done.seconds:.0f} s, validation {task.line(done.score)}",
                flush=True,
            )
            if parent and part.group is not None:
                details.update(parent.compared(files, done.score.groups[part.group]))
        receipts.write(
            files.checkpoint,
            "training",
            part.inputs,
            started,
            {
                "network": experiment.network_record(profile),
                "recipe": experiment.recipe_record(profile),
                "validation rows": len(validation),
                "oof": sha256(files.validation_predictions),
                **details,
                **devices.describe(device),
            },
        )
        with contextlib.suppress(FileNotFoundError):
            files.state.unlink()


def training_rows(chosen: RowSelection, raw: RawData, scale: scaling.Scaling) -> StepRows:
    index = raw.row_index(chosen)
    return StepRows(
        raw.training_pairs(chosen.first_month), scale, chosen, read_index(index) if index else None
    )


class Parent:
    """The experiment that another one starts from: its weights, its score, its predictions."""

    def __init__(self, child: Experiment, layout: Layout) -> None:
        self.child, self.name = child, f"{child.member}/{child.parent}"
        self.files = RunFiles(layout.results.experiment(child.member, child.parent), child.parent)
        self.receipt = receipts.require_valid(
            self.files.checkpoint, HashIndex(), "run `make reproduce` again"
        )["details"]

    def weights(self, network: nn.Module) -> Mapping[str, np.ndarray]:
        """The parent's tensors, but those of the child's freshly drawn `network` where its experiment says so."""
        tensors = dict(checkpoints.read_tensors(self.files.checkpoint))
        own = network.state_dict()
        tensors.update((name, own[name].numpy()) for name in self.child.reinitialised)
        return tensors

    def compared(self, files: RunFiles, score: float) -> Dict[str, Any]:
        """Both scores of a fine-tuned group; the parent takes the group over where its experiment says so and it was better."""
        assert files.group is not None and self.child.groups is not None
        before = float(self.receipt["validation"]["groups"][files.group])
        found: Dict[str, Any] = {
            "group": GROUP_NAMES[files.group],
            "fine-tuned R2": score,
            "parent's R2": before,
        }
        if self.child.groups.keep_if_better and score < before:
            found.update(
                self.stands_in(files, f"its R2 {before:.5f} is above the fine-tuned {score:.5f}")
            )
        return found

    def stands_in(self, files: RunFiles, reason: str) -> Dict[str, Any]:
        """Gives a group the parent's checkpoint and predictions."""
        assert files.group is not None
        if sha256(self.files.validation_predictions) != self.receipt["oof"]:
            raise KitError(
                "is not what its receipt names",
                self.files.validation_predictions,
                "remove it and run `make reproduce` again",
            )
        found, own = (
            validation_predictions.read(self.files.validation_predictions),
            GROUPS[files.group],
        )
        validation_predictions.save(
            files.validation_predictions,
            len(found),
            own.stop - own.start,
            (found[rows, own] for rows in validation_predictions.row_slices(len(found))),
        )
        publish_copy(self.files.checkpoint, files.checkpoint)
        print(f"{files.stem}: keeps the weights of {self.name}: {reason}", flush=True)
        return {
            "weights": "of the parent " + self.name,
            "reason": reason,
            "group": GROUP_NAMES[files.group],
        }


def infer(
    experiment_plan: plan.ExperimentPlan,
    options: argparse.Namespace,
    layout: Layout,
    build: Build,
    device: torch.device,
) -> None:
    """Predicts one experiment's parquet."""
    started, clock, experiment = receipts.now(), time.monotonic(), experiment_plan.experiment
    network = build(experiment.network[options.profile])
    every = slice(0, len(TARGETS))
    parts = [
        inference.Weights(part.checkpoint, every if part.group is None else GROUPS[part.group])
        for part in experiment_plan.checkpoints
    ]
    # All before the first experiment: a wrong seventh checkpoint must not be found after hours.
    prefixes = {inference.load(network, part.checkpoint) for part in parts}
    if options.command == "infer-only":
        _require_no_twin(experiment, parts, prefixes, options.profile)
    devices.make_repeatable(0)
    scale = load_statistics(experiment, layout)
    depends = [experiment_plan.inference_inputs[role] for role in layout.raw.test_files()]
    with locked(
        layout.results.cache / "test"
    ):  # the first one parses test.csv, the others wait for it
        test = prepare(layout.raw, scale, layout.results.cache, sha256_json(depends))
    folder = layout.results.experiment(experiment.member, experiment.id)
    scratch = scratch_path(folder, experiment_plan.inference_inputs)
    for old in folder.glob("predictions-*.f32"):
        if old != scratch:
            old.unlink()
    # Rows do not depend on each other: on a CPU smaller batches save gigabytes and stay in its caches.
    batch = experiment.batch if device.type == "cuda" else min(experiment.batch, CPU_BATCH)
    z = inference.predictions(network.to(device), parts, test, batch, scratch, device)
    target = layout.results.parquet(experiment.artifact)
    details: Dict[str, Any] = {
        "experiment": experiment.name,
        "rows": len(test.ids),
        "network": experiment.network_record(options.profile),
        "profile": options.profile,
        "checkpoints": [part.checkpoint.name for part in parts],
        "seconds": round(time.monotonic() - clock, 1),
        **devices.describe(device),
    }
    if (
        options.command == "reproduce"
    ):  # a published checkpoint comes without its validation predictions
        details["oof"] = publish_oof(
            experiment, folder, layout.results.validation_predictions(experiment.artifact)
        )
        details["parents"] = {
            part.checkpoint.stem: made["weights"]
            for part in experiment_plan.checkpoints
            for made in [receipts.read(part.checkpoint).get("details", {})]
            if made.get("weights", "trained") != "trained"
        }
    inference.write_submission(target, z, test, scale)
    publish_copy(target, folder / (f"exp{experiment.id}_new.parquet"))
    details["peak memory"] = devices.peak_memory()
    # Last: a run that is stopped before this line repeats what comes after the predictions.
    receipts.write(target, "submission", experiment_plan.inference_inputs, started, details)
    scratch.unlink()
    print(
        "%s: %d rows in %.0f s -> %s"
        % (experiment.name, len(test.ids), time.monotonic() - clock, target),
        flush=True,
    )


def _require_no_twin(
    experiment: Experiment, parts: Sequence[inference.Weights], prefixes: Any, profile: str
) -> None:
    """Two published networks have equal tensors and other functions; only what wraps their names tells them apart."""
    if (
        not experiment.published
        or not experiment.published.indistinguishable_from
        or prefixes == {experiment.published.prefix}
    ):
        return
    if all(proves_training(part.checkpoint, experiment, profile, HashIndex()) for part in parts):
        return
    raise KitError(
        "its tensors' names begin {} `module.`, unlike those of the team's files of {}: it may be a checkpoint "
        "of {}, another network whose tensors have the same names and shapes".format(
            "with" if "module." in prefixes else "without",
            experiment.name,
            experiment.published.indistinguishable_from,
        ),
        parts[0].checkpoint,
        "put the published file there, or the training's receipt beside your own",
    )


def publish_oof(experiment: Experiment, folder: Path, target: Path) -> Dict[str, str]:
    """Gives the blend the out-of-fold predictions of all targets, merged from the groups' where there are groups."""
    if experiment.groups is None:
        publish_copy(RunFiles(folder, experiment.id).validation_predictions, target)
    else:
        parts = [
            validation_predictions.read(RunFiles(folder, experiment.id, g).validation_predictions)
            for g in experiment.checkpoint_groups
        ]
        validation_predictions.save(
            target,
            len(parts[0]),
            len(TARGETS),
            (
                np.concatenate([part[rows] for part in parts], axis=1)
                for rows in validation_predictions.row_slices(len(parts[0]))
            ),
        )
    return {"sha256": sha256(target), "family": experiment.family}


def load_statistics(experiment: Experiment, layout: Layout) -> scaling.Scaling:
    return scaling.load_scaling(
        layout.raw.statistics(experiment.family), experiment.family, layout.raw.old_weights
    )
