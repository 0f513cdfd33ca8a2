"""What is wrong with a damaged line of a CSV of sample_id and numbers, in words."""

from __future__ import annotations

import math
import re
from typing import Sequence

from leapkit.core.columns import SAMPLE_ID

_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FOREIGN_BYTES = ((b"\0", "NUL bytes"), (b'"', "a quotation mark"), (b"\r", "a carriage return"))


def damage_of(line: bytes, columns: Sequence[str]) -> str:
    """Return the words that follow "row 7"; "" if nothing is wrong with the line."""
    line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
    if not line:
        return " is an empty line"
    for byte, name in _FOREIGN_BYTES:
        if byte in line:
            return f" holds {name}"
    try:
        cells = line.decode("utf-8").split(",")
    except UnicodeDecodeError:
        return " is not UTF-8 text"
    if len(cells) != len(columns) + 1:
        return f" has {len(cells)} fields instead of {len(columns) + 1}"
    if not _bare(cells[0]):
        return f", column {SAMPLE_ID} is empty"
    for name, cell in zip(columns, cells[1:]):
        problem = _problem(cell)
        if problem:
            return f", column {name} {problem}"
    return ""


def _bare(cell: str) -> str:
    return cell.strip(" \t")  # as pyarrow does


def _problem(cell: str) -> str:
    text = _bare(cell)
    if not text:
        return "is empty"
    if text.lstrip("+-").lower() in ("nan", "inf", "infinity"):
        return "is NaN or infinite"
    if not _NUMBER.fullmatch(text):
        return f"holds {cell[:40]!r}, which is not a number"
    return "" if math.isfinite(float(text)) else "is NaN or infinite"
