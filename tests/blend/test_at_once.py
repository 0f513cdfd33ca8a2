"""Blends that start at once in one folder wait for each other, and all end in the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
from leapkit.core import file_lock
from leapkit.core.layout import Results
from tests.conftest import REPOSITORY
from tests.helpers.small_blend import V10, Maker

pytestmark = pytest.mark.process


def start(maker: Maker, results: Results, *arguments: str) -> subprocess.Popen:
    path = os.pathsep.join(str(REPOSITORY / folder) for folder in ("shared", "."))
    folders = ["--raw-data", str(maker.raw.root), "--submission", str(results.root)]
    return subprocess.Popen(
        [sys.executable, "-m", "blend", *arguments, *folders],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(processes: List[subprocess.Popen]) -> List[str]:
    """Return the outputs of processes, all of which must end in code 0."""
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return outputs


def products(results: Results) -> Dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in results.blend.iterdir()
        if path.is_file() and not path.name.endswith(".receipt.json")
    }


def test_three_blends_at_once_all_end_well_and_in_the_bytes_of_one_alone(
    maker: Maker, sixteen: Results, tmp_path: Path
) -> None:
    table = tmp_path / "half.csv"
    table.write_text(f"artifact,weight\n{V10[0]},0.5\n{V10[6]},0.5\n")
    alone = Results(tmp_path / "alone")
    alone.root.mkdir()
    alone.subs.symlink_to(sixteen.subs)
    ended([start(maker, alone, "run", "--table", str(table))])
    outputs = ended([start(maker, sixteen, "run", "--table", str(table)) for _ in range(3)])
    assert products(sixteen) == products(alone)
    assert not list(sixteen.root.rglob(".partial-*"))
    waiting = f"waiting: another blend is at work in {sixteen.blend}"
    assert sum(waiting in output for output in outputs) == 2
    assert sum("blend half   runs: not made yet" in output for output in outputs) == 1
    assert sum("blend half   is skipped" in output for output in outputs) == 2


def test_a_blend_waits_for_the_one_that_holds_the_folder(maker: Maker, sixteen: Results) -> None:
    with file_lock.hold(sixteen.blend / ".cache" / "lock"):
        processes = [
            start(maker, sixteen, "run"),
            start(maker, sixteen, "verify", "--artifacts", V10[0]),
        ]
        for process in processes:
            assert process.stdout and "waiting: " in process.stdout.readline()
        assert not products(sixteen)
    ended(processes)
