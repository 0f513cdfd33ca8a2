"""A container's run ends well when it is stopped. The engine is a shell script."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.process

# `docker stop` of a container that exists ends it with code 3, as a member does.
ENGINE = """#!/bin/sh
echo "$@" >> calls
case $1 in
  run) sleep {creation} > /dev/null 2>&1; touch running; echo up
       while [ -e running ]; do sleep 0.05; done; echo last line; exit {code};;
  stop) [ -e running ] || exit 1; rm running;;
  events) cat events;;
esac
"""


def start(folder: Path, creation: float, code: int = 3) -> subprocess.Popen:
    """Start a container whose creation takes some seconds."""
    engine = folder / "docker"
    engine.write_text(ENGINE.format(creation=creation, code=code))
    engine.chmod(0o755)
    return subprocess.Popen(
        [
            sys.executable,
            str(REPOSITORY / "launch" / "runtimes" / "container_run.py"),
            "me",
            "docker",
            "run",
        ],
        cwd=str(folder),
        env=dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def calls(folder: Path) -> List[str]:
    return (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_stop_ends_the_container_shows_its_last_lines_and_returns_its_code(tmp_path, number):
    process = start(tmp_path, creation=0)
    assert process.stdout.readline() == b"up\n"
    process.send_signal(number)
    assert process.communicate(timeout=20) == (b"last line\n", b"")
    assert process.returncode == 3
    assert calls(tmp_path) == ["run", "stop me", "rm --force me"]


def test_a_stop_before_the_container_exists_ends_compose_and_leaves_none(tmp_path: Path) -> None:
    process = start(tmp_path, creation=30)
    while not (tmp_path / "calls").exists():
        time.sleep(0.02)
    process.terminate()
    out, _ = process.communicate(timeout=20)
    assert out == b"" and process.returncode != 0
    assert calls(tmp_path) == ["run", "stop me", "rm --force me"]


def test_a_container_that_ends_by_itself_is_left_to_the_engine(tmp_path: Path) -> None:
    process = start(tmp_path, creation=0)
    assert process.stdout.readline() == b"up\n"
    (tmp_path / "running").unlink()
    assert process.communicate(timeout=20)[0] == b"last line\n"
    assert process.returncode == 3 and calls(tmp_path) == ["run"]


ENDINGS = {
    "killed for memory": (
        "start\noom\ndie\n",
        137,
        "ran out of memory",
        "8000 bytes (LEAP_MEMORY)",
    ),
    "a process in it killed for memory": ("start\noom\ndie\n", 1, "ran out of memory", "continues"),
    "killed by a user": ("start\nkill\ndie\n", 137, "was killed from outside", "continues"),
    "killed by nobody known": ("start\ndie\n", 137, "was killed (SIGKILL)", ""),
    "crashed": ("start\ndie\n", 139, "crashed (SIGSEGV)", ""),
    "never started": ("create\n", 125, "was not started (the lines above say why)", ""),
    "engine stopped": (
        "start\n",
        1,
        "was lost: its engine was stopped",
        "start it: the same command continues",
    ),
    "engine gone": (
        None,
        1,
        "was lost: the engine does not answer",
        "start it: the same command continues",
    ),
    "a failure of its own": ("start\ndie\n", 1, "ended with code 1", ""),
}


@pytest.mark.parametrize("case", list(ENDINGS))
def test_the_engine_is_asked_what_an_exit_code_means(tmp_path, monkeypatch, case) -> None:
    happened, code, words, remedy = ENDINGS[case]
    monkeypatch.setenv("LEAP_MEMORY", "8000")
    if happened is not None:
        (tmp_path / "events").write_text(happened)
    process = start(tmp_path, creation=0, code=code)
    assert process.stdout.readline() == b"up\n"
    (tmp_path / "running").unlink()
    complaint = process.communicate(timeout=20)[1].decode()
    assert process.returncode == code
    assert complaint.startswith(f"the container {words}") and remedy in complaint
