"""The one error that a user should ever see, and how text of strangers reaches the terminal."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
import unicodedata
from typing import Any, Callable, Iterator, List, Optional, Tuple

from leapkit.core import exit_codes, pauses, stops

# Exit codes: 2 says "your input or your machine", 3 says "stopped, run again to continue".
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 3


# Control characters, direction marks, lone surrogates, line and paragraph separators: they move
# the cursor, forge lines, reverse the text after them or cannot be written at all.
_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # Cf, but part of the spelling of Persian, of Indic scripts and of emoji
LONGEST_NAME = 200  # characters of a name that a message quotes from a file
LONGEST_LINE = 4096  # of a printed line, and of each part of an error: a path may be that long


def printable(text: object, most: int = LONGEST_NAME) -> str:
    """Return text of a stranger as one line that a terminal shows as it is, of `most` characters.

    What a terminal would obey is escaped as Python spells it (\\x1b, \\u202e); letters of all
    scripts stay. The middle of a longer text is left out. Printable text comes back unchanged.
    """
    # Cut before the escapes, too: a name of a gigabyte is not walked through.
    shown = _shortened(str(text), most)
    if not shown.isprintable():
        shown = _shortened("".join(map(_escaped, shown)), most)
    return shown


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _UNPRINTABLE or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode("ascii")


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    omission = f" ... {len(text)} characters ... "
    kept = max(0, most - len(omission))
    return text[: kept - kept // 2] + omission + text[len(text) - kept // 2 :]


@functools.lru_cache(maxsize=None)
def say_once(text: str) -> None:
    """Print a note on stderr, once in this process."""
    print(f"note: {printable(text, LONGEST_LINE)}", file=sys.stderr, flush=True)


class KitError(Exception):
    """One clear sentence: what is wrong, where, and the remedy. All of it is printable.

    what    the reason, without a full stop
    where   the file, column or option that it is about
    remedy  what to do about it, in the imperative, with the command if one helps
    """

    def __init__(self, what: str, where: object = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = (
            printable(part, LONGEST_LINE) for part in (what, where, remedy)
        )
        head = f"{self.where}: {self.what}" if self.where else self.what
        super().__init__(head + ("; " + self.remedy if self.remedy else "") + ".")

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
    except pauses.Paused:
        print("paused: the same command continues from here.", file=sys.stderr, flush=True)
        code = exit_codes.PAUSED
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
