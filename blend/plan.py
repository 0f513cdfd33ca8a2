"""What the blend would do, and why (standard library only)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from blend import tables
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.core.receipts import Verdict, judge

# The hill climb of the field; the exact optima of sum one, without negative weights, of any sum, and shrunk to equal ones.
FORMS = ("climb", "sum-one", "simplex", "non-negative", "ridge")
SCOPES = tuple(tables.COLUMNS_OF)
# Post-processing beside the published one (blend.postprocess): off unless asked for.
OPTIONS = ("positivity", "fluxes")
_SEARCH = re.compile(
    r"(searched(?:-\w+)?)(?:\.({}))?(?:\.({}))?".format("|".join(FORMS), "|".join(SCOPES))
)


@dataclass(frozen=True)
class Search:
    """Weights to be found, as TABLE names them: searched[-<member>][.<form>][.<scope>].

    among  `searched` among the published blend's artifacts, `searched-<member>` among those of a member outside it
    """

    among: str
    form: str = FORMS[0]
    scope: str = SCOPES[0]

    @property
    def name(self) -> str:
        return self.among + "".join(
            "." + part for part in (self.form, self.scope) if part not in (FORMS[0], SCOPES[0])
        )


def search_of(name: str) -> Optional[Search]:
    """The search that a table's name asks for; None where it is a shipped table or a file, which has a suffix."""
    found = _SEARCH.fullmatch(name)
    return (
        Search(found.group(1), found.group(2) or FORMS[0], found.group(3) or SCOPES[0])
        if found
        else None
    )


def requested(names: str) -> List[str]:
    """The tables of a comma-separated list, in order. Raises KitError for none, or two that would write the same files."""
    found = [name.strip() for name in names.split(",") if name.strip()]
    titles = [table_name(name) for name in found]
    if not found or len(set(titles)) != len(titles):
        raise KitError(
            "two tables have the same name" if found else "names no table",
            f"the tables {names!r}",
            "give each table once, and files of different names",
        )
    return found


def options_of(names: str) -> Tuple[str, ...]:
    """The post-processing options of a list, in the order in which they are applied. Raises KitError."""
    asked = [name for name in re.split(r"[,\s]+", names) if name]
    unknown = [name for name in asked if name not in OPTIONS]
    if unknown:
        raise KitError(
            f"{unknown[0]!r} is no post-processing option",
            "POSTPROCESS",
            "choose from " + ", ".join(OPTIONS),
        )
    return tuple(name for name in OPTIONS if name in asked)


def table_name(name: str) -> str:
    """The name that a table's files have.

    Raises KitError when it is neither searched nor shipped nor a table file, or a file under the name of a search.
    """
    search = search_of(name)
    if search:
        return search.name
    found = tables.find(name).name
    if search_of(found):
        raise KitError(
            "has the name of a search, whose files it would write over", name, "rename it"
        )
    return found


def title(table: str, options: Sequence[str]) -> str:
    """v10, or v10+positivity: what the files of a blend are called by."""
    return "+".join((table, *options))


def final_path(results: Results, title: str) -> Path:
    return results.blend / (f"final_blend_{title}.parquet")


def searched_path(results: Results, name: str) -> Path:
    return results.blend / (f"weights_{name}.csv")


def scores_path(results: Results, title: str) -> Path:
    return results.blend / (f"scores_{title}.json")


def report_path(results: Results, table: str) -> Path:
    return results.blend / (f"report_{table}.html")


def gram_path(results: Results, name: str) -> Path:
    """What the searches among the same artifacts, and the reports on them, all start from."""
    return results.blend / (f"gram_{name}.npz")


def inputs_of(
    table: tables.Table,
    parquets: Mapping[str, str],
    options: Sequence[str],
    raw: Optional[RawData],
    index: HashIndex,
) -> Dict[str, str]:
    """{role: sha256} of all that a final parquet is made from; parquets by file name."""
    inputs = {"weights": table.sha256, **parquets}
    if options:
        inputs["post-processing"] = "+".join(options)
        if "positivity" in options and raw:  # the states that it bounds by
            inputs["test.csv"] = index.of(raw.test_csv)
    return inputs


def judge_blend(
    name: str,
    results: Results,
    index: HashIndex,
    coming: Sequence[str],
    mine: Sequence[str],
    options: Sequence[str] = (),
    raw: Optional[RawData] = None,
) -> Verdict:
    """Whether the final blend holds.

    coming  artifacts that this run is about to make
    mine    artifacts that this kit's members can make
    raw     where the post-processing options find what they bound by
    """
    search = search_of(name)
    if search:
        path = searched_path(results, search.name)
        if coming or not path.exists():
            return Verdict(False, "its weights are searched after the members have run")
        read = tables.read(path)
        table = tables.Table(search.name, read.rows, read.columns)
    else:
        table = tables.find(name)
    missing = missing_artifacts(table, results, coming)
    if missing:
        raise KitError(
            "%d of %d parquets are missing or without receipt: %s"
            % (len(missing), len(table.rows), _some(missing, mine, results)),
            "table " + name,
            f"make them, or put your own into {results.subs} and run `make verify`",
        )
    if coming:
        return Verdict(False, "%d of its parquets are about to be made" % len(coming))
    parquets = {results.parquet(a).name: index.of(results.parquet(a)) for a in table.artifacts}
    return judge(
        final_path(results, title(table.name, options)),
        inputs_of(table, parquets, options, raw, index),
        index,
    )


def missing_artifacts(table: tables.Table, results: Results, coming: Sequence[str]) -> List[str]:
    return [
        artifact
        for artifact in table.artifacts
        if artifact not in coming
        and not (
            results.parquet(artifact).exists()
            and (results.subs / (artifact + ".receipt.json")).exists()
        )
    ]


def misnamed(results: Results, artifact: str) -> str:
    """The file that lies there under another name of the artifact, if one does."""
    found = [results.parquet(name) for name in tables.other_names(artifact)]
    return next((path.name for path in found if path.exists()), "")


def _some(missing: Sequence[str], mine: Sequence[str], results: Results) -> str:
    shown = []
    for name in missing[:3]:
        other = misnamed(results, name)
        remark = (
            f"{other} lies there: rename it" if other else "" if name in mine else unknown(name)
        )
        shown.append(name + (f" ({remark})" if remark else ""))
    return ", ".join(shown) + (" and %d more" % (len(missing) - 3) if len(missing) > 3 else "")


def unknown(artifact: str) -> str:
    """What to say of an artifact that no member makes."""
    close = tables.resembling(artifact)
    return "no member of this kit makes it" + (f", is {close} meant?" if close else "")


def mend(artifact: str) -> str:
    """The command that makes an artifact, or makes it count."""
    return (
        f"run `make infer-only EXPERIMENTS={artifact}` (published checkpoint) or `make reproduce EXPERIMENTS={artifact}` (training); "
        "`make verify` admits a file of your own"
    )
