"""What the blend would do, and why (standard library only)."""
from __future__ import annotations

import re
from pathlib import Path
from typing import List, Sequence

from blend import tables
from leapkit.errors import KitError
from leapkit.files import HashIndex
from leapkit.receipts import Verdict, judge
from leapkit.world import Submission

SEARCHED = "searched"


def requested(names: str) -> List[str]:
    """The tables of a comma-separated list, in order. Raises KitError for none, or two that would write the same files."""
    found = [name for name in names.split(",") if name]
    titles = [table_name(name) for name in found]
    if not found or len(set(titles)) != len(titles):
        raise KitError("two tables have the same name" if found else "names no table", "the tables %r" % names,
                       "give each table once, and files of different names")
    return found


def is_searched(name: str) -> bool:
    """`searched`, or `searched-<group>` for a search among other artifacts; a file has a suffix and is none."""
    return re.fullmatch(SEARCHED + r"(-\w+)?", name) is not None


def table_name(name: str) -> str:
    """The name that a table's files have. Raises KitError when it is neither searched nor shipped nor a table file."""
    return name if is_searched(name) else tables.find(name).name


def final_path(places: Submission, table: str) -> Path:
    return places.blend / ("final_blend_%s.parquet" % table)


def searched_path(places: Submission, name: str) -> Path:
    return places.blend / ("weights_%s.csv" % name)


def scores_path(places: Submission, table: str) -> Path:
    return places.blend / ("scores_%s.json" % table)


def judge_blend(name: str, places: Submission, index: HashIndex, coming: Sequence[str], mine: Sequence[str]) -> Verdict:
    """Whether the final blend holds.

    coming  artifacts that this run is about to make
    mine    artifacts that this kit's members can make
    """
    if is_searched(name):
        if coming or not searched_path(places, name).exists():
            return Verdict(False, "its weights are searched after the members have run")
        table = tables.Table(name, tables.read(searched_path(places, name)).rows)
    else:
        table = tables.find(name)
    missing = missing_artifacts(table, places, coming)
    if missing:
        raise KitError("%d of %d parquets are missing or without receipt: %s" % (
            len(missing), len(table.rows), _some(missing, mine, places)), "table " + name,
            "make them, or put your own into %s and run `make verify`" % places.subs)
    if coming:
        return Verdict(False, "%d of its parquets are about to be made" % len(coming))
    inputs = {"weights": table.sha256}
    inputs.update((places.parquet(a).name, index.of(places.parquet(a))) for a, _ in table.rows)
    return judge(final_path(places, table.name), inputs, index)


def missing_artifacts(table: tables.Table, places: Submission, coming: Sequence[str]) -> List[str]:
    return [artifact for artifact, _ in table.rows if artifact not in coming and not (
        places.parquet(artifact).exists() and (places.subs / (artifact + ".receipt.json")).exists())]


def misnamed(places: Submission, artifact: str) -> str:
    """The file that lies there under another name of the artifact, if one does."""
    found = [places.parquet(name) for name in tables.other_names(artifact)]
    return next((path.name for path in found if path.exists()), "")


def _some(missing: Sequence[str], mine: Sequence[str], places: Submission) -> str:
    shown = []
    for name in missing[:3]:
        other = misnamed(places, name)
        remark = "%s lies there: rename it" % other if other else "" if name in mine else "no member of this kit makes it"
        shown.append(name + (" (%s)" % remark if remark else ""))
    return ", ".join(shown) + (" and %d more" % (len(missing) - 3) if len(missing) > 3 else "")
