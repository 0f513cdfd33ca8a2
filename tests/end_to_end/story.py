"""A page that tells what is typed, as what it says to do: commands and changes of files, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import List



@dataclass(frozen=True)
class Step:
    """One step.

    command  what is typed into a shell, "" if it is a change
    change   a patch, as `git apply` takes it
    """

    command: str = ""
    change: str = ""


def steps(page: Path) -> List[Step]:
    """Return what a page does: its indented lines, and its blocks of the language diff."""
    text = re.sub(r"^```(?!diff)\w*\n.*?^```$", "", page.read_text(), flags=re.M | re.S)
    found = []
    for match in re.finditer(r"^```diff\n(.*?)^```$|^ {4}(\S[^\n]*)$", text, flags=re.M | re.S):
        if match[1]:
            found.append(Step(change=match[1]))
        else:
            found.append(Step(command=re.sub(r"\s+#.*$", "", match[2])))
    return found
