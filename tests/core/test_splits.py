"""Months as a user writes them (tests/worlds/test_make_world.py proves splits, on whole worlds)."""

from __future__ import annotations

from typing import Tuple

import pytest

from leapkit.core.splits import months_between, months_of
from tests.helpers.refusals import refused


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0008-01", ("0008-01",)),
        ("0008-12:0009-01,0008-02", ("0008-12", "0009-01", "0008-02")),
        (" 0008-01, 0008-03  0008-07 ", ("0008-01", "0008-03", "0008-07")),
        ("0008-01 , 0008-01", ("0008-01", "0008-01")),
    ],
)
def test_months_are_listed_by_commas_or_spaces_and_keep_their_order(
    text: str, expected: Tuple[str, ...]
) -> None:
    assert months_of(text, "MONTHS") == expected


@pytest.mark.parametrize("text, item", [("0008-01,8-2", "8-2"), ("0008-03:0008-01", "0008-03:")])
@pytest.mark.parametrize("option", ["MONTHS", "--train"])
def test_what_is_not_a_month_is_named_with_its_option_and_an_example(
    text: str, item: str, option: str
) -> None:
    with refused(option, f"'{item}", "is not a month", f"write {option}=0008-01:0008-03,0009-01"):
        months_of(text, option)


def test_a_range_of_months_runs_over_the_end_of_a_year() -> None:
    assert months_between("0008-11", "0009-02") == ("0008-11", "0008-12", "0009-01", "0009-02")
