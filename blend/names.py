"""Which names artifacts and tables may have: they become names of files and words of a command.

Standard library only.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"\w[\w .+=@-]*")
_LONGEST = 200  # bytes: a file system takes 255, and names of the kit's files add to it
_SHOWN = 60


def problem_of(name: str) -> str:
    """Return what is wrong with a name, "" if nothing is.

    Letters of any script, digits and `_ . + = @ -` are safe in a path, in a list with commas and in
    a command that a user copies from a message.
    """
    if not name:
        return "is empty"
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > _LONGEST:
        return f"has {size} bytes, more than {_LONGEST}"
    if not _NAME.fullmatch(name) or name.endswith(" "):
        return "is not made of letters, digits, spaces and _ . + = @ - after a letter, a digit or _"
    return ""


def shown(name: str) -> str:
    """Return a name as a message may show it: one line, no control characters, not too long."""
    return ascii(name if len(name) <= _SHOWN else name[:_SHOWN] + "...")
