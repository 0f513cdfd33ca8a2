"""Who is at work on an experiment: one whole run, or runs that each train some of its groups.

A group has a lock of its own, and a whole run holds all of them beside that of the experiment. So
seven jobs may train a group each, and neither they nor a whole run meet another one's files. Every
lock has one holder, which works on file systems without locks too (leapkit.core.file_lock).
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator, List, Sequence

from leapkit.core import file_lock
from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.layout import Results, RunFiles


@contextlib.contextmanager
def hold(experiment: Experiment, results: Results, groups: Sequence[int] = ()) -> Iterator[None]:
    """Hold an experiment, or some of its groups alone.

    Raises KitError if another run is at work on any of that.
    """
    folder = results.experiment(experiment.member, experiment.id)
    refusal = KitError("another run is at work here", folder, "wait for it or stop it")
    with contextlib.ExitStack() as held:
        for path in _paths(experiment, folder, groups):
            held.enter_context(file_lock.hold(path, refusal))
        yield


@contextlib.contextmanager
def try_hold(experiment: Experiment, results: Results) -> Iterator[bool]:
    """Hold an experiment unless any run is at work on it; yield whether it is held.

    Raises KitError if the operating system refuses a lock.
    """
    folder = results.experiment(experiment.member, experiment.id)
    with contextlib.ExitStack() as held:
        yield all(
            held.enter_context(file_lock.try_hold(path)) for path in _paths(experiment, folder, ())
        )


def _paths(experiment: Experiment, folder: Path, groups: Sequence[int]) -> List[Path]:
    """Return the locks of some groups, or of the whole: its own, which comes first, and theirs."""
    if groups:
        return [RunFiles(folder, experiment.id, group).lock for group in groups]
    return [RunFiles(folder, experiment.id).lock] + [
        RunFiles(folder, experiment.id, group).lock
        for group in experiment.checkpoint_groups
        if group is not None
    ]
