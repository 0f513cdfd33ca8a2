"""Folders that the user names: `~` written out, and whether one can be written to and locked."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from pathlib import Path
from typing import List, Sequence

from leapkit.core.errors import KitError
from leapkit.core.files import existing_folder


def expanded(value: str, variable: str) -> str:
    """Return a path with its `~` or `~name` written out: a shell leaves a quoted one alone.

    Raises KitError if the home folder is not known.
    """
    path = os.path.expanduser(value)
    if path.startswith("~") and not os.path.lexists(path):
        home = path.split("/")[0]
        raise KitError(f"the folder {home} is not known", variable, "write the whole path")
    return path


def expanded_words(words: Sequence[str], variable: str) -> List[str]:
    """Return arguments with the `~` at their start, or after `--flag=`, written out."""
    split = [re.match(r"(--[\w-]+=)?(.*)", word, flags=re.S) for word in words]
    return [
        (match[1] or "") + (expanded(match[2], variable) if match[2].startswith("~") else match[2])
        for match in split
        if match
    ]


def write_problem(folder: Path) -> str:
    """Return why nothing can be written to a folder, "" if it can; change nothing.

    A folder that does not exist counts as the one above that does.
    """
    try:
        with tempfile.TemporaryFile(dir=str(existing_folder(folder))):
            return ""
    except OSError as error:
        return os.strerror(error.errno or 0).lower()


def lock_problem(folder: Path) -> str:
    """Return why files of a folder cannot be locked, "" if they can; change nothing."""
    try:
        with tempfile.TemporaryFile(dir=str(existing_folder(folder))) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return ""
    except OSError as error:
        return os.strerror(error.errno or 0).lower()


def require_writable(folder: Path, remedy: str) -> None:
    """Raises KitError, with the remedy, if nothing can be written to a folder."""
    problem = write_problem(folder)
    if problem:
        raise KitError(f"cannot be written to ({problem})", folder, remedy)
