"""The one error that a user should ever see, and how it reaches the terminal."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Any, Callable, Iterator, List, Optional, Tuple

from leapkit.core import stops

# Exit codes: 2 says "your input or your machine", 3 says "stopped, run again to continue".
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 3


class KitError(Exception):
    """One clear sentence: what is wrong, where, and the remedy.

    what    the reason, without a full stop
    where   the file, column or option that it is about
    remedy  what to do about it, in the imperative, with the command if one helps
    """

    def __init__(self, what: str, where: object = "", remedy: str = "") -> None:
        self.what = what
        self.where = str(where)
        self.remedy = remedy
        head = f"{where}: {what}" if self.where else what
        super().__init__(head + ("; " + remedy if remedy else "") + ".")

    def __reduce__(self) -> Tuple[Any, ...]:
        """Pickle the three parts, so that an error from another process arrives as itself."""
        return KitError, (self.what, self.where, self.remedy)


@contextlib.contextmanager
def explain_os_errors(where: object, remedy: str = "") -> Iterator[None]:
    """Turn the operating system's refusals into a KitError: a full disk, a missing file, ..."""
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


def run_cli(main: Callable[[List[str]], Optional[int]], argv: Optional[List[str]] = None) -> None:
    """Run a command line and exit with its code; a KitError is printed without a traceback."""
    try:
        # A container's first process ignores the SIGTERM of `docker stop` unless it handles it.
        stops.interrupt()
        stops.end_with_parent()
        code = main(sys.argv[1:] if argv is None else argv) or 0
    except KitError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        code = EXIT_REFUSED
    except KeyboardInterrupt:
        stops.ignore()
        with contextlib.suppress(OSError):  # the terminal may be what ended
            print(
                "stopped: what was finished is kept; the same command continues from there.",
                file=sys.stderr,
                flush=True,
            )
        code = EXIT_INTERRUPTED
    sys.exit(code)
