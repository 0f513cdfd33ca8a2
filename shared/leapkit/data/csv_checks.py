"""Checks of a whole CSV of sample_id and numbers that read its first line and its last byte."""

from __future__ import annotations

import codecs
import contextlib
import csv
from collections import Counter
from pathlib import Path
from typing import Iterator, Sequence

from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.lfs_pointer import refuse_pointer

# Bytes of a line: train.csv's take 18,000, a hole in a damaged file takes gigabytes.
LONGEST_LINE = 1 << 20
REMEDY = "run `make fetch WHAT=kaggle` (or `make split`) again"
# First bytes of what lies under the name of a CSV, what it is, and what helps beside REMEDY.
_OTHER_FORMATS = (
    (b"\x1f\x8b", "is a gzip archive and not a CSV file", "unpack it with `gunzip`"),
    (b"PK\x03\x04", "is a zip archive and not a CSV file", "unpack it with `unzip`"),
    (b"BZh", "is a bzip2 archive and not a CSV file", "unpack it with `bunzip2`"),
    (b"\xfd7zXZ", "is an xz archive and not a CSV file", "unpack it with `unxz`"),
    (b"\x28\xb5\x2f\xfd", "is a zstd archive and not a CSV file", "unpack it with `unzstd`"),
    (b"PAR1", "is a parquet file and not a CSV file", "put the CSV file there"),
    (codecs.BOM_UTF16_LE, "is not a CSV file in UTF-8 but in UTF-16", "save it as UTF-8"),
    (codecs.BOM_UTF16_BE, "is not a CSV file in UTF-8 but in UTF-16", "save it as UTF-8"),
)
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what Python raises for a file that is not a CSV into a KitError."""
    try:
        with explain_os_errors(path, REMEDY):
            yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise KitError(f"is not a CSV file ({error})", path, REMEDY) from error


def first_line(path: Path) -> bytes:
    """Return the first line with its end. Raises KitError for a file of another format."""
    refuse_pointer(path)
    with explained(path), open(path, "rb") as handle:
        line = handle.readline(LONGEST_LINE)
    for magic, what, help_ in _OTHER_FORMATS:
        if line.startswith(magic):
            raise KitError(what, path, f"{help_}, or {REMEDY}")
    return line


def require_header(path: Path, expected: Sequence[str]) -> int:
    """Return the first line's length in bytes; a byte order mark of UTF-8 is no part of its names.

    Raises KitError unless the line holds exactly the expected names, in order.
    """
    line = first_line(path)
    with explained(path):
        names = line.decode("utf-8-sig").rstrip("\r\n").split(",")
    if names == list(expected):
        return len(line)
    missing = [name for name in expected if name not in set(names)]
    unknown = [name for name in names if name not in set(expected)]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    separator = next((text for sign, text in _SEPARATORS.items() if sign in names[0]), "")
    if b'"' in line:
        what = "its header holds quotation marks, which Kaggle's files do not have"
    elif len(names) == 1 and separator:
        what = f"its fields are separated by {separator} instead of commas"
    elif missing:
        what = f"the column {missing[0]} is missing ({len(missing)} of {len(expected)} are)"
    elif unknown and not unknown[0]:
        what = "has a column without a name (an index that was written beside the data?)"
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
