"""A whole run and runs of single groups are at work on an experiment at different times."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence, Tuple

import pytest

from leapkit.core import file_lock
from leapkit.core.layout import Results
from leapkit.core.work_locks import hold, try_hold
from members.forcewithme.experiments import EXPERIMENTS
from tests.helpers.refusals import refused

WHOLE: Tuple[int, ...] = ()
TUNED = next(experiment for experiment in EXPERIMENTS if experiment.id == "32")
FIRST_STAGE = next(experiment for experiment in EXPERIMENTS if experiment.id == "18")


@pytest.fixture(params=["with locks", "without locks"])
def results(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Results:
    """Return a folder of results on a file system that has locks, or has none."""
    if request.param == "without locks":

        def no_locks(*_: Any) -> None:
            raise OSError(file_lock._WITHOUT_LOCKS[0], "none")

        monkeypatch.setattr(file_lock.fcntl, "flock", no_locks)
    return Results(tmp_path)


@pytest.mark.parametrize(
    "first, second", [(WHOLE, WHOLE), (WHOLE, (3,)), ((3,), WHOLE), ((0, 3), (3, 5))]
)
def test_two_runs_of_the_same_groups_exclude_each_other(
    first: Sequence[int], second: Sequence[int], results: Results
) -> None:
    with hold(TUNED, results, first):
        where = results.experiment("forcewithme", "32")
        with refused(where, "another run is at work here"), hold(TUNED, results, second):
            raise AssertionError("two runs write the same files")
        with try_hold(TUNED, results) as is_held:
            assert not is_held
    with hold(TUNED, results, second), try_hold(FIRST_STAGE, results) as is_held:
        assert is_held


def test_runs_of_different_groups_are_at_work_together(results: Results) -> None:
    with hold(TUNED, results, (0,)), hold(TUNED, results, (1, 6)), hold(TUNED, results, (2,)):
        pass
    with try_hold(TUNED, results) as is_held:
        assert is_held


def test_a_refused_run_leaves_nothing_held(results: Results) -> None:
    with hold(TUNED, results, (6,)):
        with refused("32", "another run"), hold(TUNED, results):
            pass
        with hold(TUNED, results, range(6)):
            pass
