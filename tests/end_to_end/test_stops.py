"""However `make` is stopped, nothing goes on without it, and the same command continues."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, List

import pytest

from tests.end_to_end.commands import environment, make
from tests.helpers import running

pytestmark = pytest.mark.end_to_end

SECONDS = 10.0  # until everything has ended, on a machine that is busy with other tests


class Run:
    """`make zuiye` without containers: two networks, a process each."""

    def __init__(self, clone: Path, variables: List[str], log: Path) -> None:
        self.mark = running.mark()
        with open(log, "wb") as output:
            self.make = subprocess.Popen(
                ["make", "zuiye", *variables],
                cwd=str(clone),
                env={**environment(), **self.mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        while b"training rows of" not in log.read_bytes():
            assert self.make.poll() is None, log.read_text()
            time.sleep(0.05)
        assert b"another run is at work" not in log.read_bytes()

    def pids(self, words: str) -> List[int]:
        """Return the processes whose command lines hold `words`, the oldest first."""
        return sorted(pid for pid, line in running.of(self.mark).items() if words in line)

    def send(self, number: signal.Signals, whom: str) -> None:
        """Send a signal to make, to its whole group, to the launcher or to the member."""
        if whom == "group":
            os.killpg(self.make.pid, number)
        else:
            words = {"make": "make zuiye", "launcher": "-m launch", "member": "-m members."}
            os.kill(self.pids(words[whom])[0], number)


STOPS = [
    ("make", [signal.SIGKILL]),
    ("group", [signal.SIGTERM, signal.SIGTERM, signal.SIGINT]),
    ("launcher", [signal.SIGKILL]),
    ("member", [signal.SIGKILL]),
]


def test_a_stop_of_any_kind_ends_every_process_and_the_same_command_continues(
    clone: Path, tiny_world: Path, tmp_path: Path
) -> None:
    chosen: Dict[str, str] = {
        "RUNTIME": "venv",
        "STACK": "modern",
        "PROFILE": "sample",
        "RAW_DATA": str(tiny_world),
        "SUBMISSION": str(tmp_path / "submission"),
    }
    for whom, numbers in STOPS:
        run = Run(clone, [f"{name}={value}" for name, value in chosen.items()], tmp_path / "log")
        for number in numbers:
            run.send(number, whom)
            time.sleep(0.05)
        assert run.make.wait(SECONDS) != 0, (whom, numbers)
        assert running.left(run.mark, SECONDS) == [], (whom, numbers)
    assert "was killed (SIGKILL)" in (tmp_path / "log").read_text()
    make(clone, "zuiye", **chosen)
    assert (tmp_path / "submission" / "subs" / "zuiye_B.parquet").exists()
