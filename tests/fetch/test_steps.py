"""Months of step files."""

from __future__ import annotations

import re
from typing import Dict

import pytest

from tests.fetch.offers import MONTH, put_on_disk
from tests.fetch.user import User

pytestmark = pytest.mark.process


def test_a_whole_month_is_told_as_whole_whatever_its_number_of_columns(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    put_on_disk(user, tiny_steps)
    text = user.fetch("--months", MONTH)
    assert re.search(r"train/0008-02 +whole, 2016 steps$", text, re.M), text
    assert "0001-02" not in text


@pytest.mark.parametrize(
    "months",
    ["0008-13", "0008-02:0008-01", "8-1", "0008-01:", "0008-01,,0008-x", "0008-01:0008-02:3"],
)
def test_months_that_are_none_are_refused_with_an_example(user: User, months: str) -> None:
    text = user.refuses("--what", "steps", "--months", months)
    assert (
        "MONTHS: " in text
        and "write MONTHS=0008-01:0008-03,0009-01" in text
        and not user.raw.exists()
    )


def test_months_may_be_ranges_and_lists_and_stand_there_twice(user: User) -> None:
    text = user.fetch("--months", "0008-11:0009-01, 0008-12 0001-02")
    assert re.findall(r"train/(.*?) +missing .* MONTHS=(.*)$", text, re.M) == [
        ("0001-02", "0001-02"),
        ("0008-11 to 0009-01", "0008-11:0009-01"),
    ]
