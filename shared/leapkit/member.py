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
from typing import Any, Callable, Dict, Iterator, List, Sequence

import torch
from torch import nn

from leapkit import checkpoints, compute, inference, plan, receipts, rows, statistics, training, workers
from leapkit.errors import KitError, explain_os_errors
from leapkit.experiments import PROFILES, Experiment, TrainingRows, select
from leapkit.files import HashIndex, publish_copy, sha256, sha256_json
from leapkit.prepared import prepare
from leapkit.world import RawData, Submission

Build = Callable[[Any], nn.Module]


def arguments(member: str, argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="members." + member, description="Trains and applies %s's networks." % member)
    parser.add_argument("command", choices=plan.MODES,
                        help="reproduce: train, then predict; infer-only: predict with published checkpoints")
    parser.add_argument("--raw-data", type=Path, default=Path("raw_data"))
    parser.add_argument("--submission", type=Path, default=Path("submission"))
    parser.add_argument("--weights", type=Path, default=Path("members") / member / "weights")
    parser.add_argument("--profile", choices=PROFILES, default="full")
    parser.add_argument("--experiments", default="", help="ids, comma separated; all when empty")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="of one experiment; all cores, at sample size one")
    parser.add_argument("--jobs", type=int, default=0,
                        help="experiments side by side; one, at sample size one per core and one more")
    return parser.parse_args(argv)


def main(member: str, experiments: Sequence[Experiment], build: Build, argv: List[str]) -> int:
    """One experiment in this process; several in a process each, so that one's failure or memory is its own."""
    options = arguments(member, argv)
    chosen = select(experiments, options.experiments)
    if len(chosen) > 1:
        # At sample width a network is too small for two threads to help each other: one thread each, side by side.
        side_by_side = options.profile == "sample" and options.device != "cuda"
        # One more than there are cores, so that none idles while the last experiment ends.
        jobs = options.jobs or ((os.cpu_count() or 1) + 1 if side_by_side else 1)
        return workers.run([[sys.executable, "-m", "members." + member] + argv + ["--experiments", row.id]
                            for row in chosen], [row.name for row in chosen], jobs)
    run_experiment(chosen[0], build, options)
    return 0


def run_experiment(row: Experiment, build: Build, options: argparse.Namespace) -> None:
    """Trains and predicts one experiment where its receipts do not hold. Raises KitError when it cannot."""
    places = plan.Places(RawData(options.raw_data), Submission(options.submission), options.weights)
    cache = places.submission.outputs(row.member) / ".cache"
    with locked(places.submission.experiment(row.member, row.id), "another run is at work here"):
        todo = decide(row, options, places, cache)
        for line in todo.lines():
            print(line, flush=True)
        if todo.blocked:
            raise KitError(todo.blocked, row.name, todo.remedy)
        if not (todo.train or todo.infer):
            return
        # One thread at sample size also makes its results independent of the number of cores.
        threads = options.threads or (1 if options.profile == "sample" else 0)
        if threads:
            torch.set_num_threads(threads)
        device = compute.choose_device(options.device)
        if todo.train:
            train(row, options.profile, places, build, todo, device)
            todo = decide(row, options, places, cache)
        if todo.infer:
            infer(row, options, places, build, todo, device, cache)


def decide(row: Experiment, options: argparse.Namespace, places: plan.Places, cache: Path) -> plan.Todo:
    """The plan of one experiment; hashes are kept in the cache, which experiments side by side share."""
    with locked(cache):
        index = HashIndex(cache / "hashes.json")
        todo = plan.of_experiment(row, options.command, options.profile, places, index)
        index.save()
    return todo


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


def train(row: Experiment, profile: str, places: plan.Places, build: Build, todo: plan.Todo, device: torch.device
          ) -> None:
    """Trains one experiment and writes the receipt of its checkpoint."""
    started = receipts.now()
    folder, recipe = places.submission.experiment(row.member, row.id), row.recipe[profile]
    scale = load_statistics(row, places)
    train_rows = rows.load(places.raw.training_pairs(recipe.rows.first_month), scale, recipe.rows, "training")
    validation = rows.load(places.raw.validation_pairs(), scale, TrainingRows(), "validation")
    done = training.train(lambda: build(row.network[profile]), recipe, train_rows, validation, scale, folder,
                          row.id, sha256_json(todo.training_inputs), device)
    details: Dict[str, Any] = {
        "network": row.network_row(profile), "recipe": row.recipe_row(profile), "training rows": len(train_rows),
        "validation rows": len(validation), "epochs": done.epochs, "seconds": round(done.seconds, 1),
        "validation": asdict(done.score), **compute.describe(device)}
    receipts.write(folder / row.checkpoint, "training", todo.training_inputs, started, details)
    training.state_path(folder, row.id).unlink()
    print("%s: trained in %.0f s, validation %s" % (row.name, done.seconds, done.score.line()), flush=True)


def infer(row: Experiment, options: argparse.Namespace, places: plan.Places, build: Build, todo: plan.Todo,
          device: torch.device, cache: Path) -> None:
    """Predicts one experiment's parquet."""
    started, clock = receipts.now(), time.monotonic()
    network = build(row.network[options.profile])
    checkpoints.load_into(network, checkpoints.read_tensors(todo.checkpoint), todo.checkpoint)
    compute.make_repeatable(0)
    scale = load_statistics(row, places)
    depends = {role: value for role, value in todo.inference_inputs.items() if not role.startswith("checkpoint")
               and role != "network"}
    with locked(cache):
        test = prepare(places.raw, scale, cache, sha256_json([row.family, depends]))
    folder = places.submission.experiment(row.member, row.id)
    scratch = plan.scratch_path(folder, todo.inference_inputs)
    for old in folder.glob("predictions-*.f32"):
        if old != scratch:
            old.unlink()
    z = inference.predictions(network.to(device), test, row.batch, scratch, device)
    target = places.submission.parquet(row.artifact)
    seconds = time.monotonic() - clock
    details: Dict[str, Any] = {
        "experiment": row.name, "rows": len(test.ids), "network": row.network_row(options.profile),
        "profile": options.profile, "checkpoint": todo.checkpoint.name, "seconds": round(seconds, 1),
        **compute.describe(device)}
    if options.command == "reproduce":  # a published checkpoint comes without its validation predictions
        oof = places.submission.subs / (row.artifact + ".npy")
        publish_copy(folder / "oof.npy", oof)
        details["oof"] = {"sha256": sha256(oof), "family": row.family}
    inference.write_submission(target, z, test, scale)
    publish_copy(target, folder / ("exp%s_new.parquet" % row.id))
    # Last: a run that is stopped before this line repeats what comes after the predictions.
    receipts.write(target, "submission", todo.inference_inputs, started, details)
    scratch.unlink()
    print("%s: %d rows -> %s" % (row.name, len(test.ids), target), flush=True)


def load_statistics(row: Experiment, places: plan.Places) -> statistics.Statistics:
    return statistics.load(places.raw.statistics(row.family), row.family, places.raw.old_weights)
