"""One `apptainer exec` ends whole however it ends. The program is a shell script."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, List

import pytest

from tests.conftest import REPOSITORY
from tests.helpers import running

pytestmark = pytest.mark.process

# Like Apptainer, it leaves a helper in its session, and passes a pause on to what runs inside.
PROGRAM = """
echo $APPTAINERENV_CUDA_VISIBLE_DEVICES ${APPTAINER_BIND:-unbound}; ls -d "$APPTAINER_WORKDIR"
trap 'echo paused; exit 75' USR1
trap 'echo stopped; exit 3' TERM
sleep 98 &
echo up
wait
"""


def start(tmp_path: Path, script: str = PROGRAM) -> subprocess.Popen[Any]:
    own = {"CUDA_VISIBLE_DEVICES": "3", "APPTAINER_BIND": "/scratch", "TMPDIR": str(tmp_path)}
    return subprocess.Popen(
        [
            sys.executable,
            str(REPOSITORY / "launch" / "runtimes" / "apptainer_run.py"),
            "sh",
            "-c",
            script,
        ],
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def lines(process: subprocess.Popen[Any]) -> List[str]:
    return [process.stdout.readline().decode().strip() for _ in range(3)]


ENDS = {
    "stop": (signal.SIGTERM, b"stopped\n", 3),
    "Ctrl-C": (signal.SIGINT, b"stopped\n", 3),
    "pause": (signal.SIGUSR1, b"paused\n", 75),
}


@pytest.mark.parametrize("case", list(ENDS))
def test_a_stop_and_a_pause_reach_the_container_whose_code_is_returned(tmp_path, case):
    number, words, code = ENDS[case]
    process = start(tmp_path)
    said = lines(process)
    assert said[0] == "3 unbound" and said[2] == "up"
    assert Path(said[1]).parent == tmp_path
    process.send_signal(number)
    # Its pipes are closed: what was left of its session has been ended.
    assert process.stdout.readline() == words and process.wait(10) == code
    assert not list(tmp_path.iterdir())


def test_a_runner_that_is_killed_takes_the_container_with_it(tmp_path: Path) -> None:
    mark = running.mark()
    os.environ.update(mark)
    try:
        process = start(
            tmp_path, "trap 'exit 3' TERM; sleep 97 & echo; echo; echo up; wait; kill %1"
        )
    finally:
        os.environ.pop(next(iter(mark)))
    lines(process)
    process.kill()
    process.wait(10)
    deadline = time.monotonic() + 10
    while any("trap" in line for line in running.of(mark).values()):
        assert time.monotonic() < deadline, running.of(mark)
        time.sleep(0.05)
    for pid in running.of(mark):  # the script's own helper, which only Apptainer would end
        os.kill(pid, signal.SIGKILL)


def test_a_container_that_is_killed_is_said_to_be_and_its_helpers_end(tmp_path: Path) -> None:
    process = start(tmp_path, "sleep 96 & kill -9 $$")
    _, errors = process.communicate(timeout=10)  # ends as soon as the helper does
    assert process.returncode == 137
    assert b"the container was killed (SIGKILL)" in errors
