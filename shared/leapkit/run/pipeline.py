"""One experiment: decide what runs and why, train its checkpoints, predict its parquet."""

from __future__ import annotations

from typing import Sequence, Tuple

import torch

from leapkit.core import file_lock, leftovers, plan, work_locks
from leapkit.core.errors import LONGEST_LINE, KitError, explain_os_errors, printable
from leapkit.core.experiments import Experiment
from leapkit.core.hash_index import HashIndex
from leapkit.core.input_hashes import InputHashes
from leapkit.core.registry import lineage
from leapkit.data.scaling import Scaling, load_scaling
from leapkit.run import devices
from leapkit.run.checkpoint_training import CheckpointTrainer
from leapkit.run.options import RunOptions
from leapkit.run.prediction import predict_experiment


def run_experiment(
    experiment: Experiment, experiments: Sequence[Experiment], options: RunOptions
) -> None:
    """Train and predict one experiment, each step only if its receipt does not prove it done.

    experiments  all experiments of the member, among them the parents of `experiment`
    Of several processes the first does that, and the others take part in its trainings.
    Raises KitError if the experiment cannot run, or if another process runs it.
    """
    if options.processes.is_first:
        reproduces = options.mode == "reproduce"
        family = lineage(experiments, [experiment]) if reproduces else (experiment,)
        _lead(family, options)
        options.processes.of_first(None)  # no training follows
    else:
        _follow(experiment, options)
    options.processes.end_training()


def _lead(family: Sequence[Experiment], options: RunOptions) -> None:
    """Train and predict the last experiment of `family`, or train some of its groups."""
    if options.groups:
        proven = decide(family, options)
        if not (proven.train or proven.blocked):  # whoever is at work on others does not matter
            _show(proven)
            return
    experiment = family[-1]
    results = options.layout.results
    folder = results.experiment(experiment.member, experiment.id)
    # A disk may refuse any call, also one that only tidies up: that is never a traceback.
    with work_locks.hold(experiment, results, options.groups), explain_os_errors(folder):
        experiment_plan = decide(family, options)
        _show(experiment_plan)
        _require_possible(experiment_plan)
        if experiment_plan.runs:
            _run(experiment_plan, family, options)
            experiment_plan = decide(family, options)
            _require_possible(experiment_plan)
            _require_finished(experiment_plan, experiment_plan.runs)
        if not options.groups:
            leftovers.remove(experiment_plan, results)


def _show(experiment_plan: plan.ExperimentPlan) -> None:
    for line in experiment_plan.lines():
        print(printable(line, LONGEST_LINE), flush=True)


def _follow(experiment: Experiment, options: RunOptions) -> None:
    """Take part in each training of the first process, until it says that none follows."""
    training = options.processes.of_first()
    if training:
        scaling, device = _prepared(experiment, options)
        trainer = CheckpointTrainer(experiment, options, scaling, device)
        while training:
            trainer.follow(training)
            training = options.processes.of_first()


def _prepared(experiment: Experiment, options: RunOptions) -> Tuple[Scaling, torch.device]:
    torch.set_num_threads(devices.threads(options.cpu_threads))
    device = devices.choose_device(options.device, options.trains_for_weeks)
    raw = options.layout.raw
    family = experiment.family
    return load_scaling(raw.statistics(family), family, raw.old_weights), device


def _require_possible(experiment_plan: plan.ExperimentPlan) -> None:
    if experiment_plan.blocked:
        name = experiment_plan.experiment.name
        raise KitError(experiment_plan.blocked, name, experiment_plan.remedy)


def _require_finished(experiment_plan: plan.ExperimentPlan, unfinished: bool) -> None:
    """Raise KitError if what was just done would be done again: what it depends on has changed."""
    if unfinished:
        reasons = "; ".join(experiment_plan.reasons.values())
        raise KitError(
            f"what it was made from did not stay the same meanwhile ({reasons})",
            experiment_plan.experiment.name,
            "run the same command again",
        )


def _run(
    experiment_plan: plan.ExperimentPlan, family: Sequence[Experiment], options: RunOptions
) -> None:
    """Train and predict what the plan names.

    Raises KitError also if, after training, nothing can be predicted any more.
    """
    experiment = experiment_plan.experiment
    scaling, device = _prepared(experiment, options)
    if experiment_plan.train:
        trainer = CheckpointTrainer(experiment, options, scaling, device)
        trainer.make([checkpoint for checkpoint in experiment_plan.checkpoints if checkpoint.train])
        experiment_plan = decide(family, options)
        _require_possible(experiment_plan)
        _require_finished(experiment_plan, experiment_plan.train)
    if experiment_plan.infer:
        predict_experiment(experiment_plan, options, scaling, device)


def decide(family: Sequence[Experiment], options: RunOptions) -> plan.ExperimentPlan:
    """Return the plan of the last experiment of `family`, or of the groups that are asked for.

    The others are its ancestors.

    File hashes are stored in the results' cache, where all members and the launcher find them.
    """
    layout = options.layout
    with file_lock.hold(layout.results.cache / ".lock"):
        index = HashIndex(layout.results.hashes)
        hashes = InputHashes(layout.raw, index)
        plans = plan.plan_experiments(family, options.mode, options.profile, layout, hashes)
        index.save()
    *ancestors, experiment_plan = plans
    untrained = [ancestor.experiment.name for ancestor in ancestors if ancestor.train]
    if untrained and not experiment_plan.blocked:
        experiment_plan.blocked = f"its parent {untrained[-1]} is not trained"
    if untrained and not experiment_plan.remedy:
        experiment_plan.remedy = "run that first"
    return experiment_plan.of_groups(options.groups) if options.groups else experiment_plan
