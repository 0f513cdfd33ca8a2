"""Weight tables as CSV text.

The kit's own tables begin with a line that holds their number of rows, their sum and their hash: a
cut or changed one is refused. A user's table needs none, but its last line must have an end.
Standard library only.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from leapkit.core.columns import GROUP_NAMES, TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.lfs_pointer import refuse_pointer

ARTIFACT = "artifact"
# {scope: the fields of its weights}: one weight for all targets, for each group, for each target.
FIELDS_OF_SCOPE: Dict[str, Tuple[str, ...]] = {
    "all": ("weight",),
    "group": GROUP_NAMES,
    "target": TARGETS,
}
_FORMAT = (
    "its header is `artifact,weight`, or artifact and the seven groups, "
    "or artifact and the 368 targets, and every line has as many values"
)
_CLAIM = re.compile(r"# rows: (\d{1,9}), sum: (\S{1,40}), sha256: ([0-9a-f]{64})")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = ("nan", "inf", "infinity")
_MOST_BYTES = 16 << 20  # a hundred times the largest table that the kit writes


@dataclass(frozen=True)
class Claim:
    """What the first line of a table says of the rest."""

    rows: str
    sum: str
    sha256: str

    def problem(self, other: Claim) -> str:
        """Return how the claim of what was read differs from this one, "" if it does not."""
        for what, said, actual in (
            ("rows", self.rows, other.rows),
            ("sum", self.sum, other.sum),
            ("sha256", self.sha256, other.sha256),
        ):
            if said != actual:
                return f"its first line says {what}: {said}, its lines have {what}: {actual}"
        return ""


@dataclass(frozen=True)
class TableText:
    """What a text holds.

    rows  (artifact, weight, ...) in order
    """

    fields: Tuple[str, ...]
    rows: List[Tuple[Any, ...]]
    claim: Optional[Claim]


def write(fields: Sequence[str], texts: Sequence[Sequence[str]], claim: Claim) -> str:
    """Return the text of a table of the kit: `texts` are its rows, each value as it is written."""
    out = io.StringIO()
    out.write(f"# rows: {claim.rows}, sum: {claim.sum}, sha256: {claim.sha256}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([ARTIFACT, *fields])
    writer.writerows(texts)
    return out.getvalue()


def read(path: Path, missing: str) -> TableText:
    """Read a table: UTF-8, with or without a byte order mark, and any line ends.

    missing  the remedy if the file does not exist
    Raises KitError for a missing file, a wrong header, a weight that is not a number, and a last
    line without an end.
    """
    text = _decoded(path, missing)
    first, _, rest = text.partition("\n")
    match = _CLAIM.fullmatch(first)
    if first.startswith("#") and not match:
        what = "its first line is not the one that the kit writes: it was cut or changed"
        raise KitError(what, path, "get the file again, or remove that line")
    try:
        lines = [line for line in csv.reader(io.StringIO(rest if match else text), strict=True)]
    except csv.Error as error:
        raise KitError("is not a weight table", path, _FORMAT) from error
    lines = [[value.strip() for value in line] for line in lines if line]
    header = lines[0] if lines else []
    fields = next((names for names in FIELDS_OF_SCOPE.values() if header == [ARTIFACT, *names]), ())
    if not fields or any(len(line) != len(header) for line in lines):
        raise KitError("is not a weight table", path, _FORMAT)
    if not text.endswith("\n"):
        raise KitError(
            "its last line has no end, so the file may have been cut",
            path,
            "compare it with its source; if it is whole, end the last line (a line feed)",
        )
    try:
        rows = [(line[0], *map(_number, line[1:])) for line in lines[1:]]
    except ValueError as error:
        what = f"holds a weight that is not a number ({error})"
        raise KitError(what, path, "fix the weight") from error
    return TableText(fields, rows, Claim(*match.groups()) if match else None)


def _decoded(path: Path, missing: str) -> str:
    """Return the text of a file, its line ends as line feeds. Raises KitError if it has none."""
    refuse_pointer(path)
    with explain_os_errors(path, missing), open(path, "rb") as handle:
        content = handle.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise KitError(f"has more than {_MOST_BYTES >> 20} MB: no weight table has", path, _FORMAT)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise KitError("is UTF-16 text", path, "save it as CSV in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KitError("is not a weight table", path, _FORMAT) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _number(text: str) -> float:
    """Return a decimal number. Raises ValueError for all else that float() would take."""
    if _NUMBER.fullmatch(text) or text.lower().lstrip("+-") in _NOT_FINITE:
        return float(text)
    raise ValueError(ascii(text[:40]))
