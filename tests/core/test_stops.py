"""The processes of a pool end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leapkit.core import stops
from tests.conftest import REPOSITORY
from tests.helpers import running

POOL = r"""
import os, time
from concurrent.futures import ProcessPoolExecutor
from leapkit.core import stops
from leapkit.core.errors import run_cli
def work(number):
    os.write(1, b"up\n")
    time.sleep(60)
def main(argv):
    with ProcessPoolExecutor(2, initializer=stops.worker, initargs=(os.getpid(),)) as pool:
        try:
            list(pool.map(work, range(8)))
        except KeyboardInterrupt:
            stops.end_workers()
            raise
run_cli(main)
"""


@pytest.mark.process
@pytest.mark.parametrize("to_group", [False, True])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_pool(tmp_path: Path, number: signal.Signals, to_group: bool):
    (tmp_path / "pool.py").write_text(POOL)
    mark = running.mark()
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "pool.py")],
        env={**os.environ, **mark, "PYTHONPATH": str(REPOSITORY / "shared")},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == [b"up\n"] * 2
    time.sleep(0.3)  # until it waits for them
    os.kill(-process.pid if to_group else process.pid, number)
    assert process.wait(timeout=20) != 0
    assert running.left(mark, 10) == []


def test_stops_are_collected_and_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stops.collected() as stopping:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGQUIT)
            os.kill(os.getpid(), signal.SIGTERM)
        assert sorted(stopping) == sorted([signal.SIGQUIT, signal.SIGTERM])
    finally:
        signal.signal(signal.SIGHUP, before)
