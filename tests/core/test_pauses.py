"""A pause is a request until a boundary; jobs side by side get it and end with its code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leapkit.core import exit_codes, pauses
from leapkit.core.errors import run_cli

ROOT = Path(__file__).resolve().parents[2]


def test_a_request_lasts_as_long_as_it_is_listened_for() -> None:
    before = signal.getsignal(pauses.SIGNAL)
    assert not pauses.requested()
    with pauses.listening():
        assert not pauses.requested()
        os.kill(os.getpid(), pauses.SIGNAL)
        assert pauses.requested()
        with pauses.listening():  # what runs jobs inside a member that was asked before
            assert pauses.requested()
        assert pauses.requested()
    assert not pauses.requested() and signal.getsignal(pauses.SIGNAL) == before


def test_a_paused_command_says_so_and_ends_with_a_code_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main(argv: list[str]) -> int:
        raise pauses.Paused

    with pytest.raises(SystemExit) as ended:
        run_cli(main, [])
    assert ended.value.code == exit_codes.PAUSED == 75
    assert "paused: the same command continues" in capsys.readouterr().err
    assert "was paused" in exit_codes.sentence(75)


JOBS = """
import sys
from leapkit.core.errors import run_cli
from leapkit.core.job_runner import Job, run
script = "trap 'exit 75' USR1; touch $0; while :; do sleep 0.05; done"
jobs = [
    Job("trains", ["sh", "-c", script, sys.argv[1] + "/trains"]),
    Job("starts", ["sh", "-c", "touch $0; exec sleep 60", sys.argv[1] + "/starts"]),
    Job("child", ["touch", sys.argv[1] + "/child"], ["trains"]),
]
run_cli(lambda argv: run(jobs), [])
"""


@pytest.mark.process
def test_jobs_side_by_side_are_all_paused_and_no_other_starts(tmp_path: Path) -> None:
    """One saves its work; one has not begun to listen, and the signal ends it."""
    runner = subprocess.Popen(
        [sys.executable, "-c", JOBS, str(tmp_path)],
        env=dict(os.environ, PYTHONPATH=str(ROOT / "shared")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + 20
    while not ((tmp_path / "trains").exists() and (tmp_path / "starts").exists()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.1)
    runner.send_signal(pauses.SIGNAL)
    output = runner.communicate(timeout=20)[0].decode()
    assert runner.returncode == exit_codes.PAUSED, output
    assert {path.name for path in tmp_path.iterdir()} == {"trains", "starts"}
