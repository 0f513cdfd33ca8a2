"""A Dask cluster that cannot write months says so in one sentence, within its time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

import pytest

from leapkit.worlds import cluster, month_arrays
from tests.helpers.refusals import refused

pytest.importorskip("distributed")
pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
KIT = {"PYTHONPATH": str(ROOT / "shared")}
WITHOUT = {"PYTHONPATH": ""}


@contextmanager
def running(program: str, arguments: List[str], variables: dict) -> Iterator[subprocess.Popen]:
    """Run a part of a cluster as a process of its own."""
    # A host's proxy or Dask's own settings have no say in what this test asks.
    environment = dict(os.environ, DASK_DISTRIBUTED__WORKER__DAEMON="False", **variables)
    process = subprocess.Popen(
        [sys.executable, "-m", program, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@contextmanager
def scheduler(folder: Path, variables: dict) -> Iterator[str]:
    """Run a scheduler; give its address."""
    file = folder / "scheduler.json"
    arguments = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"]
    with running(
        "distributed.cli.dask_scheduler", [*arguments, "--scheduler-file", str(file)], variables
    ):
        deadline = time.monotonic() + 30
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        yield json.loads(file.read_text())["address"]


@contextmanager
def worker(address: str, variables: dict) -> Iterator[subprocess.Popen]:
    arguments = [address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
    with running("distributed.cli.dask_worker", arguments, variables) as process:
        yield process


def store(tiny_world: Path, tmp_path: Path, address: str) -> int:
    steps = tiny_world / "ClimSim_low-res" / "train"
    arguments = ["--steps", str(steps), "--to", str(tmp_path / "rows"), "--months", "0008-07"]
    return month_arrays.main([*arguments, "--scheduler", address])


def test_a_scheduler_without_a_worker_is_one_sentence(
    tiny_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "SECONDS", 2.0)
    with scheduler(tmp_path, KIT) as address:
        with refused(address, "no worker was connected to the scheduler within 2 s", "dask worker"):
            store(tiny_world, tmp_path, address)


@pytest.mark.parametrize("lacking", ["scheduler", "worker"])
def test_a_part_of_the_cluster_without_the_kit_is_one_sentence(
    tiny_world: Path, tmp_path: Path, lacking: str
) -> None:
    of = {"scheduler": KIT, "worker": KIT, lacking: WITHOUT}
    with scheduler(tmp_path, of["scheduler"]) as address, worker(address, of["worker"]):
        with refused("leapkit.worlds.month_arrays", "No module named 'leapkit'", "pip install"):
            store(tiny_world, tmp_path, address)
    assert not list(tmp_path.glob("rows/*"))


def test_a_worker_that_hangs_is_one_sentence_and_one_that_works_writes_the_month(
    tiny_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scheduler(tmp_path, KIT) as address, worker(address, KIT) as process:
        assert store(tiny_world, tmp_path, address) == 0
        assert (tmp_path / "rows" / "0008-07.npy").exists()
        process.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(cluster, "SECONDS", 2.0)
        with refused(address, "a worker does not answer within 2 s"):
            store(tiny_world, tmp_path, address)
