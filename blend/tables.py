"""Weight tables as text: one `artifact,weight` line per parquet, full precision (standard library only)."""
from __future__ import annotations

import contextlib
import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple

from leapkit.errors import KitError, explain_os_errors
from leapkit.files import sha256_json, write_text

SHIPPED = Path(__file__).resolve().parent / "tables"
HEADER = ["artifact", "weight"]


@dataclass(frozen=True)
class Table:
    """name -> final_blend_<name>.parquet; rows (artifact, weight) in the order in which they are summed."""

    name: str
    rows: Tuple[Tuple[str, float], ...]

    def __post_init__(self) -> None:
        artifacts = [artifact for artifact, _ in self.rows]
        if not self.rows:
            raise KitError("holds no weights", "table " + self.name, "give one line per artifact")
        if len(set(artifacts)) != len(artifacts):
            raise KitError("names an artifact twice", "table " + self.name, "keep one line per artifact")
        if not all(math.isfinite(w) for _, w in self.rows) or not any(w for _, w in self.rows):
            raise KitError("holds weights that are not finite, or only zeros", "table " + self.name, "mend the weights")

    @property
    def sha256(self) -> str:
        return sha256_json([[a, repr(w)] for a, w in self.rows])

    def write(self, path: Path) -> None:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows([artifact, repr(weight)] for artifact, weight in self.rows)
        write_text(path, out.getvalue())


def shipped() -> List[str]:
    """Names of the tables that come with the kit."""
    return sorted(path.stem for path in SHIPPED.glob("*.csv"))


def read(path: Path) -> Table:
    """Raises KitError for a missing file, a wrong header or a weight that is no number."""
    lines: List[List[str]] = []
    with explain_os_errors(path, "give the name of a shipped table (%s) or a file" % ", ".join(shipped())):
        # No text at all, as the team's own pickled table, has no lines either.
        with contextlib.suppress(UnicodeDecodeError, csv.Error):
            lines = [row for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))) if row]
    if not lines or lines[0] != HEADER or any(len(row) != 2 for row in lines):
        raise KitError("is no weight table", path, "its lines are artifact,weight under that header")
    try:
        return Table(path.stem, tuple((artifact, float(weight)) for artifact, weight in lines[1:]))
    except ValueError as error:
        raise KitError("holds a weight that is no number (%s)" % error, path, "mend the weight") from error


def find(name: str) -> Table:
    """A shipped table by name, else a file by path."""
    return read(SHIPPED / (name + ".csv") if name in shipped() else Path(name))
