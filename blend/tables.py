"""Weight tables: one `artifact,weight` line per parquet, full precision, or the team's pickled one; and the other names
that artifacts have in the team's README and files (standard library only).

A table may hold a weight for each of the seven groups of targets, or for each of the 368 targets, instead of one.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import functools
import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

from blend import pickled
from leapkit.core.columns import GROUP_NAMES, TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import sha256_json, write_text

SHIPPED = Path(__file__).resolve().parent / "tables"
ALIASES = SHIPPED / "aliases.csv"
ARTIFACT = "artifact"
# What the weights of a table are for: all targets, each group, each target.
COLUMNS_OF: Dict[str, Tuple[str, ...]] = {
    "all": ("weight",),
    "group": GROUP_NAMES,
    "target": TARGETS,
}
_FORMAT = "its header is `artifact,weight`, or artifact and the seven groups, or artifact and the 368 targets"


@dataclass(frozen=True)
class Table:
    """name -> final_blend_<name>.parquet; rows (artifact, weight, ...) in the order in which they are summed.

    columns  of the weights, one of COLUMNS_OF
    source   the file that it was read from, for sentences about it
    """

    name: str
    rows: Tuple[Tuple[Any, ...], ...]
    columns: Tuple[str, ...] = COLUMNS_OF["all"]
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        where, remedy = (
            self.source or "table " + self.name,
            "mend it, or blend with TABLE=v10, the published weights",
        )
        if not self.rows:
            raise KitError("holds no weights", where, remedy)
        for k, artifact in enumerate(self.artifacts):
            if artifact in self.artifacts[:k]:
                raise KitError(f"names the artifact {artifact} twice", where, remedy)
        for artifact, *weights in self.rows:
            if not all(math.isfinite(weight) for weight in weights):
                raise KitError(f"the weight of {artifact} is not finite", where, remedy)
        for column, of_column in zip(self.columns, zip(*(row[1:] for row in self.rows))):
            if not any(of_column):
                raise KitError(
                    "holds only zeros%s" % (" for " + column if len(self.columns) > 1 else ""),
                    where,
                    remedy,
                )

    @property
    def artifacts(self) -> Tuple[str, ...]:
        return tuple(row[0] for row in self.rows)

    @property
    def sha256(self) -> str:
        rows = [
            [artifact] + [repr(weight) for weight in weights] for artifact, *weights in self.rows
        ]
        return sha256_json(rows if len(self.columns) == 1 else [list(self.columns)] + rows)

    def write(self, path: Path) -> None:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([ARTIFACT, *self.columns])
        writer.writerows(
            [artifact] + [repr(weight) for weight in weights] for artifact, *weights in self.rows
        )
        write_text(path, out.getvalue())


def shipped() -> List[str]:
    """Names of the tables that come with the kit."""
    return sorted(path.stem for path in SHIPPED.glob("*.csv") if path != ALIASES)


def read(path: Path) -> Table:
    """A text table, or the team's pickled one where the name ends in .pt; the artifacts by their canonical names.

    Raises KitError for a missing file, a wrong header or a weight that is no number.
    """
    columns, rows = (
        (COLUMNS_OF["all"], pickled.read_rows(path)) if path.suffix == ".pt" else _text_rows(path)
    )
    return Table(
        path.stem,
        tuple((canonical(name),) + tuple(weights) for name, *weights in rows),
        columns,
        str(path),
    )


def _text_rows(path: Path) -> Tuple[Tuple[str, ...], List[Tuple[Any, ...]]]:
    """-> (columns, rows)."""
    lines: List[List[str]] = []
    with explain_os_errors(
        path, "give the name of a shipped table ({}) or a file".format(", ".join(shipped()))
    ):
        with contextlib.suppress(
            UnicodeDecodeError, csv.Error
        ):  # no text at all has no lines either
            lines = [
                row for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))) if row
            ]
    columns = next(
        (own for own in COLUMNS_OF.values() if lines and lines[0] == [ARTIFACT, *own]), ()
    )
    if not columns or any(len(row) != len(lines[0]) for row in lines):
        raise KitError("is no weight table", path, _FORMAT + ", and every line has as many values")
    try:
        return columns, [(row[0],) + tuple(map(float, row[1:])) for row in lines[1:]]
    except ValueError as error:
        raise KitError(
            f"holds a weight that is no number ({error})", path, "mend the weight"
        ) from error


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
            name = name[: -len(suffix)]
    return _aliases().get(name, name)


def other_names(artifact: str) -> List[str]:
    """The aliases of an artifact."""
    return [alias for alias, known in _aliases().items() if known == artifact]


def resembling(name: str) -> str:
    """The artifact of the shipped tables that a name comes closest to, "" where none is like it."""
    known = {artifact for table in shipped() for artifact in find(table).artifacts}
    names = {**{artifact: artifact for artifact in known}, **_aliases()}
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return names[close[0]] if close else ""


def is_known(artifact: str) -> bool:
    """Whether a shipped table or an alias names the artifact."""
    return artifact in _aliases().values() or any(
        artifact in find(table).artifacts for table in shipped()
    )
