"""One network's processes: whatever ends one ends all, and any number goes on from its state."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np
import pytest

from leapkit.core import file_lock, receipts
from leapkit.core.layout import Results
from tests.conftest import REPOSITORY
from tests.helpers import running, small_run

pytest.importorskip("torch")

from leapkit.data import checkpoints
from leapkit.run import devices, torchrun

pytestmark = pytest.mark.process

EVALUATION = "leapkit.run.training._keep"
# What ends a run of two processes, its exit code, and the one line that says why.
ENDINGS = {
    f"1@{EVALUATION}:2:SIGKILL": (2, "error: adam: process 2 of 2 was killed (SIGKILL)"),
    f"0@{EVALUATION}:1:SIGKILL:parent": (-9, ""),
    f"0@{EVALUATION}:1:SIGTERM:parent": (3, "stopped: what was finished is kept"),
    f"0@{EVALUATION}:1:SIGUSR1:parent": (75, "paused: the same command continues"),
}


class Ended:
    """A command that has ended: its exit code, what it printed, and what it left running."""

    def __init__(self, moment: str, arguments: List[str]) -> None:
        mark = running.mark()
        helper = REPOSITORY / "tests" / "helpers" / "small_run.py"
        paths = f"{REPOSITORY / 'shared'}:{REPOSITORY}"
        done = subprocess.run(
            [sys.executable, str(helper), moment, *arguments],
            env={**os.environ, **mark, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.code = done.returncode
        self.left = running.left(mark, 20)
        self.output = done.stdout
        noise = ("training ", "reading ", "predicting", "[W")
        self.errors = [line for line in done.stderr.splitlines() if not line.startswith(noise)]


def tensors(submission: Path) -> Dict[str, np.ndarray]:
    file = Results(submission).experiment("adam", "200") / "200.pt"
    return dict(checkpoints.read_tensors(file))


@pytest.fixture(scope="module")
def one_process(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    submission = tmp_path_factory.mktemp("one")
    assert small_run.run(small_run.arguments("reproduce", tiny_world, submission)) == 0
    return submission


def test_whatever_ends_a_process_ends_all_and_another_number_goes_on(
    tiny_world: Path, tmp_path: Path, one_process: Path
) -> None:
    """To what one process gives; every ending leaves one sentence and no process."""
    arguments = small_run.arguments("reproduce", tiny_world, tmp_path)
    for moment, (code, sentence) in ENDINGS.items():
        ended = Ended(moment, [*arguments, "--gpus", "2"])
        assert (ended.code, ended.left) == (code, []), (moment, ended.output, ended.errors)
        assert len(ended.errors) == bool(sentence), (moment, ended.errors)
        assert "".join(ended.errors).startswith(sentence), moment
    assert small_run.run(arguments) == 0
    expected = tensors(one_process)
    for name, tensor in tensors(tmp_path).items():
        np.testing.assert_allclose(tensor, expected[name], rtol=0, atol=1e-4)
    receipt = receipts.read(Results(tmp_path).experiment("adam", "200") / "200.pt")
    numbers = [e.get("processes", 1) for e in receipt["details"]["environments"]]
    assert numbers == [2, 1]


def test_a_refusal_of_the_first_process_is_one_sentence_and_ends_the_others(
    tiny_world: Path, tmp_path: Path
) -> None:
    folder = Results(tmp_path).experiment("adam", "200")
    with file_lock.hold(folder / ".lock"):
        arguments = small_run.arguments("reproduce", tiny_world, tmp_path, "--gpus", "2")
        ended = Ended("", arguments)
    assert (ended.code, ended.left) == (2, [])
    assert ended.errors == [
        f"error: {folder}: another run is at work here; wait for it or stop it."
    ]


@pytest.mark.parametrize(
    "codes, said",
    [
        ({0: 2, 1: 4}, 2),  # the first process has printed its error, the second lost it
        ({0: 4, 1: 3}, 3),
        ({0: 75, 1: 4}, 75),
        ({1: -10}, 75),  # SIGUSR1 before there was anything to save
        ({0: 4, 1: -9}, "process 2 of 2 was killed"),
        ({0: -15, 1: -9}, "process 2 of 2 was killed"),  # torchrun has ended the first
        ({1: -15}, "process 2 of 2 was ended by SIGTERM"),
        ({0: 2, 1: 1}, "process 2 of 2 ended with code 1"),
        ({0: 4, 1: 4}, "process 1 of 2 lost the others"),
    ],
)
def test_the_reason_of_an_end_is_that_of_the_process_that_ended_first(codes, said) -> None:
    class Failure:
        def __init__(self, exitcode: int) -> None:
            self.exitcode = exitcode

    failures = {rank: Failure(code) for rank, code in codes.items()}
    if isinstance(said, int):
        assert torchrun._exit_code("adam", failures, 2) == said
    else:
        with pytest.raises(torchrun.KitError, match=said):
            torchrun._exit_code("adam", failures, 2)


@pytest.mark.parametrize("seen, refused", [(["0", "1"], False), (["GPU-a"], True)])
def test_more_processes_than_gpus_are_refused(
    monkeypatch: pytest.MonkeyPatch, seen: List[str], refused: Optional[bool]
) -> None:
    monkeypatch.setattr(devices, "obstacle_to_gpu", lambda: "")
    monkeypatch.setattr(devices, "gpus", lambda: seen)
    torchrun._require_gpus(2, "cpu")
    if refused:
        with pytest.raises(torchrun.KitError, match="GPUS=2: only 1 can be seen"):
            torchrun._require_gpus(2, "auto")
    else:
        torchrun._require_gpus(2, "auto")
