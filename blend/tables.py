"""Weight tables: one line `artifact,weight` per parquet, or the team's pickled table.

A table holds one weight for each artifact, or a weight for each of the seven groups of targets, or
for each of the 368 targets. The module also knows the other names that artifacts have in the team's
README and files. Standard library only.
"""

from __future__ import annotations

import csv
import difflib
import functools
import math
import operator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, List, Mapping, Set, Tuple

from blend import names, pickled, table_text
from blend.table_text import FIELDS_OF_SCOPE, Claim, TableText
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import sha256_json, write_text

SHIPPED = Path(__file__).resolve().parent / "tables"
ALIASES = SHIPPED / "aliases.csv"
_LONGEST_PATH = 4096  # bytes that Linux takes


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
        known: Set[str] = set()
        for artifact in self.artifacts:
            if names.problem_of(artifact):
                problem = names.problem_of(artifact)
                return f"the name of the artifact {names.shown(artifact)} {problem}"
            if artifact in known:
                return f"names the artifact {artifact} twice"
            known.add(artifact)
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

    @property
    def sums(self) -> Tuple[float, ...]:
        """The sum of the weights of each field, added in the table's order."""
        columns = list(zip(*(row[1:] for row in self.rows)))
        return tuple(functools.reduce(operator.add, column, 0.0) for column in columns)

    @property
    def claim(self) -> Claim:
        """What the first line of the table's file says."""
        total = functools.reduce(operator.add, self.sums, 0.0)
        return Claim(str(len(self.rows)), repr(total), self.sha256)

    def write(self, path: Path) -> None:
        """Write the table as CSV text."""
        write_text(path, table_text.write(self.fields, self._texts(), self.claim))

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
    problem = names.problem_of(path.name)
    if problem or "\0" in name or len(name) > _LONGEST_PATH:
        what = f"the name of the file {problem or 'is no path'}"
        raise KitError(what, f"the table {names.shown(name)}", _tables_to_choose())
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
        text = TableText(FIELDS_OF_SCOPE["all"], list(pickled.read_rows(path)), None)
    else:
        text = table_text.read(path, _tables_to_choose())
    named = tuple((canonical(name), *weights) for name, *weights in text.rows)
    table = WeightTable(path.stem, named, text.fields, str(path))
    problem = text.claim.problem(table.claim) if text.claim else ""
    if problem:
        raise KitError(
            f"was cut or changed: {problem}",
            path,
            "get the file again, or remove its first line if you changed it on purpose",
        )
    return table


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
    known = {**{artifact: artifact for artifact in artifacts}, **_aliases()}
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return known[close[0]] if close else ""


def is_known(artifact: str) -> bool:
    """Return whether a shipped table or an alias names the artifact."""
    return artifact in _aliases().values() or any(
        artifact in find(table).artifacts for table in shipped()
    )
