"""What the exit code of a process says, in words."""

from __future__ import annotations

import signal

PAUSED = 75  # EX_TEMPFAIL: the same command goes on, see pauses.py
_OF_SIGNALS = 128
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)


def of_shell(returncode: int) -> int:
    """Return the exit code that a shell and a container give for subprocess's return code."""
    return _OF_SIGNALS - returncode if returncode < 0 else returncode


def is_paused(code: int) -> bool:
    """Return whether a process put its work down, or met the signal before it had begun."""
    return code in (PAUSED, _OF_SIGNALS + signal.SIGUSR1)


def sentence(code: int) -> str:
    """Return what happened to a process that ended with a code, as what follows its name."""
    if code == PAUSED:
        return "was paused; the same command continues from there"
    try:
        number = signal.Signals(code - _OF_SIGNALS)
    except ValueError:
        return f"ended with code {code}"
    if number == signal.SIGKILL:
        return (
            "was killed (SIGKILL); if you did not do it, the memory ran out:"
            " end other programs, or run one member at a time"
        )
    if number in _CRASHES:
        return f"crashed ({number.name})"
    return f"was ended by {number.name}"
