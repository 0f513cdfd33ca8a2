"""Each system call that durability rests on fails once: one sentence, and then the same bytes."""

from __future__ import annotations

import collections
import errno
import random
import shutil
import time
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest

from leapkit.core.errors import EXIT_REFUSED
from tests.faults import tiny
from tests.faults.forked_runs import Ended, Run, Runner
from tests.faults.scenarios import Scenario

pytestmark = [pytest.mark.process, pytest.mark.fault]

# What each kind of call is answered in turn. All calls of a kind fail once, or a sample of them.
ANSWERS: Dict[str, Tuple[str, ...]] = {
    "open": ("ENOSPC", "EACCES", "EIO", "EMFILE", "EROFS"),
    "read": ("EIO",),
    "write": ("ENOSPC", "EIO", "EDQUOT"),
    "fsync": ("EIO", "EINVAL", "ENOSPC"),
    "rename": ("EIO", "ENOSPC", "EXDEV"),
    "link": ("EPERM", "EMLINK", "ENOSPC"),
    "flock": ("ENOSYS", "ENOLCK", "EIO", "EINVAL"),
    "statvfs": ("ENOSYS", "EIO"),
    "truncate": ("EIO", "ENOSPC"),
    "mkdir": ("ENOSPC", "EACCES"),
    "unlink": ("EIO", "EACCES"),
}
# {program: {kind: most calls that fail}}: of other kinds, all.
MOST = {
    "training": {"open": 8, "read": 4, "write": 6, "mkdir": 4, "unlink": 4},
    "blend": {"read": 3, "write": 6, "mkdir": 3, "unlink": 3},
    "search": {kind: 2 for kind in ANSWERS},
}


def chosen(name: str, kind: str, count: int) -> List[int]:
    """Return the numbers of the calls that fail: all, or the first, the last and a sample."""
    most = MOST[name].get(kind, count)
    if count <= most:
        return list(range(1, count + 1))
    sample = random.Random(f"{kind} 12").sample(range(2, count), most - 2)
    return [1, *sorted(sample), count]


def refusal(ended: Ended) -> str:
    """Return the one sentence that a refused command must end in."""
    lines = ended.output.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert "Traceback" not in ended.output and len(errors) == 1, ended.output
    assert errors == lines[-1:] and errors[0].endswith(".") and "; " in errors[0], ended.output
    return errors[0]


@pytest.mark.parametrize("name", MOST)
def test_a_call_that_fails_is_one_sentence_and_the_next_run_ends_in_the_same_bytes(
    name: str,
    scenarios: Dict[str, Scenario],
    runner: Runner,
    tmp_path: Path,
    state: Callable[[str], None],
) -> None:
    scenario = scenarios[name]
    failed: Dict[str, int] = collections.Counter()
    outcomes: Dict[str, int] = collections.Counter()
    started = time.monotonic()
    for kind, answers in ANSWERS.items():
        for number in chosen(name, kind, scenario.clean.counts[kind]):
            outcome = outcome_of(scenario, runner, tmp_path, kind, number, answers)
            outcomes[outcome] += 1
            failed[kind] += 1
    calls = ", ".join(
        f"{kind} {failed[kind]} of {count}"
        for kind, count in scenario.clean.counts.items()
        if count
    )
    state(
        f"{name}: {sum(failed.values())} calls failed once ({calls}): "
        f"{outcomes['refused']} refused in a sentence, {outcomes['harmless']} harmless,"
        f" all the same bytes afterwards; {time.monotonic() - started:.0f} s"
    )


def outcome_of(
    scenario: Scenario,
    runner: Runner,
    folder: Path,
    kind: str,
    number: int,
    answers: Tuple[str, ...],
) -> str:
    """Let one call fail, then run again; return "refused" or "harmless"."""
    answer = answers[number % len(answers)]
    where = f"{scenario.name}: {kind} {number} answers {answer}\n"
    submission = folder / "submission"
    arguments = scenario.begin(submission)
    fault = (kind, number, getattr(errno, answer))
    faulty = runner(Run(scenario.program, arguments, str(submission), fault))
    if faulty.code == 0:
        assert "Traceback" not in faulty.output, where + faulty.output
        assert tiny.results(submission) == scenario.results, where + faulty.output
    else:
        assert faulty.code == EXIT_REFUSED, where + faulty.output
        assert refusal(faulty), where
    scenario.require_same_end(runner, submission, where + faulty.output)
    shutil.rmtree(str(submission))
    return "refused" if faulty.code else "harmless"
