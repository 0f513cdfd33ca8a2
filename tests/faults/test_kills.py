"""A command that is killed at any moment ends, run again, in the same bytes with nothing left."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path
from typing import Callable, Dict

import pytest

from tests.faults.forked_runs import Run, Runner
from tests.faults.scenarios import Scenario

pytestmark = [pytest.mark.process, pytest.mark.fault]

MOMENTS = {"training": 13, "tuning": 6, "inference": 14, "search": 7}
# Moments between two calls that a timer rarely meets: before a name is given, or taken away.
CALLS = {"training": ("rename", "unlink"), "inference": ("rename", "unlink"), "blend": ("rename",)}


@pytest.mark.parametrize("name", MOMENTS)
def test_a_run_killed_at_a_random_moment_goes_on_to_the_same_bytes(
    name: str,
    scenarios: Dict[str, Scenario],
    runner: Runner,
    tmp_path: Path,
    state: Callable[[str], None],
) -> None:
    scenario = scenarios[name]
    moments = random.Random(f"{name} 12")
    started = time.monotonic()
    for number in range(MOMENTS[name]):
        seconds = moments.uniform(0.01, 0.9) * scenario.clean.seconds
        submission = tmp_path / str(number)
        while kill_after(seconds, scenario, runner, submission) == 0:
            seconds *= 0.7  # it ended before: the machine has become faster
        scenario.require_same_end(runner, submission, f"killed after {seconds:.3f} s\n")
        shutil.rmtree(str(submission))
    state(
        f"{name}: killed at {MOMENTS[name]} random moments, all the same bytes afterwards;"
        f" {time.monotonic() - started:.0f} s"
    )


def kill_after(seconds: float, scenario: Scenario, runner: Runner, submission: Path) -> int:
    """Kill a new run after some time; return its code, 0 if it had ended before."""
    shutil.rmtree(str(submission), ignore_errors=True)
    arguments = scenario.begin(submission)
    ended = runner(Run(scenario.program, arguments, str(submission), seconds=seconds))
    assert ended.code in (0, -signal.SIGKILL), ended.output
    return ended.code


@pytest.mark.parametrize("name", CALLS)
def test_a_run_killed_before_a_name_is_given_or_taken_goes_on_to_the_same_bytes(
    name: str,
    scenarios: Dict[str, Scenario],
    runner: Runner,
    tmp_path: Path,
    state: Callable[[str], None],
) -> None:
    scenario = scenarios[name]
    started = time.monotonic()
    killed = 0
    for kind in CALLS[name]:
        count = scenario.clean.counts[kind]
        for number in sorted({1, count // 2, count - 1, count}):
            submission = tmp_path / f"{kind}-{number}"
            arguments = scenario.begin(submission)
            ended = runner(Run(scenario.program, arguments, str(submission), (kind, number, 0)))
            where = f"killed before {kind} {number} of {count}\n"
            assert ended.code == -signal.SIGKILL, where + ended.output
            scenario.require_same_end(runner, submission, where)
            killed += 1
    state(
        f"{name}: killed before {killed} calls of {' and '.join(CALLS[name])}, all the same bytes"
        f" afterwards; {time.monotonic() - started:.0f} s"
    )
