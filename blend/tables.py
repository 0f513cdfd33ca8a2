"""Weight tables: one `artifact,weight` line per parquet, full precision, or the team's pickled one; and the other names
that artifacts have in the team's README and files (standard library only)."""
from __future__ import annotations

import contextlib
import csv
import functools
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Tuple

from blend import pickled
from leapkit.errors import KitError, explain_os_errors
from leapkit.files import sha256_json, write_text

SHIPPED = Path(__file__).resolve().parent / "tables"
ALIASES = SHIPPED / "aliases.csv"
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
    return sorted(path.stem for path in SHIPPED.glob("*.csv") if path != ALIASES)


def read(path: Path) -> Table:
    """A text table, or the team's pickled one where the name ends in .pt; the artifacts by their canonical names.

    Raises KitError for a missing file, a wrong header or a weight that is no number.
    """
    rows = pickled.read_rows(path) if path.suffix == ".pt" else _text_rows(path)
    return Table(path.stem, tuple((canonical(name), weight) for name, weight in rows))


def _text_rows(path: Path) -> List[Tuple[str, float]]:
    lines: List[List[str]] = []
    with explain_os_errors(path, "give the name of a shipped table (%s) or a file" % ", ".join(shipped())):
        with contextlib.suppress(UnicodeDecodeError, csv.Error):  # no text at all has no lines either
            lines = [row for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))) if row]
    if not lines or lines[0] != HEADER or any(len(row) != 2 for row in lines):
        raise KitError("is no weight table", path, "its lines are artifact,weight under that header")
    try:
        return [(artifact, float(weight)) for artifact, weight in lines[1:]]
    except ValueError as error:
        raise KitError("holds a weight that is no number (%s)" % error, path, "mend the weight") from error


def find(name: str) -> Table:
    """A shipped table by name, else a file by path."""
    return read(SHIPPED / (name + ".csv") if name in shipped() else Path(name))


@functools.lru_cache(maxsize=None)
def _aliases() -> Mapping[str, str]:
    with open(ALIASES, encoding="utf-8", newline="") as handle:
        return {row["alias"]: row["artifact"] for row in csv.DictReader(handle)}


def canonical(name: str) -> str:
    """The artifact that a name of the team's README, scripts or table stands for; an unknown name less its suffix."""
    for suffix in (".parquet", ".npy"):
        if name.endswith(suffix):
            name = name[:-len(suffix)]
    return _aliases().get(name, name)


def other_names(artifact: str) -> List[str]:
    """The aliases of an artifact."""
    return [alias for alias, known in _aliases().items() if known == artifact]
