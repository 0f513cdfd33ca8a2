"""Months as a user writes them, and the steps that a split trains and validates on."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import pytest

from leapkit.core.layout import RawData
from leapkit.core.splits import (
    PUBLISHED,
    Split,
    months_between,
    months_of,
    read_split,
    scaled_down,
    training_pairs,
    validation_pairs,
    write_split,
)
from leapkit.core.step_files import list_pairs
from tests.helpers.refusals import refused
from tests.helpers.step_names import make_names


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


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0008-01", ("0008-01",)),
        ("0008-11:0009-02", ("0008-11", "0008-12", "0009-01", "0009-02")),
        ("0008-01:0008-02,0008-07", ("0008-01", "0008-02", "0008-07")),
        ("0008-03:0008-03", ("0008-03",)),
    ],
)
def test_months_are_ranges_and_commas(text: str, expected: Tuple[str, ...]) -> None:
    assert months_of(text, "--train") == expected


def test_the_published_split_has_89_training_and_7_validation_months() -> None:
    assert (
        len(PUBLISHED.train) == 89
        and PUBLISHED.train[0] == "0001-02"
        and PUBLISHED.train[-1] == "0008-06"
    )
    assert (
        PUBLISHED.validation == months_between("0008-07", "0009-01")
        and len(PUBLISHED.validation) == 7
    )
    assert PUBLISHED.validation_stride == 7


@pytest.mark.parametrize(
    "options",
    [
        dict(train=()),
        dict(validation=()),
        dict(validation_stride=0),
        dict(train=("8-1",)),
        dict(test=("0008-01",)),
        dict(test=("0008-07",)),
        dict(train=("0008-01", "0008-01")),
        dict(train=("0008-13",)),
    ],
)
def test_an_impossible_split_is_refused(options: dict) -> None:
    with pytest.raises(ValueError):
        Split(
            **dict(
                dict(
                    train=("0008-01",),
                    validation=("0008-07",),
                    validation_stride=7,
                    test=("0009-02",),
                ),
                **options,
            )
        )


def test_a_split_reads_back_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    kind = Split(("0008-01",), ("0008-01",), 2, ("0008-02",))
    write_split(tmp_path / "split.json", kind)
    assert read_split(tmp_path / "split.json") == kind
    for content in (
        "[]",
        "{}",
        "{",
        '{"train": 7}',
        '{"train": [], "validation": [], "validation_stride": 1, "test": []}',
        '{"train": ["0008-01"], "validation": ["0008-01"], "validation_stride": 1.5, "test": []}',
        '{"train": ["0008-01"], "validation": ["0008-01"], "validation_stride": true, "test": []}',
        '{"train": ["0008-01\\n"], "validation": ["0008-01"], "validation_stride": 1, "test": []}',
    ):
        (tmp_path / "split.json").write_text(content)
        with refused(tmp_path / "split.json", "make split"):
            read_split(tmp_path / "split.json")


@pytest.mark.parametrize(
    "existing, train, validation",
    [
        (
            PUBLISHED.train + PUBLISHED.validation + ("0009-02",),
            PUBLISHED.train,
            PUBLISHED.validation,
        ),
        (("0003-05", "0008-09"), ("0003-05",), ("0008-09",)),
        (
            ("0001-01", "0001-02", "0008-06"),
            ("0001-01", "0001-02", "0008-06"),
            ("0008-06",),
        ),  # nothing that validates
        (("0008-07", "0008-12"), ("0008-07", "0008-12"), ("0008-12",)),  # nothing to train on
        (("0009-05",), ("0009-05",), ("0009-05",)),
    ],
)
def test_the_published_rule_scales_down(
    existing: Tuple[str, ...], train: Tuple[str, ...], validation: Tuple[str, ...]
) -> None:
    assert scaled_down(PUBLISHED, existing) == Split(train, validation, 7)


def test_without_split_json_the_published_rule_takes_the_months_that_are_there(
    real_steps: Path, tmp_path: Path
) -> None:
    raw = RawData(tmp_path)
    raw.steps.parent.mkdir()
    raw.steps.symlink_to(real_steps)
    assert raw.split() == Split(months_between("0008-01", "0008-06"), ("0008-07", "0008-08"), 7)
    validation = raw.validation_pairs()
    training = raw.training_pairs()
    assert validation == list_pairs(raw.steps, ["0008-07", "0008-08"])[::7]
    assert training == list_pairs(raw.steps, raw.split().train) and len(validation) == 2


def test_without_any_month_there_is_no_split(tmp_path: Path) -> None:
    raw = RawData(tmp_path)
    with refused(raw.steps, "the folder of step files is missing"):
        raw.split()
    raw.steps.mkdir(parents=True)
    with refused(raw.steps, "holds no month"):
        raw.split()


def test_validation_takes_every_seventh_step_and_training_takes_none_of_them(
    tmp_path: Path,
) -> None:
    for month in ("0008-01", "0008-02"):
        make_names(tmp_path, month, tuple(f"01-{1200 * k:05d}" for k in range(10)))
    split = Split(("0008-01", "0008-02"), ("0008-02", "0008-01"), 7)
    validation = validation_pairs(tmp_path, split)
    training = training_pairs(tmp_path, split)
    assert len(validation) == 3 and len(training) == 17
    assert not {p.mli for p in validation} & {p.mli for p in training}
    assert {p.mli for p in validation + training} == {p.mli for p in list_pairs(tmp_path)}
    # the stride runs on over the end of a month, as over the team's seven months
    assert validation == list_pairs(tmp_path, split.validation)[0:20:7]


def test_a_first_month_leaves_the_earlier_ones_out(tmp_path: Path) -> None:
    for month in ("0008-01", "0008-02", "0008-03"):
        make_names(tmp_path, month, ("01-00000", "01-01200"))
    split = Split(("0008-01", "0008-02"), ("0008-03",), 1)
    assert {p.month for p in training_pairs(tmp_path, split, "0008-02")} == {"0008-02"}
    with refused(tmp_path, "0008-03"):
        training_pairs(tmp_path, split, "0008-03")
