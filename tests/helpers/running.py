"""Which processes of a command are left: all inherit a mark in their environment."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Dict, List

import pytest

_VARIABLE = "LEAP_TEST_RUN"


def mark() -> Dict[str, str]:
    """Return a variable of the environment that only one command and its descendants have."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("processes are found through /proc")
    return {_VARIABLE: uuid.uuid4().hex}


def of(marked: Dict[str, str]) -> Dict[int, str]:
    """Return {process: command line} of what runs with the mark, zombies not counted."""
    entry = f"{_VARIABLE}={marked[_VARIABLE]}".encode()
    commands = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                commands[int(folder.name)] = b" ".join(words).decode("utf-8", "replace")
        except OSError:  # it has ended, or is another user's
            continue
    return commands


def left(marked: Dict[str, str], seconds: float) -> List[str]:
    """Return what still runs after so many seconds, [] as soon as nothing does."""
    deadline = time.monotonic() + seconds
    while of(marked) and time.monotonic() < deadline:
        time.sleep(0.05)
    return list(of(marked).values())
