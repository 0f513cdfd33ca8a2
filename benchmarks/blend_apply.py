"""The blend of 16 parquets: all frames in memory and a pandas file against the kit's row groups, verified.

The published way holds 56 kB a row. Where the rows asked for do not fit it is measured on as many as do, and so is
the kit, for the ratio; the kit is then measured on all rows too.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from benchmarks import source
from benchmarks.measure import Case, Side, Step
from benchmarks.parquet import require_equal_tables

if TYPE_CHECKING:
    from blend.tables import Table
    from leapkit.core.layout import Results

NAME = "blend_apply"
_BYTES_A_ROW = 56_000  # of the published way: 16 frames, a base, the sum and temporaries


def _fitting(case: Case) -> int:
    """Rows that the published way can take in three quarters of this machine's memory."""
    import os

    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(case.rows, int(memory * 0.75 / _BYTES_A_ROW))


def _table() -> Table:
    from blend.tables import find

    return find("v10")


def _places(case: Case, rows: int) -> Results:
    from leapkit.core.layout import Results

    return Results(case.place(NAME, "rows-%d" % rows))


def make(case: Case) -> None:
    """Sixteen artifacts of the published table, in the kit's own format: both sides read these same files."""
    from leapkit.data import submission

    for rows in {_fitting(case), case.rows}:
        places = _places(case, rows)
        places.subs.mkdir(exist_ok=True)

        def one(model: int, rows: int = rows, places: Results = places) -> None:
            submission.write(
                places.parquet(_table().artifacts[model]),
                source.ids(rows),
                source.submissions(case, rows, model),
            )

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, range(len(_table().rows))))


def published(case: Case) -> None:
    """reference/data_pipeline.md 6: sixteen frames at once, summed in the table's order from 0, by position."""
    import pandas as pd

    places, table = _places(case, _fitting(case)), _table()
    frames = {artifact: pd.read_parquet(places.parquet(artifact)) for artifact, _ in table.rows}
    total = 0
    for artifact, weight in table.rows:
        total = total + weight * frames[artifact].iloc[:, 1:].values
    result = frames[table.rows[0][0]].copy()
    result.iloc[:, 1:] = total
    result.to_parquet(_path(case, "published"))


def _blend(case: Case, rows: int, side: str) -> None:
    from blend.apply import blended
    from leapkit.data import submission

    path, ids = _path(case, side), source.ids(rows)
    submission.write(path, ids, blended(_table(), _places(case, rows), ids))
    submission.verify(path, ids, None)


def ours(case: Case) -> None:
    _blend(case, _fitting(case), "ours")


def ours_all(case: Case) -> None:
    _blend(case, case.rows, "ours, all rows")


def _path(case: Case, side: str) -> Path:
    return case.place(NAME, side) / "final_blend.parquet"


def compare(case: Case, found: Mapping[str, Any]) -> str:
    require_equal_tables(_path(case, "published"), _path(case, "ours"))
    return "bit-identical"


def _work(case: Case, side: str) -> float:
    return case.rows if side == "ours, all rows" else _fitting(case)


STEP = Step(
    title="blend of 16 parquets",
    goal=">= 3x, <= 1000 MB",
    cores=0,
    sides={
        "published": Side(("numpy", "pandas", "pyarrow.parquet", "blend.tables"), published),
        "ours": Side(("numpy", "blend.apply"), ours),
        "ours, all rows": Side(("numpy", "blend.apply"), ours_all),
    },
    size=lambda case: (
        "16 x %d x 368" % _fitting(case)
        + (", all: %d" % case.rows if case.rows > _fitting(case) else "")
    ),
    make=make,
    evidence=lambda case, side, result: None,
    compare=compare,
    work=_work,
)
