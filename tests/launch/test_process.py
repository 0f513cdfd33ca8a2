"""One command, started and waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launch import process
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.process

COMMAND = """
import signal, sys, time
from pathlib import Path
def stop(*_):
    time.sleep(0.3)
    Path(sys.argv[1]).write_text("cleaned up")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, lambda *_: Path(sys.argv[1]).write_text("reached twice"))
print("ready", flush=True)
time.sleep(60)
"""
LAUNCHER = """
import os, sys
from launch import process
from leapkit.core.errors import run_cli
run_cli(lambda argv: process.run([sys.executable, "-c", argv[0], argv[1]], os.environ))
"""


def test_the_exit_code_is_that_of_the_command() -> None:
    assert process.run([sys.executable, "-c", "raise SystemExit(7)"], os.environ) == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_of_the_launcher_reaches_the_command_once_and_its_clean_up_is_waited_for(
    tmp_path: Path, number: int
) -> None:
    done = tmp_path / "done"
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, COMMAND, str(done)],
        cwd=str(REPOSITORY),
        env=dict(os.environ, PYTHONPATH="shared:."),
        stdout=subprocess.PIPE,
        start_new_session=True,
        # A shell's background job ignores SIGINT, and so would the launcher.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert launcher.stdout is not None and launcher.stdout.readline() == b"ready\n"
    time.sleep(0.1)
    # As a terminal does: to every process of the foreground group.
    os.killpg(launcher.pid, number)
    assert launcher.wait(timeout=20) == 3
    assert done.read_text() == "cleaned up"
