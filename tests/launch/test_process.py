"""One command, started and waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import pytest

from launch import process
from tests.conftest import REPOSITORY
from tests.helpers import running

pytestmark = pytest.mark.process

# A member, as far as stops go: it cleans up for a while, and a second stop would break that.
COMMAND = """
import sys, time
from pathlib import Path
from leapkit.core.errors import run_cli
def main(argv):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        time.sleep(0.3)
        Path(argv[0]).write_text("cleaned up")
run_cli(main)
"""
LAUNCHER = """
import os, sys
from launch import make_watch, process
from leapkit.core.errors import run_cli
def main(argv):
    make_watch.start()
    return process.run([sys.executable, "-c", argv[0], argv[1]], os.environ)
run_cli(main)
"""
# Each of the four stops reaches each of those that it can reach; some reach them more than once.
STOPS = [
    ("make", [signal.SIGINT]),
    ("make", [signal.SIGTERM]),
    ("make", [signal.SIGHUP]),
    ("make", [signal.SIGQUIT]),
    ("make", [signal.SIGTERM, signal.SIGTERM]),
    ("make", [signal.SIGKILL]),
    ("launcher", [signal.SIGINT]),
    ("launcher", [signal.SIGTERM]),
    ("launcher", [signal.SIGHUP]),
    ("launcher", [signal.SIGQUIT]),
    ("launcher", [signal.SIGTERM, signal.SIGTERM, signal.SIGINT]),
    ("launcher", [signal.SIGKILL]),
    ("group", [signal.SIGINT]),
    ("group", [signal.SIGTERM]),
    ("group", [signal.SIGHUP]),
    ("group", [signal.SIGQUIT]),
]


def test_the_exit_code_is_that_of_the_command() -> None:
    assert process.run([sys.executable, "-c", "raise SystemExit(7)"], os.environ) == 7


def test_a_command_that_was_killed_is_called_killed_and_its_code_is_a_shells(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert process.run(["sh", "-c", "kill -KILL $$"], os.environ) == 128 + signal.SIGKILL
    assert "the command was killed (SIGKILL); if you did not do it, the memory ran out" in (
        capfd.readouterr().err
    )


@pytest.mark.parametrize("whom, numbers", STOPS)
def test_a_stop_reaches_the_command_once_and_its_clean_up_is_waited_for(
    tmp_path: Path, whom: str, numbers: List[signal.Signals]
) -> None:
    (tmp_path / "Makefile").write_text(
        'all:\n\t@LEAP_PARENT=$$PPID exec $(PYTHON) -c "$$LAUNCHER" "$$COMMAND" done\n'
    )
    mark = running.mark()
    make = subprocess.Popen(
        ["make", f"--file={tmp_path / 'Makefile'}", f"PYTHON={sys.executable}"],
        cwd=str(tmp_path),
        env={
            **os.environ,
            **mark,
            "LAUNCHER": LAUNCHER,
            "COMMAND": COMMAND.replace("argv[0]", repr(str(tmp_path / "done"))),
            "PYTHONPATH": f"{REPOSITORY / 'shared'}:{REPOSITORY}",
        },
        stdout=subprocess.PIPE,
        start_new_session=True,
        # A shell's background job ignores SIGINT, and so would the launcher.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert make.stdout is not None and make.stdout.readline() == b"ready\n"
    [launcher] = [pid for pid, line in running.of(mark).items() if "make_watch" in line]
    for number in numbers:
        # As a terminal does: to every process of the foreground group.
        os.kill({"make": make.pid, "group": -make.pid, "launcher": launcher}[whom], number)
        time.sleep(0.05)
    assert make.wait(timeout=20) != 0
    assert running.left(mark, 20) == []
    assert (tmp_path / "done").read_text() == "cleaned up"


def test_what_is_told_to_ignore_a_closed_terminal_goes_on(tmp_path: Path) -> None:
    mark = running.mark()
    command = COMMAND.replace("argv[0]", repr(str(tmp_path / "done"))).replace("60", "0.5")
    launcher = subprocess.Popen(
        ["nohup", sys.executable, "-c", LAUNCHER, command, ""],
        env={**os.environ, **mark, "PYTHONPATH": f"{REPOSITORY / 'shared'}:{REPOSITORY}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert launcher.stdout is not None and launcher.stdout.readline() == b"ready\n"
    os.killpg(launcher.pid, signal.SIGHUP)
    assert launcher.wait(timeout=20) == 0
    assert (tmp_path / "done").read_text() == "cleaned up"
