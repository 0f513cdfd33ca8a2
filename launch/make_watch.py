"""Stop when the `make` that started the launcher is stopped.

GNU make passes SIGTERM on to its recipes. At the other stops it counts on the terminal, which tells
every process; told alone, it waits for its recipe to end. Its handler begins by giving the signal
its default action back, and that can be read where there is a /proc.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

from leapkit.core import stops

SECONDS = 0.3  # between two looks


def start() -> None:
    """Look at the process that LEAP_PARENT names, in a thread that ends with this process."""
    parent = os.environ.get(stops.PARENT, "")
    if parent == str(os.getppid()):
        threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()


def _watch(make: int) -> None:
    """Stop this process as soon as `make` has met a stop."""
    before = caught(make)
    while before and os.getppid() == make:
        now = caught(make)
        if any(before & ~now & 1 << (number - 1) for number in stops.SIGNALS):
            os.kill(os.getpid(), signal.SIGTERM)
            return
        time.sleep(SECONDS)


def caught(process: int) -> int:
    """Return the signals that a process handles, a bit each; 0 if that cannot be read."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    match = re.search(r"^SigCgt:\s*([0-9a-f]+)$", text, flags=re.M)
    return int(match.group(1), 16) if match else 0
