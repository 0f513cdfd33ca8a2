"""What the exit code of a process says, in words."""

from __future__ import annotations

import signal

_OF_SIGNALS = 128
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)


def of_shell(returncode: int) -> int:
    """Return the exit code that a shell and a container give for subprocess's return code."""
    return _OF_SIGNALS - returncode if returncode < 0 else returncode


def sentence(code: int) -> str:
    """Return what happened to a process that ended with a code, as what follows its name."""
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
