"""The command as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Dict, Tuple

import pytest

from tests.conftest import REPOSITORY
from tests.fetch.disks import enough_disk
from tests.fetch.offers import (
    BASE,
    MONTH,
    PATHS,
    ROOT,
    TEST,
    StepMaker,
    half_way,
    offer_competition,
    offer_drive,
    offer_steps,
    one_large_file,
    put_on_disk,
)
from tests.fetch.user import MEMBERS, User, final_files, wait_until

pytestmark = pytest.mark.process


def test_a_reader_that_has_seen_enough_is_no_error_of_the_kit(user: User) -> None:
    process = user.start()
    assert process.stdout is not None
    process.stdout.close()  # long before its first line; a traceback would end it with code 1
    assert process.wait(timeout=60) == 3


def test_words_that_name_nothing_and_steps_without_months_are_refused(user: User) -> None:
    assert "WHAT: 'everything' cannot be fetched; choose from kaggle" in user.refuses(
        "--what", "everything"
    )
    assert "MONTHS: the months are not given" in user.refuses("--what", "statistics steps")
    assert "drop folder is missing" in user.refuses("--what", "drop")


def test_one_that_fails_does_not_stop_the_others(
    user: User, tiny_steps: Dict[str, bytes], published: Path
) -> None:
    enough_disk(user.home, 7.5e9)
    offer_steps(user.internet, tiny_steps)
    put_on_disk(user, tiny_steps, missing=4)
    offer_competition(user.internet)
    checkpoints = offer_drive(user)
    user.internet.raw = {
        BASE + path: (published / name).read_bytes() for name, path in PATHS.items()
    }
    user.internet.status["api.kaggle.com", ""] = 403
    text = user.refuses(
        "--what", "kaggle,steps,statistics,weights", "--months", MONTH, "--drive", ROOT
    )
    assert (
        final_files(user.steps / MONTH) == tiny_steps and final_files(user.weights) == checkpoints
    )
    assert len(final_files(user.raw / "statistics")) == 5 and text.count("error: ") == 1
    missing = [line for line in text.splitlines() if line.startswith("still missing: ")]
    assert sum("kaggle-data/" in line for line in missing) == 3 and not any(
        "statistics" in line for line in missing
    )


def test_too_small_a_disk_is_refused_before_anything_is_fetched(
    user: User, small_disk: Path
) -> None:
    offer_competition(user.internet)
    text = user.refuses("--what", "kaggle statistics steps", "--months", MONTH, raw=small_disk)
    for words in (
        "6.9 GB of test.csv",
        "6.1 GB of 4032 step files",
        "131 kB of mean.json",
    ):
        assert words in text, text
    assert not user.internet.contents() and not final_files(small_disk)


def test_ctrl_c_ends_it_in_one_sentence(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> None:
    name, content, _part, process = half_way(user, tiny_steps, large_steps)
    os.killpg(process.pid, signal.SIGINT)
    text = process.communicate(timeout=45)[0]  # though the server says nothing for 120 seconds
    user.internet.released.set()
    assert process.returncode == 3 and "Traceback" not in text, text
    assert text.rstrip().endswith(
        "stopped: what was finished is kept; the same command continues from there."
    )
    user.fetch("--what", "steps", "--months", MONTH)
    assert (user.steps / MONTH / name).read_bytes() == content


def test_two_at_a_time_are_refused(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> None:
    name, _ = one_large_file(user, tiny_steps, large_steps)
    user.internet.hold[name] = 700_000
    process = user.start("--what", "steps", "--months", MONTH)
    wait_until(lambda: (user.steps / MONTH / (".partial-" + name)).exists())
    assert "another `make fetch` is running there" in user.refuses("--what", "statistics")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def started(user: User, preparation: str, *arguments: str, **more: str) -> Tuple[int, str]:
    """Run fetch after some Python; return its exit code and output."""
    code = preparation + (
        "\nimport sys\nfrom fetch.__main__ import main\n"
        "from leapkit.core.errors import run_cli\nrun_cli(main, sys.argv[1:])"
    )
    command = [str(user.python), "-c", code, "--raw-data", str(user.raw), *arguments]
    for member in MEMBERS:
        command += ["--weights", f"{member}={user.weights}"]
    done = subprocess.run(
        command,
        env=user.environment(**more),
        cwd=str(user.home),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.returncode, done.stdout


def test_a_user_without_a_home_gets_no_folder_of_that_name(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    offer_competition(user.internet)
    nobody = "import pwd\ndef unknown(uid): raise KeyError(uid)\npwd.getpwuid = unknown"
    code, text = started(user, nobody, "--what", "kaggle", HOME="")
    assert code == 0 and len(final_files(user.raw)) == 3, text
    assert not (user.home / "~").exists() and not (user.raw / ".partial-fetch").exists()
    code, text = started(user, nobody, "--what", "drop", "--drop", "~/x", HOME="")
    assert code == 2 and "the drop folder is missing" in text


def test_a_file_system_without_locks_is_fetched_to(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    offer_competition(user.internet)
    without_locks = (
        "import errno, fcntl\n"
        "def refuse(*_): raise OSError(errno.ENOLCK, 'No locks available')\n"
        "fcntl.flock = refuse"
    )
    code, text = started(user, without_locks, "--what", "kaggle")
    assert code == 0 and len(final_files(user.raw)) == 3, text
    assert text.count("note: the file system at") == 1


@pytest.mark.parametrize("number", [1, 4, 9])
def test_a_file_that_cannot_be_removed_is_a_sentence_and_is_removed_by_the_next_run(
    user: User, number: int
) -> None:
    enough_disk(user.home, 7.5e9)
    offer_competition(user.internet)
    refuse = f"""
import errno, os
real, calls = os.unlink, []
def unlink(path, **options):
    if "raw_data" in str(path):
        calls.append(path)
        if len(calls) == {number}:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
    return real(path, **options)
os.unlink = os.remove = unlink
"""
    code, text = started(user, refuse, "--what", "kaggle")
    assert code in (0, 2) and (code == 0 or text.count("error: ") == 1), text
    user.fetch("--what", "kaggle")
    assert len(final_files(user.raw)) == 3 and not list(user.raw.rglob(".partial-*"))


def test_make_passes_everything_on(user: User, fetch_python: Path, tmp_path: Path) -> None:
    """Run `make fetch` through the launcher, with the variables that the README names."""
    checkpoints = offer_drive(user)
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "test.csv").write_bytes(TEST)
    variables = {"RAW_DATA": str(user.raw), "WEIGHTS": str(user.weights)}

    def make(**more: str) -> Tuple[int, str]:
        words = [f"{name}={value}" for name, value in dict(variables, **more).items()]
        env = user.environment(
            LEAP_VENVS=str(fetch_python.parent.parent.parent), PYTHON_3_11=sys.executable
        )
        done = subprocess.run(
            ["make", "fetch", "PYTHON=" + sys.executable] + words,
            cwd=str(REPOSITORY),
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        return done.returncode, done.stdout

    code, text = make()
    assert code == 0 and f"WHAT=kaggle RAW_DATA={user.raw} WEIGHTS={user.weights}" in text, text
    assert not user.raw.exists() and not user.internet.requests
    code, text = make(WHAT="weights drop", DRIVE=ROOT, DROP=str(tmp_path / "drop"))
    assert code == 2 and "still missing: max2020's checkpoints (1 of 35 present)" in text, text
    assert (
        final_files(user.weights) == checkpoints
        and (user.raw / "kaggle-data" / "test.csv").read_bytes() == TEST
    )
    code, text = make(WHAT="steps", MONTHS="0008-2")
    assert code == 2 and "MONTHS: '0008-2' is not a month" in text
