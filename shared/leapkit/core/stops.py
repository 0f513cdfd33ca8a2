"""Stops: Ctrl-C, SIGTERM, a terminal that closes, and the end of the process that started this one.

A command stops what it started and waits for it, however it is stopped itself, so that no training
goes on that nobody sees. A signal that is ignored from the start, as `nohup` does with SIGHUP, is
no stop.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, Union

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
PARENT = "LEAP_PARENT"  # the process whose end is a stop
GRACE = 60.0  # seconds from a stop to SIGKILL
CONTAINERS_GRACE = 45.0  # as in compose.yaml: who stops a container must not be killed meanwhile
POLL = 0.05  # seconds
SAME = 1.0  # seconds in which stops count as one
_PR_SET_PDEATHSIG = 1


def handle(handler: Union[Callable[..., object], signal.Handlers]) -> None:
    """Give every stop a handler, unless it is ignored from the start."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def interrupt() -> None:
    """Let every stop raise KeyboardInterrupt.

    One stop may come several times at once: to the group and from make, or by Linux for each thread
    of a parent that was killed. The clean-up is not disturbed by that.
    """
    last = float("-inf")

    def handler(*_: object) -> None:
        nonlocal last
        previous, last = last, time.monotonic()
        if last - previous > SAME:
            raise KeyboardInterrupt

    handle(handler)


def ignore() -> None:
    """Ignore every further stop: the first one has done its work and this process ends."""
    handle(signal.SIG_IGN)


@contextlib.contextmanager
def collected() -> Iterator[List[int]]:
    """Collect stops in a list instead of raising: an exception could come anywhere.

    Between the start of a process and its record, or while another stop is being obeyed, it would
    leave the process behind.
    """
    stops: List[int] = []
    previous = {number: signal.getsignal(number) for number in SIGNALS}
    handle(lambda number, _: stops.append(number))
    try:
        yield stops
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def wait(process: subprocess.Popen[Any], stops: List[int], grace: float = GRACE) -> int:
    """Wait for a process and return its exit code; at the first stop tell it to end.

    It is killed if it has not ended `grace` seconds later.
    """
    while process.poll() is None and not stops:
        time.sleep(POLL)
    if stops:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def of_a_child(env: Mapping[str, str]) -> Dict[str, str]:
    """Return the environment of a process whose end must follow from that of this one."""
    return {**env, PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """Make the end of the process that LEAP_PARENT names a stop of this one, if it started it.

    A launcher that is killed with SIGKILL can stop nothing itself. Linux does it instead; other
    systems have no such call. Raises KeyboardInterrupt if that process has ended already.
    """
    parent = os.environ.get(PARENT, "")
    if parent and not end_with(int(parent)):
        raise KeyboardInterrupt


def worker(parent: int) -> None:
    """Prepare a process of a pool, whose queue tells it nothing of its parent's end."""
    handle(signal.SIG_IGN)  # a terminal's stop reaches the parent too, which ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if not end_with(parent):
        sys.exit()


def end_workers() -> None:
    """End the processes of this process's pools, whatever they are at."""
    for process in multiprocessing.active_children():
        process.terminate()


def end_with(parent: int) -> bool:
    """Let Linux send this process SIGTERM when its parent ends; return whether that exists."""
    if sys.platform != "linux":
        return True
    with contextlib.suppress(ImportError):  # a Python that was built without ctypes does without
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        os.kill(parent, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True
