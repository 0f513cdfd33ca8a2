"""Sizes and times read as people say them."""

from __future__ import annotations

import pytest

from leapkit.core import amounts


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (999.7, "1.0 kB"),
        (6_150_000, "6.2 MB"),
        (99_960_000, "100 MB"),
        (182e9, "182 GB"),
        (41.5e12, "41.5 TB"),
        (2e16, "20000 TB"),
    ],
)
def test_bytes_read_in_powers_of_1000(count: float, text: str) -> None:
    assert amounts.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (4.6, "4.6 s"),
        (59.6, "60 s"),
        (93.4, "1 min 33 s"),
        (3600.0, "1 h"),
        (7384.0, "2 h 3 min"),
        (90000.0, "1 d 1 h"),
    ],
)
def test_a_measured_time_reads_in_the_two_units_that_it_fills(seconds: float, text: str) -> None:
    assert amounts.duration(seconds) == text


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (0, "1 s"),
        (40 / 3600, "40 s"),
        (0.25, "15 min"),
        (3.21, "3.2 h"),
        (13.7, "14 h"),
        (72, "3.0 days"),
        (24_000, "2.7 years"),
    ],
)
def test_an_estimate_reads_with_the_digits_that_it_is_worth(hours: float, text: str) -> None:
    assert amounts.rough_hours(hours) == text
