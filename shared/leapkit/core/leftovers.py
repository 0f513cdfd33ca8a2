"""What ended runs leave beside finished results: removed by the next run that finds all done."""

from __future__ import annotations

import contextlib
from itertools import chain
from pathlib import Path
from typing import Iterator

from leapkit.core import work_locks
from leapkit.core.errors import KitError
from leapkit.core.files import TEMPORARY
from leapkit.core.layout import Results, RunFiles
from leapkit.core.plan import ExperimentPlan

SCRATCH = "predictions-*"  # unfinished predictions and their record, see layout.scratch_path


def remove_unless_at_work(experiment_plan: ExperimentPlan, results: Results) -> None:
    """Remove an experiment's leftovers unless a run is at work on it, or on one of its groups."""
    experiment = experiment_plan.experiment
    folder = results.experiment(experiment.member, experiment.id)
    if RunFiles(folder, experiment.id).lock.exists():
        with contextlib.suppress(KitError), work_locks.try_hold(experiment, results) as is_held:
            if is_held:
                remove(experiment_plan, results)


def remove(experiment_plan: ExperimentPlan, results: Results) -> None:
    """Remove what a proven experiment no longer needs; the caller holds its locks.

    A file that cannot be removed (of another user's container) stays: it costs space, not truth.
    """
    if experiment_plan.runs or experiment_plan.blocked:
        return
    for path in list(_leftovers(experiment_plan, results)):
        with contextlib.suppress(OSError):
            path.unlink()


def _leftovers(experiment_plan: ExperimentPlan, results: Results) -> Iterator[Path]:
    experiment = experiment_plan.experiment
    folder = results.experiment(experiment.member, experiment.id)
    yield from folder.glob(TEMPORARY + "*")
    if "train" in experiment_plan.reasons:  # infer-only leaves an unfinished training alone
        yield from folder.glob("*.state.pt")
        yield from folder.glob("*.progress.json")
    if experiment.artifact:
        names = (f"{TEMPORARY}{experiment.artifact}.*", f"{TEMPORARY}{experiment.artifact}-*")
        yield from chain(folder.glob(SCRATCH), *(results.subs.glob(name) for name in names))
