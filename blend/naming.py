"""What TABLE and POSTPROCESS ask for, and the names of the files that a blend makes.

Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from blend import names, tables
from blend.parquets import STACK
from blend.table_text import FIELDS_OF_SCOPE
from blend.tables import WeightTable
from leapkit.core.errors import KitError
from leapkit.core.layout import Results

# The hill climb of the field, then the exact optima: with the sum one, without negative weights and
# the sum one, without negative weights and any sum, and shrunk towards equal weights.
FORMS = ("climb", "sum-one", "simplex", "non-negative", "ridge")
SCOPES = tuple(FIELDS_OF_SCOPE)
# Post-processing beside the published one (blend.postprocess): off unless it is asked for.
OPTIONS = ("positivity", "fluxes")
_SEARCH = re.compile(
    r"(searched(?:(?:-with)?-\w+)?)"
    rf"(?:\.({'|'.join(FORMS)}))?(?:\.({'|'.join(SCOPES)}))?"
)


@dataclass(frozen=True)
class Search:
    """Weights that are searched, as TABLE has them: searched[-[with-]<member>][.<form>][.<scope>].

    among  `searched`: the published blend's artifacts; `searched-<member>`: those of a member that
           is not part of it; `searched-with-<member>`: both
    """

    among: str
    form: str = FORMS[0]
    scope: str = SCOPES[0]

    @property
    def name(self) -> str:
        """The shortest name of the search: the default form and scope are left out."""
        chosen = [word for word in (self.form, self.scope) if word not in (FORMS[0], SCOPES[0])]
        return ".".join([self.among, *chosen])

    @property
    def member(self) -> str:
        """The member outside the published blend whose artifacts it counts, "" if there is none."""
        return "" if self.among == "searched" else self.among.rpartition("-")[2]


def parse_search(text: str) -> Optional[Search]:
    """Return the search that a text names; None for a shipped table or the name of a file."""
    match = _SEARCH.fullmatch(text)
    if not match:
        return None
    return Search(match.group(1), match.group(2) or FORMS[0], match.group(3) or SCOPES[0])


def parse_options(text: str) -> Tuple[str, ...]:
    """Return the post-processing options of a list, in the order in which they are applied.

    Raises KitError for an unknown option.
    """
    requested = [name for name in re.split(r"[,\s]+", text) if name]
    for name in requested:
        if name not in OPTIONS:
            raise KitError(
                f"{name!r} is not a post-processing option",
                "POSTPROCESS",
                "choose from " + ", ".join(OPTIONS),
            )
    return tuple(name for name in OPTIONS if name in requested)


@dataclass(frozen=True)
class BlendName:
    """One entry of TABLE with the post-processing options, and the files that its blend makes.

    source  the entry as it was given: a search, the name of a shipped table, or the path of a table
            file
    table   the name of its weights, which their files have
    """

    source: str
    table: str
    search: Optional[Search] = None
    options: Tuple[str, ...] = ()

    @classmethod
    def parse(cls, source: str, options: Sequence[str] = ()) -> BlendName:
        """Parse one entry of TABLE. No table is read.

        Raises KitError if it is neither a search nor a shipped table nor a file, and for a file
        with the name of a search.
        """
        search = parse_search(source)
        if search:
            if names.problem_of(search.name):
                what = f"its name {names.problem_of(search.name)}"
                raise KitError(what, f"the table {names.shown(source)}", "choose a search")
            return cls(source, search.name, search, tuple(options))
        path = tables.locate(source)
        if parse_search(path.stem):
            raise KitError(
                "has the name of a search, whose files it would overwrite", path, "rename the file"
            )
        return cls(source, path.stem, None, tuple(options))

    @property
    def is_own_file(self) -> bool:
        """Whether the weights are in a file of the user's own."""
        return self.search is None and self.source not in tables.shipped()

    @property
    def title(self) -> str:
        """v10, or v10+positivity: the name that the files of the blend have."""
        return "+".join((self.table, *self.options))

    @property
    def among(self) -> str:
        """The name of the artifacts that the weights are for.

        Searches among the same artifacts share their errors.
        """
        return self.search.among if self.search else self.table

    @property
    def stack(self) -> str:
        """The artifact of a stack that corrects the blend: what `make stack` makes."""
        return STACK + self.table

    def final(self, results: Results) -> Path:
        """The blended parquet."""
        return results.blend / f"final_blend_{self.title}.parquet"

    def scores(self, results: Results) -> Path:
        """The score table of the artifacts and the blend."""
        return results.blend / f"scores_{self.title}.json"

    def report(self, results: Results) -> Path:
        """The page on the weights, which are the same with every option."""
        return results.blend / f"report_{self.table}.html"

    def weights(self, results: Results) -> Path:
        """The weights that were searched."""
        return results.blend / f"weights_{self.table}.csv"

    def errors(self, results: Results) -> Path:
        """The Gram matrices of the validation errors, from which all searches and reports start."""
        return results.blend / f"gram_{self.among}.npz"

    def read_table(self, results: Results) -> WeightTable:
        """Read the weights; searched weights from the results.

        Raises KitError if their file is missing or malformed.
        """
        if not self.search:
            return tables.find(self.source)
        stored = tables.read(self.weights(results))
        return WeightTable(self.table, stored.rows, stored.fields)


def parse_blends(table_list: str, options: Sequence[str] = ()) -> List[BlendName]:
    """Parse TABLE, a list with commas, in order.

    Raises KitError if it is empty, if an entry is unknown, or if two entries would write the same
    files.
    """
    blends = [
        BlendName.parse(entry.strip(), options) for entry in table_list.split(",") if entry.strip()
    ]
    if not blends or len({name.table for name in blends}) != len(blends):
        raise KitError(
            "two tables have the same name" if blends else "names no table",
            f"the tables {table_list!r}",
            "give each table once, and files of different names",
        )
    return blends
