"""How far a run is, in a file that others read."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict

import pytest

from leapkit.core import run_progress
from leapkit.core.run_progress import Progress, Recorder

HALF = Progress(done=50, total=100, parts=1, resumed=10, began=1000.0, updated=1080.0)


def test_a_rate_is_that_of_the_process_that_goes_on() -> None:
    assert HALF.fraction == 0.5
    assert HALF.seconds_each == 2.0  # 40 steps in 80 s: the first ten were another process's
    assert HALF.seconds_left == 100.0 and HALF.seconds_of_part == 200.0


def test_progress_is_written_when_it_is_due_and_not_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "195.progress.json"
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "time", lambda: 5000.0 + clock[0])
    recorder = Recorder(path, 100, 10, parts=7)
    for step in range(29):
        clock[0] = step + 1.0
        recorder.add(1)
    assert not path.exists()
    clock[0] = 40.0
    recorder.add(1)
    assert run_progress.read(path) == Progress(40, 100, 7, 10, 5000.0, 5040.0)
    clock[0] = 50.0
    recorder.add(1)
    assert run_progress.read(path) == Progress(40, 100, 7, 10, 5000.0, 5040.0)
    Recorder(path, 100, 40)  # the next process has no rate yet
    assert list(tmp_path.iterdir()) == []
    recorder.remove()


def test_a_run_goes_on_where_its_progress_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_progress, "WRITE_EVERY", 0.0)
    (tmp_path / "file").touch()
    Recorder(tmp_path / "file" / "195.progress.json", 100, 0).add(1)


@pytest.mark.parametrize(
    "change",
    [
        {"done": 10},  # nothing done since: no rate
        {"done": 101},
        {"done": "50"},
        {"updated": 1000.0},
        {"parts": 0},
        {"parts": None},
    ],
)
def test_what_tells_of_no_rate_is_no_progress(tmp_path: Path, change: Dict[str, Any]) -> None:
    path = tmp_path / "x.progress.json"
    path.write_text(json.dumps(asdict(HALF)))
    assert run_progress.read(path) == HALF
    path.write_text(json.dumps({**asdict(HALF), **change}))
    assert run_progress.read(path) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", "7", '{"done": 1', "\x00"])
def test_a_damaged_file_is_no_progress(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.progress.json"
    path.write_text(content)
    assert run_progress.read(path) is None
    assert run_progress.read(tmp_path / "missing.json") is None
