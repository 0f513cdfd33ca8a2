"""A page that tells a story, as what it has its reader do: commands, and changes of files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import List

_PART = re.compile(r"^```(\w*)\n(.*?)^```$|^ {4}(\S[^\n]*)$", flags=re.M | re.S)


@dataclass(frozen=True)
class Step:
    """One step.

    command  what is typed into a shell, "" if it is a change
    change   a patch, as `git apply` takes it
    """

    command: str = ""
    change: str = ""


def steps(page: Path) -> List[Step]:
    """Return what a page does, in order: its indented lines, and its blocks of the kind diff."""
    found = []
    for kind, block, line in _PART.findall(re.sub(r" *\\\n\s*", " ", page.read_text())):
        if kind == "diff":
            found.append(Step(change=block))
        elif line:
            found.append(Step(command=re.sub(r"\s+#.*$", "", line)))
    return found
