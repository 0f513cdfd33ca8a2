"""Pauses: SIGUSR1 asks a member to save what it has at the next boundary and to end.

A cluster sends it before a job's time limit. Training saves its state after the step that it is at,
inference after its chunk; the process ends with the code exit_codes.PAUSED, and the same command
goes on from there. A signal that comes earlier, while Python still starts, ends the process: there
is nothing to save yet.
"""

from __future__ import annotations

import contextlib
import signal
from typing import Iterator

SIGNAL = signal.SIGUSR1


class Paused(Exception):
    """The work was put down at a boundary: what is finished is on disk."""


class _Request:
    """The handler of the signal, which remembers that it came."""

    is_made = False

    def __call__(self, *_: object) -> None:
        self.is_made = True


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Take the signal as a request, in the main thread; give it its earlier meaning back.

    Inside another `listening`, a request that was made already counts.
    """
    previous = signal.getsignal(SIGNAL)
    if not isinstance(previous, _Request):
        signal.signal(SIGNAL, _Request())
    try:
        yield
    finally:
        signal.signal(SIGNAL, previous)


def requested() -> bool:
    """Return whether a pause has been asked for. It costs nothing beside a training step."""
    handler = signal.getsignal(SIGNAL)
    return isinstance(handler, _Request) and handler.is_made
