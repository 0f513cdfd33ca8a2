"""A member's command line: train what is not trained, predict what is not predicted, say why.

Every member's __main__ calls main() with its own experiments and networks; nothing here knows a
member.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import List, Sequence, Tuple

from leapkit.core import allotment, job_runner, pauses, plan
from leapkit.core.errors import explain_os_errors
from leapkit.core.experiments import PROFILES, Experiment
from leapkit.core.layout import Layout, RawData, Results
from leapkit.core.registry import choose_experiments, choose_groups, select
from leapkit.core.step_files import PRECISIONS
from leapkit.core.training_options import parse
from leapkit.run import devices, precision, process_group, torchrun
from leapkit.run.options import Build, RunOptions
from leapkit.run.pipeline import run_experiment


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
    parser.add_argument(
        "--step-precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="float32 accepts step files in float32 too, which receipts record",
    )
    parser.add_argument("--submission", type=Path, default=Path("submission"))
    parser.add_argument("--weights", type=Path, default=Path("members") / member / "weights")
    parser.add_argument("--profile", choices=PROFILES, default="full")
    parser.add_argument(
        "--experiments",
        default="",
        help="ids, comma separated; their parents are added; all experiments if empty",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--precision",
        choices=("auto", *precision.PRECISIONS),
        default="auto",
        help="of networks; auto: float32 on a CPU, tf32 on a GPU",
    )
    parser.add_argument(
        "--options",
        default="",
        help="of training beyond the published one, as ema=0.999,confidence=0.5",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=0,
        help="threads of one experiment; default: all cores, one at sample size",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=0,
        help="experiments side by side, of all members; default: one per GPU,"
        " cores + 1 at sample size",
    )
    parser.add_argument(
        "--gpus",
        type=_count,
        default=1,
        metavar="N",
        help="GPUs that train one network together, or processes on CPUs",
    )
    # One experiment in this process, without its parents: what main() starts for each of several.
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    # What a job of a cluster trains: the plain command predicts when all groups are trained.
    parser.add_argument("--groups", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _count(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def main(member: str, experiments: Sequence[Experiment], build: Build, argv: List[str]) -> int:
    """Run a member's command line and return its exit code.

    One experiment runs in this process, or in several that torchrun starts. Several run in a
    process each, so that the failure or the memory of one does not touch the others; but one by one
    if a user's torchrun has started this process. Raises KitError for a request that cannot be met,
    and Paused if a pause was asked for.
    """
    options = arguments(member, argv)
    beyond = parse(options.options)
    experiments = [experiment.with_options(beyond) for experiment in experiments]
    devices.tune_libraries()
    chosen = _chosen(experiments, options)
    groups = choose_groups(chosen, options.groups, options.command)
    with pauses.listening():
        if process_group.is_one_of_several():
            _run_here(chosen, groups, experiments, build, options)
        elif len(chosen) > 1:
            return _run_in_processes(member, chosen, options, argv)
        elif _gpus_of_one(options) > 1:
            return torchrun.run(member, argv, options.gpus, options.device)
        else:
            _run_here(chosen, groups, experiments, build, options)
    return 0


def _run_here(
    chosen: Sequence[Experiment],
    groups: Tuple[int, ...],
    experiments: Sequence[Experiment],
    build: Build,
    options: argparse.Namespace,
) -> None:
    """Run experiments in this process, together with those that torchrun started beside it."""
    raw = RawData(options.raw_data, options.step_precision == "float32")
    layout = Layout(raw, Results(options.submission), options.weights)
    with process_group.joined() as processes:
        run_options = RunOptions(
            options.command,
            options.profile,
            layout,
            build,
            options.device,
            options.threads,
            processes,
            groups,
            options.precision,
        )
        for experiment in chosen:
            run_experiment(experiment, experiments, run_options)


def _gpus_of_one(options: argparse.Namespace) -> int:
    """Return how many GPUs one network gets: prediction takes one."""
    return options.gpus if options.command == "reproduce" else 1


def _chosen(experiments: Sequence[Experiment], options: argparse.Namespace) -> Sequence[Experiment]:
    if options.alone:
        return select(experiments, options.experiments)
    return choose_experiments(experiments, options.experiments, options.command, everything=True)


def _run_in_processes(
    member: str, chosen: Sequence[Experiment], options: argparse.Namespace, argv: List[str]
) -> int:
    """Run each experiment in a process of its own, a parent before its children."""
    subs = Results(options.submission).subs
    with explain_os_errors(subs):
        subs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"members.{member}", *argv, "--alone", "--experiments"]
    reproduces = options.command == "reproduce"
    jobs = [
        job_runner.Job(
            experiment.name,
            [*command, experiment.id],
            [f"{member}/{experiment.parent}"] if experiment.parent and reproduces else [],
        )
        for experiment in chosen
    ]
    return job_runner.run(jobs, _slots(subs / ".slots", options))


def _slots(folder: Path, options: argparse.Namespace) -> job_runner.JobSlots:
    """Return how many experiments, of all members together, run at a time, and on which GPUs."""
    together = _gpus_of_one(options)
    # At sample width a network is too small for two threads to help each other: one thread each,
    # side by side, and one more than there are cores, so that none idles while the last experiment
    # ends.
    if options.profile == "sample":
        return job_runner.JobSlots(folder, options.jobs or allotment.cores() // together + 1)
    # Refused here, once, and not by each experiment.
    device = devices.choose_device(options.device, for_weeks=options.command == "reproduce")
    gpus = devices.gpus() if device.type == "cuda" else []
    jobs = options.jobs or max(1, len(gpus) // together)
    return job_runner.JobSlots(folder, jobs, gpus, together)
