"""What the whole runs share: `make` and its output, whether an engine answers, scores, files."""

from __future__ import annotations

import json
import os
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Dict, Optional

import pytest

from tests.conftest import REPOSITORY


@lru_cache(maxsize=None)
def engine_problem() -> str:
    """Return why the docker tests cannot run, or ""."""
    from launch.settings import runtime

    choice = runtime()
    return "" if choice.value == "docker" else choice.reason


RUNTIMES = ["venv", pytest.param("docker", marks=pytest.mark.docker)]


def environment() -> Dict[str, str]:
    """Return the environment of a command in a fresh copy: without what make and pytest added."""
    added = ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "LEAP_PARENT")
    env = {name: value for name, value in os.environ.items() if name not in added}
    env["LEAP_VENVS"] = os.environ.get("LEAP_VENVS", str(REPOSITORY / ".venvs"))
    return env


def make(clone: Path, target: str, code: Optional[int] = 0, **variables: str) -> str:
    """Run make and return what it printed; assert the exit code (None: any but 0)."""
    done = subprocess.run(
        ["make", target] + [f"{name}={value}" for name, value in variables.items()],
        cwd=str(clone),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    text = done.stdout.decode("utf-8", "replace")
    print(text[-8000:])
    assert (done.returncode != 0) if code is None else (done.returncode == code), text[-3000:]
    return text


def scores(submission: Path, blend: str = "searched") -> Dict[str, float]:
    """Return {name: R2 over the 292 columns} of a blend's score table."""
    rows = json.loads((submission / "blend" / (f"scores_{blend}.json")).read_text())
    return {row["name"]: row["predicted"] for row in rows}


def modification_times(folder: Path) -> Dict[str, int]:
    """Return {path: time} of all files but caches."""
    return {
        str(p): p.stat().st_mtime_ns
        for p in folder.rglob("*")
        if p.is_file() and ".cache" not in p.parts
    }
