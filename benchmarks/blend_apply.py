"""The blend of 16 parquets: all frames in memory and a pandas file against the kit's row groups, verified."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from benchmarks import source
from benchmarks.measure import Case, Side, Step
from benchmarks.parquet import require_equal_tables

if TYPE_CHECKING:
    from blend.tables import Table
    from leapkit.world import Submission

NAME = "blend_apply"


def _table() -> Table:
    from blend.tables import find
    return find("v10")


def _places(case: Case) -> Submission:
    from leapkit.world import Submission
    return Submission(case.place(NAME))


def make(case: Case) -> None:
    """Sixteen artifacts of the published table, in the kit's own format: both sides read these same files."""
    from leapkit import submission
    _places(case).subs.mkdir(exist_ok=True)
    for model, (artifact, _) in enumerate(_table().rows):
        submission.write(_places(case).parquet(artifact), source.ids(case.rows),
                         source.submissions(case, case.rows, model))


def published(case: Case) -> None:
    """reference/data_pipeline.md 6: sixteen frames at once, summed in the table's order from 0, by position."""
    import pandas as pd
    places, table = _places(case), _table()
    frames = {artifact: pd.read_parquet(places.parquet(artifact)) for artifact, _ in table.rows}
    total = 0
    for artifact, weight in table.rows:
        total = total + weight * frames[artifact].iloc[:, 1:].values
    result = frames[table.rows[0][0]].copy()
    result.iloc[:, 1:] = total
    result.to_parquet(_path(case, "published"))


def ours(case: Case) -> None:
    from blend.apply import blended
    from leapkit import submission
    path, ids = _path(case, "ours"), source.ids(case.rows)
    submission.write(path, ids, blended(_table(), _places(case), ids))
    submission.verify(path, ids, None)


def _path(case: Case, side: str) -> Path:
    return case.place(NAME, side) / "final_blend.parquet"


def compare(case: Case, found: Mapping[str, Any]) -> str:
    require_equal_tables(_path(case, "published"), _path(case, "ours"))
    return "bit-identical"


STEP = Step(
    title="blend of 16 parquets", goal=">= 3x, <= 1000 MB", cores=0,
    sides={"published": Side(("numpy", "pandas", "pyarrow.parquet", "blend.tables"), published),
           "ours": Side(("numpy", "blend.apply"), ours)},
    size=lambda case: "16 x %d x 368" % case.rows, make=make, evidence=lambda case, side, result: None,
    compare=compare)
