"""Each system call that durability rests on fails once: one sentence, and then the same bytes."""

from __future__ import annotations

import collections
import errno
import random
import shutil
import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Tuple

import pytest

from leapkit.core.errors import EXIT_REFUSED
from leapkit.core.layout import Results
from tests.faults import tiny
from tests.faults.forked_runs import Ended, Run, Runner
from tests.helpers.small_blend import Maker

pytestmark = pytest.mark.process

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
MOST = {"read": 8, "write": 16, "mkdir": 8, "unlink": 8}


class Scenario(NamedTuple):
    """A command, the folder that it starts from, and how it ends undisturbed."""

    program: str
    start: Path
    arguments: Callable[[Path], List[str]]
    clean: Ended
    results: Dict[str, str]


@pytest.fixture(scope="module")
def scenarios(
    tiny_world: Path, runner: Runner, tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, Scenario]:
    """Return each command after a counting run of it."""
    folder = tmp_path_factory.mktemp("clean")
    raw = tiny.without_truth(tiny_world, folder / "raw_data")
    (folder / "member-start").mkdir()
    Maker(tiny_world).all(Results(folder / "blend-start"), tiny.TWO, tiny.TWO)
    commands = {
        "member": lambda submission: tiny.reproduces(tiny_world, submission, tiny.TRAINED),
        "blend": lambda submission: tiny.blends(raw, submission),
    }
    scenarios = {}
    for program, arguments in commands.items():
        start = folder / f"{program}-start"
        submission = folder / program
        shutil.copytree(str(start), str(submission))
        clean = runner(Run(program, arguments(submission), str(submission)))
        assert clean.code == 0, clean.output
        made = tiny.results(submission)
        scenarios[program] = Scenario(program, start, arguments, clean, made)
    return scenarios


def chosen(kind: str, count: int) -> List[int]:
    """Return the numbers of the calls that fail: all, or the first, the last and a sample."""
    most = MOST.get(kind, count)
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


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("program", ["member", "blend"])
def test_a_call_that_fails_is_one_sentence_and_the_next_run_ends_in_the_same_bytes(
    program: str,
    kind: str,
    scenarios: Dict[str, Scenario],
    runner: Runner,
    tmp_path: Path,
    state: Callable[[str], None],
) -> None:
    scenario = scenarios[program]
    count = scenario.clean.counts[kind]
    outcomes: Dict[str, int] = collections.Counter()
    started = time.monotonic()
    for number in chosen(kind, count):
        answer = ANSWERS[kind][number % len(ANSWERS[kind])]
        submission = tmp_path / str(number)
        shutil.copytree(str(scenario.start), str(submission))
        arguments = scenario.arguments(submission)
        fault = (kind, number, getattr(errno, answer))
        faulty = runner(Run(program, arguments, str(submission), fault))
        where = f"{program}: {kind} {number} of {count} answers {answer}"
        if faulty.code == 0:
            assert "Traceback" not in faulty.output, where + faulty.output
            assert tiny.results(submission) == scenario.results, where
            outcomes["harmless"] += 1
        else:
            assert faulty.code == EXIT_REFUSED, where + faulty.output
            assert refusal(faulty), where
            outcomes["refused"] += 1
        again = runner(Run(program, arguments))
        assert again.code == 0, where + again.output
        assert tiny.results(submission) == scenario.results, where
        assert tiny.leftovers(submission) == [], where
        shutil.rmtree(str(submission))
    state(
        f"{program}: {count} calls of {kind}, {sum(outcomes.values())} failed once"
        f" ({outcomes['refused']} refused, {outcomes['harmless']} harmless)"
        f" in {time.monotonic() - started:.1f} s"
    )
