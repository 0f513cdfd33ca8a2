"""The blend of 16 parquets: all frames in memory against the kit's row groups, verified.

The published way needs 56 kB a row. If the requested rows do not fit into memory, both ways are
measured on as many as fit, for the ratio; the kit is then measured on all rows too.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from benchmarks import source
from benchmarks.case import Case, Side, Step
from benchmarks.parquet import require_equal_tables

if TYPE_CHECKING:
    from blend.tables import WeightTable
    from leapkit.core.layout import Results

NAME = "blend_apply"
_BYTES_A_ROW = 56_000  # of the published way: 16 frames, a base, the sum and temporaries


def _fitting(case: Case) -> int:
    """Return the number of rows that the published way can take in 3/4 of this machine's memory."""
    from leapkit.core import allotment

    return min(case.rows, int(allotment.memory() * 0.75 / _BYTES_A_ROW))


def _table() -> WeightTable:
    from blend.tables import find

    return find("v10")


def _results_of(case: Case, rows: int) -> Results:
    from leapkit.core.layout import Results

    return Results(case.folder_of(NAME, f"rows-{rows}"))


def make(case: Case) -> None:
    """Write the 16 artifacts of the published table in the kit's format; both sides read them."""
    from leapkit.data import submission

    for rows in {_fitting(case), case.rows}:
        results = _results_of(case, rows)
        results.subs.mkdir(exist_ok=True)

        def write_artifact(model: int, rows: int = rows, results: Results = results) -> None:
            submission.write(
                results.parquet(_table().artifacts[model]),
                source.ids(rows),
                source.submissions(case, rows, model),
            )

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write_artifact, range(len(_table().rows))))


def published(case: Case) -> None:
    """Load sixteen frames at once and sum them from 0 in the table's order, by position.

    Source: docs/reference/published.md, "Blend table".
    """
    import pandas as pd

    results = _results_of(case, _fitting(case))
    table = _table()
    frames = {artifact: pd.read_parquet(results.parquet(artifact)) for artifact, _ in table.rows}
    total = 0
    for artifact, weight in table.rows:
        total = total + weight * frames[artifact].iloc[:, 1:].values
    blend = frames[table.rows[0][0]].copy()
    blend.iloc[:, 1:] = total
    blend.to_parquet(_path(case, "published"))


def _blend(case: Case, rows: int, side: str) -> None:
    from blend.apply import Source, blended
    from leapkit.data import submission

    path = _path(case, side)
    ids = source.ids(rows)
    results = _results_of(case, rows)
    sources = [
        Source(artifact, submission.OpenedParquet(results.parquet(artifact)))
        for artifact in _table().artifacts
    ]
    submission.write(path, ids, blended(_table(), sources, ids))
    submission.verify(path, ids, None)


def ours(case: Case) -> None:
    _blend(case, _fitting(case), "ours")


def ours_all(case: Case) -> None:
    _blend(case, case.rows, "ours, all rows")


def _path(case: Case, side: str) -> Path:
    return case.folder_of(NAME, side) / "final_blend.parquet"


def compare(case: Case, evidence: Mapping[str, Any]) -> str:
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
        f"16 x {_fitting(case)} x 368"
        + (f", all: {case.rows}" if case.rows > _fitting(case) else "")
    ),
    make=make,
    evidence=lambda case, side, result: None,
    compare=compare,
    work=_work,
)
