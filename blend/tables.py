"""Weight tables: one line `artifact,weight` per parquet, or the team's pickled table.

A table holds one weight for each artifact, or a weight for each of the seven groups of targets, or
for each of the 368 targets. The module also knows the other names that artifacts have in the team's
README and files. Standard library only.
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


@dataclass(frozen=True)
class WeightTable:
    """Weights of artifacts. The table <name> makes final_blend_<name>.parquet.

    rows    (artifact, weight, ...), in the order in which the artifacts are summed
    fields  what the weights are for: one of FIELDS_OF_SCOPE
    source  the file that it was read from, for error messages and the receipt

    Raises KitError if it is empty, names an artifact twice, or if a weight is not finite or all are
    zero.
    """

    name: str
    rows: Tuple[Tuple[Any, ...], ...]
    fields: Tuple[str, ...] = FIELDS_OF_SCOPE["all"]
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise KitError(
                problem, self.where, "fix it, or blend with TABLE=v10, the published weights"
            )

    def _problem(self) -> str:
        """Return what is wrong with the weights, "" if nothing is."""
        if not self.rows:
            return "holds no weights"
        for position, artifact in enumerate(self.artifacts):
            if artifact in self.artifacts[:position]:
                return f"names the artifact {artifact} twice"
        for artifact, *weights in self.rows:
            if not all(math.isfinite(weight) for weight in weights):
                return f"the weight of {artifact} is not finite"
        for name, weights_of_field in zip(self.fields, zip(*(row[1:] for row in self.rows))):
            if not any(weights_of_field):
                return "holds only zeros" + (f" for {name}" if len(self.fields) > 1 else "")
        return ""

    @property
    def where(self) -> str:
        """Name the table in an error message."""
        return self.source or f"table {self.name}"

    @property
    def artifacts(self) -> Tuple[str, ...]:
        return tuple(row[0] for row in self.rows)

    @property
    def scope(self) -> str:
        """The key of FIELDS_OF_SCOPE."""
        return next(scope for scope, names in FIELDS_OF_SCOPE.items() if names == self.fields)

    @property
    def sha256(self) -> str:
        """The hash of the weights to the last bit, whatever file they come from."""
        rows = self._texts()
        return sha256_json(rows if len(self.fields) == 1 else [list(self.fields), *rows])

    def write(self, path: Path) -> None:
        """Write the table as CSV text."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([ARTIFACT, *self.fields])
        writer.writerows(self._texts())
        write_text(path, out.getvalue())

    def _texts(self) -> List[List[str]]:
        return [[artifact, *map(repr, weights)] for artifact, *weights in self.rows]


def shipped() -> List[str]:
    """Return the names of the tables that come with the kit."""
    return sorted(path.stem for path in SHIPPED.glob("*.csv") if path != ALIASES)


def locate(name: str) -> Path:
    """Return the file of a shipped table's name, else the path itself.

    Raises KitError if it does not exist.
    """
    path = SHIPPED / f"{name}.csv" if name in shipped() else Path(name)
    with explain_os_errors(path, _tables_to_choose()):
        path.stat()
    return path


def find(name: str) -> WeightTable:
    """Read a shipped table by its name, else a file by its path."""
    return read(locate(name))


def read(path: Path) -> WeightTable:
    """Read a text table, or the team's pickled table from a file *.pt.

    Artifacts get their canonical names. Raises KitError for a missing file, a wrong header or a
    weight that is not a number.
    """
    if path.suffix == ".pt":
        fields: Tuple[str, ...] = FIELDS_OF_SCOPE["all"]
        rows: List[Tuple[Any, ...]] = list(pickled.read_rows(path))
    else:
        fields, rows = _read_text(path)
    named = tuple((canonical(name), *weights) for name, *weights in rows)
    return WeightTable(path.stem, named, fields, str(path))


def _read_text(path: Path) -> Tuple[Tuple[str, ...], List[Tuple[Any, ...]]]:
    """Return (fields, rows)."""
    lines: List[List[str]] = []
    with explain_os_errors(path, _tables_to_choose()):
        # A file that is not text has no lines either.
        with contextlib.suppress(UnicodeDecodeError, csv.Error):
            text = path.read_text(encoding="utf-8")
            lines = [line for line in csv.reader(io.StringIO(text)) if line]
    header = lines[0] if lines else []
    fields = next((names for names in FIELDS_OF_SCOPE.values() if header == [ARTIFACT, *names]), ())
    if not fields or any(len(line) != len(header) for line in lines):
        raise KitError("is not a weight table", path, _FORMAT)
    try:
        return fields, [(line[0], *map(float, line[1:])) for line in lines[1:]]
    except ValueError as error:
        raise KitError(
            f"holds a weight that is not a number ({error})", path, "fix the weight"
        ) from error


def _tables_to_choose() -> str:
    return (
        f"give a shipped table ({', '.join(shipped())}), a search such as searched.ridge.target"
        " (docs/blend.md lists them), or a file"
    )


@functools.lru_cache(maxsize=None)
def _aliases() -> Mapping[str, str]:
    with open(ALIASES, encoding="utf-8", newline="") as handle:
        return {line["alias"]: line["artifact"] for line in csv.DictReader(handle)}


def canonical(name: str) -> str:
    """Return the artifact that a name in the team's README, scripts or table stands for.

    A suffix .parquet or .npy is dropped. An unknown name is returned without it.
    """
    for suffix in (".parquet", ".npy"):
        if name.endswith(suffix):
            name = name[: -len(suffix)]
    return _aliases().get(name, name)


def other_names(artifact: str) -> List[str]:
    """Return the aliases of an artifact."""
    return [alias for alias, canonical_name in _aliases().items() if canonical_name == artifact]


def resembling(name: str) -> str:
    """Return the artifact whose name or alias in the shipped tables is closest, else ""."""
    artifacts = {artifact for table in shipped() for artifact in find(table).artifacts}
    names = {**{artifact: artifact for artifact in artifacts}, **_aliases()}
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return names[close[0]] if close else ""


def is_known(artifact: str) -> bool:
    """Return whether a shipped table or an alias names the artifact."""
    return artifact in _aliases().values() or any(
        artifact in find(table).artifacts for table in shipped()
    )
