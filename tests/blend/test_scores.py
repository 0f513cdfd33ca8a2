"""Scores on the test rows name the first row whose sample_id is not the withheld truth's."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from blend import scores
from leapkit.core.columns import SAMPLE_ID
from leapkit.core.layout import RawData
from leapkit.data.submission import OpenedParquet
from tests.helpers.refusals import refused

SCORERS = [
    scores.of_parquet,
    lambda parquet, truth: scores.holdout_gram([parquet], truth),
]
scorers = pytest.mark.parametrize("score", SCORERS, ids=["streamed", "as products"])
Scorer = Callable[[OpenedParquet, OpenedParquet], object]


def other_ids(table: pa.Table) -> pa.Table:
    ids = table[SAMPLE_ID].to_pylist()
    ids[5] = "another"
    return table.set_column(0, table.schema.field(SAMPLE_ID), pa.array(ids, pa.string()))


@scorers
@pytest.mark.parametrize(
    "change, words",
    [
        (lambda table: table.slice(0, 100), "has fewer rows than the withheld truth"),
        (lambda table: pa.concat_tables([table, table]), "has more rows than the withheld truth"),
        (other_ids, "row 6 has the sample_id another, the withheld truth has"),
    ],
    ids=["short", "long", "renamed"],
)
def test_rows_that_are_not_the_truths_are_refused(
    score: Scorer,
    change: Callable[[pa.Table], pa.Table],
    words: str,
    tiny_world: Path,
    tmp_path: Path,
) -> None:
    truth = RawData(tiny_world).truth
    path = tmp_path / "mine.parquet"
    pq.write_table(change(pq.read_table(truth)), path, row_group_size=72)
    copy = tmp_path / "truth.parquet"
    pq.write_table(pq.read_table(truth), copy, row_group_size=72)
    with refused(path, words):
        score(OpenedParquet(path), OpenedParquet(copy))
