"""Checks of a whole CSV of sample_id and numbers that read its first line and its last byte."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from pathlib import Path
from typing import Iterator, Sequence

from leapkit.core.errors import KitError, explain_os_errors

# Bytes of a line: train.csv's take 18,000, a hole in a damaged file takes gigabytes.
LONGEST_LINE = 1 << 20
REMEDY = "run `make fetch WHAT=kaggle` (or `make split`) again"


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what Python raises for a file that is not a CSV into a KitError."""
    try:
        with explain_os_errors(path, REMEDY):
            yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise KitError(f"is not a CSV file ({error})", path, REMEDY) from error


def require_header(path: Path, expected: Sequence[str]) -> int:
    """Return the first line's length in bytes.

    Raises KitError unless the line holds exactly the expected names, in order.
    """
    with explained(path), open(path, "rb") as handle:
        line = handle.readline(LONGEST_LINE)
        names = line.decode("utf-8").rstrip("\r\n").split(",")
    if names == list(expected):
        return len(line)
    missing = [name for name in expected if name not in set(names)]
    unknown = [name for name in names if name not in set(expected)]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if b'"' in line:
        what = "its header holds quotation marks, which Kaggle's files do not have"
    elif missing:
        what = f"the column {missing[0]} is missing ({len(missing)} of {len(expected)} are)"
    elif unknown:
        what = f"has the unknown column {unknown[0]:.40}"
    elif repeated:
        what = f"has the column {repeated[0]} twice"
    else:
        what = "has the right columns in a wrong order"
    raise KitError(what, path, REMEDY)


def require_last_line_whole(path: Path) -> None:
    """Raise KitError if the file is empty or does not end in a line end.

    A file cut inside its last number would parse as another number: only the line end tells.
    """
    with explain_os_errors(path, REMEDY), open(path, "rb") as handle:
        if handle.seek(0, 2) == 0:
            raise KitError("is empty", path, REMEDY)
        handle.seek(-1, 2)
        if handle.read(1) != b"\n":
            raise KitError("is cut off in the middle of its last line", path, REMEDY)


def require_whole(path: Path, expected: Sequence[str]) -> int:
    """Return the header's length in bytes.

    Raises KitError for another header, a last line that is cut, and a file without rows.
    """
    header = require_header(path, expected)
    require_last_line_whole(path)
    with explain_os_errors(path, REMEDY):
        if path.stat().st_size == header:
            raise KitError("holds no rows", path, REMEDY)
    return header
