"""The one error a user should ever see, and how it reaches the terminal."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from typing import Any, Callable, Iterator, List, Optional, Tuple

# Exit codes: 2 says "your input or your machine", 3 says "stopped, run again to go on".
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 3


class KitError(Exception):
    """One clear sentence: what is wrong, where, and the remedy.

    what    the reason, without a full stop
    where   the file, column or option that it is about
    remedy  what to do about it, an imperative, with the command where there is one
    """

    def __init__(self, what: str, where: object = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, str(where), remedy
        head = f"{where}: {what}" if self.where else what
        super().__init__(head + ("; " + remedy if remedy else "") + ".")

    def __reduce__(self) -> Tuple[Any, ...]:
        return KitError, (
            self.what,
            self.where,
            self.remedy,
        )  # from another process it arrives as itself


@contextlib.contextmanager
def explain_os_errors(where: object, remedy: str = "") -> Iterator[None]:
    """Turns the operating system's refusals (full disk, missing file, no permission) into a KitError."""
    try:
        yield
    except FileNotFoundError as error:
        raise KitError(
            "the file is missing", error.filename or where, remedy or "check the path"
        ) from error
    except PermissionError as error:
        raise KitError(
            "permission denied", error.filename or where, remedy or "check the owner and the mode"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise KitError(
                "the disk is full", where, "free some space and run the same command again"
            ) from error
        raise KitError(
            os.strerror(error.errno) if error.errno else " ".join(str(error).split()),
            where,
            remedy or "check the path and the disk",
        ) from error


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def run_cli(main: Callable[[List[str]], Optional[int]], argv: Optional[List[str]] = None) -> None:
    """Runs a command line and leaves with its code; a KitError is printed as its sentence, no traceback."""
    # `docker stop` sends SIGTERM, which a container's first process ignores unless it handles it.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = main(sys.argv[1:] if argv is None else argv) or 0
    except KitError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        code = EXIT_REFUSED
    except KeyboardInterrupt:
        print(
            "stopped: what was finished is kept; the same command goes on from there.",
            file=sys.stderr,
            flush=True,
        )
        code = EXIT_INTERRUPTED
    sys.exit(code)
