"""A member's command line: train what is not trained, predict what is not predicted, say why.

Every member's __main__ calls main() with its own rows and its own builder of networks; nothing here knows a member.
"""
from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

import numpy as np
import torch
from torch import nn

from leapkit import checkpoints, compute, inference, oof, plan, receipts, statistics, training, workers
from leapkit.columns import GROUP_NAMES, GROUPS, TARGETS
from leapkit.errors import KitError, explain_os_errors
from leapkit.experiments import PROFILES, Experiment, TrainingRows, lineage, select
from leapkit.files import HashIndex, publish_copy, sha256, sha256_json
from leapkit.loader import Loader
from leapkit.prepared import prepare
from leapkit.row_index import read_index
from leapkit.rows import StepRows
from leapkit.world import RawData, RunFiles, Submission

Build = Callable[[Any], nn.Module]
CPU_BATCH = 256  # rows per forward pass on a CPU; the rows' batch is for a GPU


def arguments(member: str, argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="members." + member, description="Trains and applies %s's networks." % member)
    parser.add_argument("command", choices=plan.MODES,
                        help="reproduce: train, then predict; infer-only: predict with published checkpoints")
    parser.add_argument("--raw-data", type=Path, default=Path("raw_data"))
    parser.add_argument("--submission", type=Path, default=Path("submission"))
    parser.add_argument("--weights", type=Path, default=Path("members") / member / "weights")
    parser.add_argument("--profile", choices=PROFILES, default="full")
    parser.add_argument("--experiments", default="", help="ids, comma separated, and what they start from; all when empty")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="of one experiment; all cores, at sample size one")
    parser.add_argument("--jobs", type=int, default=0,
                        help="experiments side by side, of all members; one per GPU, at sample size cores + 1")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)  # one experiment, in this process
    return parser.parse_args(argv)


def main(member: str, experiments: Sequence[Experiment], build: Build, argv: List[str]) -> int:
    """One experiment in this process; several in a process each, so that one's failure or memory is its own."""
    options = arguments(member, argv)
    compute.tune_libraries()
    if options.alone:
        chosen = select(experiments, options.experiments)
    else:
        chosen = tuple(plan.wanted(experiments, options.experiments, options.command, everything=True))
    if len(chosen) == 1:
        run_experiment(chosen[0], experiments, build, options)
        return 0
    places = Submission(options.submission)
    with explain_os_errors(places.subs):
        places.subs.mkdir(parents=True, exist_ok=True)
    jobs = [workers.Job(row.name, [sys.executable, "-m", "members." + member] + argv + ["--alone", "--experiments", row.id],
                        ["%s/%s" % (member, row.parent)] if row.parent and options.command == "reproduce" else [])
            for row in chosen]
    return workers.run(jobs, workers.Slots(places.subs / ".slots", *_side_by_side(options)))


def _side_by_side(options: argparse.Namespace) -> Any:
    """(how many experiments run at a time, on which GPUs)."""
    # At sample width a network is too small for two threads to help each other: one thread each, side by side, and one
    # more than there are cores, so that none idles while the last experiment ends.
    if options.profile == "sample":
        return options.jobs or (os.cpu_count() or 1) + 1, []
    gpus = compute.gpus() if compute.choose_device(options.device).type == "cuda" else []
    return options.jobs or max(1, len(gpus)), gpus


def run_experiment(row: Experiment, experiments: Sequence[Experiment], build: Build, options: argparse.Namespace) -> None:
    """Trains and predicts one experiment where its receipts do not hold. Raises KitError when it cannot."""
    places = plan.Places(RawData(options.raw_data), Submission(options.submission), options.weights)
    family = lineage(experiments, [row]) if options.command == "reproduce" else [row]
    with locked(places.submission.experiment(row.member, row.id), "another run is at work here"):
        todo = decide(family, options, places)
        for line in todo.lines():
            print(line, flush=True)
        if todo.blocked:
            raise KitError(todo.blocked, row.name, todo.remedy)
        if not todo.runs:
            return
        # One thread at sample size also makes its results independent of the number of cores.
        threads = options.threads or (1 if options.profile == "sample" else 0)
        if threads:
            torch.set_num_threads(threads)
        device = compute.choose_device(options.device)
        if todo.train:
            train(todo, options.profile, places, build, device)
            todo = decide(family, options, places)
        if todo.infer:
            infer(todo, options, places, build, device)


def decide(family: Sequence[Experiment], options: argparse.Namespace, places: plan.Places) -> plan.Todo:
    """The plan of the last of `family`; hashes are kept where all members and the launcher find them."""
    with locked(places.submission.cache):
        index = HashIndex(places.submission.hashes)
        todos = plan.of_experiments(family, options.command, options.profile, places, plan.Hashes(places.raw, index))
        index.save()
    waiting = [todo.row.name for todo in todos[:-1] if todo.train]
    if waiting:
        todos[-1].blocked = todos[-1].blocked or "its parent %s is not trained" % waiting[-1]
        todos[-1].remedy = todos[-1].remedy or "run that first"
    return todos[-1]


@contextlib.contextmanager
def locked(folder: Path, refuse: str = "") -> Iterator[None]:
    """Holds a folder's lock; where another process has it, waits, or raises KitError with the reason `refuse`."""
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / ".lock", "w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if refuse else 0))
        except OSError as error:
            raise KitError(refuse, folder, "wait for it or stop it") from error
        yield


def train(todo: plan.Todo, profile: str, places: plan.Places, build: Build, device: torch.device) -> None:
    """Trains the parts that are not proven, and writes the receipt of each one's checkpoint."""
    row, recipe = todo.row, todo.row.recipe[profile]
    scale = load_statistics(row, places)
    held_out = StepRows(places.raw.validation_pairs(), scale)
    validation = Loader(held_out, recipe.rows.pool)
    parent = Parent(row, places) if row.parent else None
    learned: Optional[StepRows] = None
    for part in todo.parts:
        files = RunFiles(places.submission.experiment(row.member, row.id), row.id, part.group)
        if not part.train:
            continue
        started = receipts.now()
        if parent and part.group is not None and row.groups and part.group in row.groups.parents:
            details = parent.stands_in(files, "by the team's construction this group is not fine-tuned")
        else:
            if learned is None:
                learned = training_rows(recipe.rows, places.raw, scale)
                train_rows = Loader(learned, recipe.rows.pool)
                print("%s: %d training rows of %d months, %d validation rows" % (
                    files.stem, len(train_rows), len(learned.used()), len(validation)), flush=True)
            task = training.Task(files, recipe, sha256_json(part.inputs), parent.weights if parent else None, part.group)
            done = training.train(lambda: build(row.network[profile]), task, train_rows, validation, scale, device)
            details = {"weights": "trained", "training rows": len(train_rows), "training months": learned.used(),
                       "validation months": held_out.used(), "epochs": done.epochs, "seconds": round(done.seconds, 1),
                       "validation": asdict(done.score)}
            print("%s: trained in %.0f s, validation %s" % (files.stem, done.seconds, task.line(done.score)), flush=True)
            if parent and part.group is not None:
                details.update(parent.compared(files, done.score.groups[part.group]))
        receipts.write(files.checkpoint, "training", part.inputs, started, {
            "network": row.network_row(profile), "recipe": row.recipe_row(profile), "validation rows": len(validation),
            "oof": sha256(files.oof), **details, **compute.describe(device)})
        with contextlib.suppress(FileNotFoundError):
            files.state.unlink()


def training_rows(chosen: TrainingRows, raw: RawData, scale: statistics.Statistics) -> StepRows:
    index = raw.row_index(chosen)
    return StepRows(raw.training_pairs(chosen.first_month), scale, chosen, read_index(index) if index else None)


class Parent:
    """The experiment that another one starts from: its weights, its score, its predictions."""

    def __init__(self, child: Experiment, places: plan.Places) -> None:
        self.child, self.name = child, "%s/%s" % (child.member, child.parent)
        self.files = RunFiles(places.submission.experiment(child.member, child.parent), child.parent)
        self.receipt = receipts.require_valid(self.files.checkpoint, HashIndex(), "run `make reproduce` again")["details"]

    def weights(self, network: nn.Module) -> Mapping[str, np.ndarray]:
        """The parent's tensors, but those of the child's freshly drawn `network` where its row says so."""
        tensors = dict(checkpoints.read_tensors(self.files.checkpoint))
        own = network.state_dict()
        tensors.update((name, own[name].numpy()) for name in self.child.fresh)
        return tensors

    def compared(self, files: RunFiles, score: float) -> Dict[str, Any]:
        """Both scores of a fine-tuned group; the parent takes the group over where its row says so and it was better."""
        assert files.group is not None and self.child.groups is not None
        before = float(self.receipt["validation"]["groups"][files.group])
        found: Dict[str, Any] = {"group": GROUP_NAMES[files.group], "fine-tuned R2": score, "parent's R2": before}
        if self.child.groups.keep_if_better and score < before:
            found.update(self.stands_in(files, "its R2 %.5f is above the fine-tuned %.5f" % (before, score)))
        return found

    def stands_in(self, files: RunFiles, reason: str) -> Dict[str, Any]:
        """Gives a group the parent's checkpoint and predictions."""
        assert files.group is not None
        if sha256(self.files.oof) != self.receipt["oof"]:
            raise KitError("is not what its receipt names", self.files.oof, "remove it and run `make reproduce` again")
        found, own = oof.read(self.files.oof), GROUPS[files.group]
        oof.save(files.oof, len(found), own.stop - own.start, (found[rows, own] for rows in oof.stretches(len(found))))
        publish_copy(self.files.checkpoint, files.checkpoint)
        print("%s: keeps the weights of %s: %s" % (files.stem, self.name, reason), flush=True)
        return {"weights": "of the parent " + self.name, "reason": reason, "group": GROUP_NAMES[files.group]}


def infer(todo: plan.Todo, options: argparse.Namespace, places: plan.Places, build: Build, device: torch.device) -> None:
    """Predicts one experiment's parquet."""
    started, clock, row = receipts.now(), time.monotonic(), todo.row
    network = build(row.network[options.profile])
    every = slice(0, len(TARGETS))
    parts = [inference.Weights(part.checkpoint, every if part.group is None else GROUPS[part.group])
             for part in todo.parts]
    # All before the first row: a wrong seventh checkpoint must not be found after hours.
    prefixes = {inference.load(network, part.checkpoint) for part in parts}
    if options.command == "infer-only":
        _require_no_twin(row, parts, prefixes, options.profile)
    compute.make_repeatable(0)
    scale = load_statistics(row, places)
    depends = [todo.inference_inputs[role] for role in places.raw.test_files()]
    with locked(places.submission.cache / "test"):  # the first one parses test.csv, the others wait for it
        test = prepare(places.raw, scale, places.submission.cache, sha256_json(depends))
    folder = places.submission.experiment(row.member, row.id)
    scratch = plan.scratch_path(folder, todo.inference_inputs)
    for old in folder.glob("predictions-*.f32"):
        if old != scratch:
            old.unlink()
    # Rows do not depend on each other: on a CPU smaller batches save gigabytes and stay in its caches.
    batch = row.batch if device.type == "cuda" else min(row.batch, CPU_BATCH)
    z = inference.predictions(network.to(device), parts, test, batch, scratch, device)
    target = places.submission.parquet(row.artifact)
    details: Dict[str, Any] = {
        "experiment": row.name, "rows": len(test.ids), "network": row.network_row(options.profile),
        "profile": options.profile, "checkpoints": [part.checkpoint.name for part in parts],
        "seconds": round(time.monotonic() - clock, 1), **compute.describe(device)}
    if options.command == "reproduce":  # a published checkpoint comes without its validation predictions
        details["oof"] = publish_oof(row, folder, places.submission.oof(row.artifact))
        details["parents"] = {part.checkpoint.stem: made["weights"] for part in todo.parts
                              for made in [plan.read_receipt(part.checkpoint).get("details", {})]
                              if made.get("weights", "trained") != "trained"}
    inference.write_submission(target, z, test, scale)
    publish_copy(target, folder / ("exp%s_new.parquet" % row.id))
    details["peak memory"] = compute.peak_memory()
    # Last: a run that is stopped before this line repeats what comes after the predictions.
    receipts.write(target, "submission", todo.inference_inputs, started, details)
    scratch.unlink()
    print("%s: %d rows in %.0f s -> %s" % (row.name, len(test.ids), time.monotonic() - clock, target), flush=True)


def _require_no_twin(row: Experiment, parts: Sequence[inference.Weights], prefixes: Any, profile: str) -> None:
    """Two published networks have equal tensors and other functions; only what wraps their names tells them apart."""
    if not row.published or not row.published.twin or prefixes == {row.published.prefix}:
        return
    if all(plan.require_own(part.checkpoint, row, profile, HashIndex()) for part in parts):
        return
    raise KitError("its tensors' names begin %s `module.`, unlike those of the team's files of %s: it may be a checkpoint "
                   "of %s, another network whose tensors have the same names and shapes"
                   % ("with" if "module." in prefixes else "without", row.name, row.published.twin),
                   parts[0].checkpoint, "put the published file there, or the training's receipt beside your own")


def publish_oof(row: Experiment, folder: Path, target: Path) -> Dict[str, str]:
    """Gives the blend the out-of-fold predictions of all targets, merged from the groups' where there are groups."""
    if row.groups is None:
        publish_copy(RunFiles(folder, row.id).oof, target)
    else:
        parts = [oof.read(RunFiles(folder, row.id, g).oof) for g in row.parts]
        oof.save(target, len(parts[0]), len(TARGETS), (np.concatenate([part[rows] for part in parts], axis=1)
                                                       for rows in oof.stretches(len(parts[0]))))
    return {"sha256": sha256(target), "family": row.family}


def load_statistics(row: Experiment, places: plan.Places) -> statistics.Statistics:
    return statistics.load(places.raw.statistics(row.family), row.family, places.raw.old_weights)
