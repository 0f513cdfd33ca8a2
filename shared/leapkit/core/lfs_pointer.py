"""Recognise the few lines of text that git-lfs leaves in place of a file's content.

A clone without git-lfs, or a page's "raw" link, gives such a pointer under the file's name.
"""

from __future__ import annotations

from pathlib import Path

from leapkit.core.errors import KitError

_FIRST_LINE = b"version https://git-lfs.github.com/spec/"
_LONGEST = 1024  # bytes; a longer file is no pointer, by the specification of git-lfs


def is_pointer(head: bytes) -> bool:
    """Return whether a file that begins with `head` is a pointer."""
    return head.startswith(_FIRST_LINE)


def refuse_pointer(path: Path) -> None:
    """Raise KitError if the file is a pointer; the remedy names `git lfs pull`.

    A file that cannot be opened is left to its reader, which says why.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_LONGEST + 1)
    except OSError:
        return
    if len(head) <= _LONGEST and is_pointer(head):
        raise KitError(
            "is a git-lfs pointer, some lines of text in place of the file's content",
            path,
            "run `git lfs pull` in the clone that it comes from and copy the file again, or"
            " download the file itself",
        )
