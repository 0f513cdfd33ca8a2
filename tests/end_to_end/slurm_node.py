"""A real Slurm of one node for whole runs: what it is asked, and what its jobs did."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Sequence

import pytest

from tests.conftest import REPOSITORY

SCRIPT = REPOSITORY / "containers" / "slurm-node"
UNFINISHED = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED")
SECONDS = 500.0  # for all jobs of a submission, beside other tests on a busy machine


def start() -> Dict[str, str]:
    """Return the variables that lead to the node, which is started first; skip without Slurm."""
    missing = [name for name in ("slurmctld", "slurmd", "munged") if not _which(name)]
    if missing:
        pytest.skip(f"no Slurm: {missing[0]} is not installed (containers/slurm-node start)")
    if os.getuid():
        pytest.skip("a Slurm node is started by root")
    subprocess.run([str(SCRIPT), "start"], check=True, stdin=subprocess.DEVNULL)
    text = subprocess.run([str(SCRIPT), "env"], check=True, stdout=subprocess.PIPE).stdout.decode()
    return {"SLURM_CONF": text.strip().partition("=")[2]}


def _which(name: str) -> bool:
    return bool(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"))


def ask(*command: str) -> str:
    return subprocess.run(list(command), check=True, stdout=subprocess.PIPE).stdout.decode()


def ids_in(printed: str) -> Dict[str, str]:
    """Return {job: id} of the table that `make slurm SUBMIT=1` ends with."""
    rows = printed[printed.index("\njob  ") :].splitlines()[2:]
    table = [row for row in rows if row.endswith(".log")]
    return {row[:28].strip(): row[28:].split()[0] for row in table}


def states(ids: Sequence[str]) -> Dict[str, str]:
    """Return {id, as 17 or 17_3: state} of jobs, also of those that have just ended."""
    text = ask(
        *("squeue", "--noheader", "--array", "--states=all", "--format=%i %T"),
        "--jobs=" + ",".join(ids),
    )
    return dict(line.split() for line in text.splitlines())  # type: ignore[misc]


def ended(ids: Sequence[str]) -> Dict[str, str]:
    """Return the states of jobs when all have ended."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = states(ids)
        if not any(state in UNFINISHED for state in found.values()):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.25)


def wait_for_line(log: Path, words: str) -> None:
    """Wait until a job has printed some words."""
    deadline = time.monotonic() + SECONDS
    while not (log.exists() and words in log.read_text(errors="replace")):
        assert time.monotonic() < deadline, f"{log} has no {words!r}"
        time.sleep(0.02)


def processes(*words: str) -> List[int]:
    """Return the processes of Python whose command lines hold all of some words."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:  # it has ended
            continue
        if re.match(r"\S*python", line) and all(word in line for word in words):
            found.append(int(folder.name))
    return found
