"""What the blend would do, and why (standard library only)."""
from __future__ import annotations

from pathlib import Path
from typing import List, Mapping, Sequence

from blend import tables
from leapkit.errors import KitError
from leapkit.files import HashIndex
from leapkit.receipts import Verdict, judge
from leapkit.world import Submission

SEARCHED = "searched"


def final_path(places: Submission, table: str) -> Path:
    return places.blend / ("final_blend_%s.parquet" % table)


def searched_path(places: Submission) -> Path:
    return places.blend / "weights_searched.csv"


def scores_path(places: Submission, table: str) -> Path:
    return places.blend / ("scores_%s.json" % table)


def judge_blend(name: str, places: Submission, index: HashIndex, coming: Sequence[str], mine: Sequence[str]) -> Verdict:
    """Whether the final blend holds.

    coming  artifacts that this run is about to make
    mine    artifacts that this kit's members can make
    """
    target = final_path(places, SEARCHED if name == SEARCHED else tables.find(name).name)
    if name == SEARCHED:
        if coming or not searched_path(places).exists():
            return Verdict(False, "its weights are searched after the members have run")
        table = tables.Table(SEARCHED, tables.read(searched_path(places)).rows)
    else:
        table = tables.find(name)
    missing = missing_artifacts(table, places, coming)
    if missing:
        raise KitError("%d of %d parquets are missing or without receipt: %s" % (
            len(missing), len(table.rows), _some(missing, mine)), "table " + name,
            "make them, or put your own into %s and run `make verify`" % places.subs)
    if coming:
        return Verdict(False, "%d of its parquets are about to be made" % len(coming))
    inputs = {"weights": table.sha256}
    inputs.update((places.parquet(a).name, index.of(places.parquet(a))) for a, _ in table.rows)
    return judge(target, inputs, index)


def missing_artifacts(table: tables.Table, places: Submission, coming: Sequence[str]) -> List[str]:
    return [artifact for artifact, _ in table.rows if artifact not in coming and not (
        places.parquet(artifact).exists() and (places.subs / (artifact + ".receipt.json")).exists())]


def _some(missing: Sequence[str], mine: Sequence[str]) -> str:
    shown: Mapping[bool, str] = {True: "", False: " (no member of this kit makes it)"}
    head = ", ".join(name + shown[name in mine] for name in missing[:3])
    return head + (" and %d more" % (len(missing) - 3) if len(missing) > 3 else "")
