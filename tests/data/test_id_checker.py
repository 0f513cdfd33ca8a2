"""Ids that differ are named by their row, and a missing or surplus row by the counts."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leapkit.core.errors import KitError
from leapkit.data.id_checker import IdChecker, require_ids
from tests.helpers.refusals import refused

PATH = Path("x.csv")
IDS = [f"test_{k}" for k in range(7)]


def blocks_of(ids: List[str], size: int) -> List[List[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_equal_ids_pass_in_blocks_of_any_size_and_each_block_has_its_rows(size: int) -> None:
    checker = IdChecker(IDS, PATH, "make it again")
    ids_of_blocks = [IDS[checker.take(block)] for block in blocks_of(IDS, size)]
    checker.finish()
    assert [name for block in ids_of_blocks for name in block] == IDS


@given(st.integers(0, 6), st.integers(1, 7))
def test_the_first_row_that_differs_is_named_with_both_ids(row: int, size: int) -> None:
    ids = IDS[:row] + ["other"] * (7 - row)
    checker = IdChecker(IDS, PATH, "make it again")
    with pytest.raises(KitError) as caught:
        for block in blocks_of(ids, size):
            checker.take(block)
    assert f"row {row + 1} has the sample_id other, sample_submission.csv has test_{row}" in str(
        caught.value
    )


def test_too_few_and_too_many_rows_are_refused_by_their_counts() -> None:
    checker = IdChecker(IDS, PATH, "make it again")
    checker.take(IDS[:5])
    with refused(PATH, "has 5 rows, sample_submission.csv has 7", "make it again"):
        checker.finish()
    with refused(PATH, "has more rows than sample_submission.csv (7)"):
        checker.take([*IDS[5:], "test_7"])


def test_the_message_names_the_file_that_the_ids_are_from() -> None:
    with refused(PATH, "row 12 has the sample_id b, the withheld truth has a"):
        require_ids(["b"], ["a"], 11, PATH, "make it again", "the withheld truth")
    with refused(PATH, "has fewer rows than the withheld truth"):
        require_ids([], ["a"], 11, PATH, "make it again", "the withheld truth")
