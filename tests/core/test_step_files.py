"""Step files are paired by their names; what is missing or unexpected is named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Set, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leapkit.core.step_files import (
    MonthListing,
    StepPair,
    list_months,
    list_pairs,
    read_month,
    steps_of,
)
from tests.helpers.refusals import refused
from tests.helpers.step_names import make_names, mli_name, mlo_name

FUZZ = dict(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def test_pairs_come_sorted_by_path_over_months(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-02", ("01-00000",))
    make_names(tmp_path, "0008-01", ("02-01200", "01-85200", "01-02400"))
    (tmp_path / "0008-01" / "README.txt").touch()
    (tmp_path / "notes").mkdir()
    assert list_months(tmp_path) == ["0008-01", "0008-02"]
    pairs = list_pairs(tmp_path)
    assert [p.mli.name[-19:-3] for p in pairs] == [
        "0008-01-01-02400",
        "0008-01-01-85200",
        "0008-01-02-01200",
        "0008-02-01-00000",
    ]
    assert all(p.mlo.name == p.mli.name.replace("mli", "mlo") and p.mlo.exists() for p in pairs)


@pytest.mark.parametrize("kind, counterpart", [("mli", "mlo"), ("mlo", "mli")])
def test_a_missing_counterpart_is_refused(tmp_path: Path, kind: str, counterpart: str) -> None:
    make_names(tmp_path, "0008-01", ("01-00000",))
    make_names(tmp_path, "0008-01", ("01-01200",), (kind,))
    with refused(f"E3SM-MMF.{kind}.0008-01-01-01200.nc", counterpart, "download the missing file"):
        list_pairs(tmp_path)


def test_an_empty_a_missing_month_and_a_missing_root_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0008-01").mkdir()
    with refused(tmp_path / "0008-01", "holds no step files"):
        list_pairs(tmp_path)
    with refused(tmp_path / "0008-02", "the month is missing"):
        list_pairs(tmp_path, ["0008-02"])
    with refused(tmp_path / "nowhere", "missing", "RAW_DATA="):
        list_pairs(tmp_path / "nowhere")


UNEXPECTED = [
    mli_name("0008-03-01-00000"),
    mlo_name("0008-03-01-00000"),  # of another month
    mli_name("0009-02-01-00000"),
    mli_name("0008-02-29-00000"),
    mlo_name("0008-02-30-00000"),
    mli_name("0008-02-00-00000"),
    mli_name("0008-02-01-00001"),
    mli_name("0008-02-01-01199"),
    mli_name("0008-02-01-86400"),
    mli_name("0008-02-01-99999"),
    mli_name("0008-02-01-00000") + ".part",
    mli_name("0008-02-01-01200") + ".tmp",
    ".partial-" + mli_name("0008-02-01-00000"),
    "." + mli_name("0008-02-01-00000") + ".swp",
    mli_name("0008-02-1-00000"),
    mli_name("0008-02-01-0"),
    mli_name("0008-2-01-00000"),
    "E3SM-MMF.mlx.0008-02-01-00000.nc",
    "e3sm-mmf.mli.0008-02-01-00000.nc",
    "E3SM-MMF.mli.0008-02-01-00000.nc4",
    "E3SM-MMF_mli_0008-02-01-00000.nc",
    "copy of " + mli_name("0008-02-01-00000"),
    "README",
    "wget-log",
    "a\u00e9.nc",
]


def test_unexpected_names_are_neither_steps_nor_errors_but_are_listed(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-02", ("28-85200", "01-00000"))
    for name in UNEXPECTED:
        (tmp_path / "0008-02" / name).touch()
    (tmp_path / "0008-02" / "old").mkdir()
    (tmp_path / "0008-02" / "old" / (mli_name("0008-02-02-00000"))).touch()  # nobody looks into it
    month = read_month(tmp_path / "0008-02")
    assert [pair.stamp for pair in month.pairs] == ["0008-02-01-00000", "0008-02-28-85200"]
    assert month.unpaired == () and month.unexpected == tuple(sorted(UNEXPECTED + ["old"]))
    assert list_pairs(tmp_path) == list(month.pairs)


def test_a_name_that_ends_in_a_line_end_is_unexpected(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-02", ("01-00000",))
    for name in (mli_name, mlo_name):
        (tmp_path / "0008-02" / (name("0008-02-02-00000") + "\n")).touch()
    assert [pair.stamp for pair in read_month(tmp_path / "0008-02").pairs] == ["0008-02-01-00000"]


@pytest.mark.parametrize(
    "month, days",
    [
        ("0001-02", 28),
        ("0004-02", 28),
        ("0008-01", 31),
        ("0008-04", 30),
        ("0008-06", 30),
        ("0008-07", 31),
        ("0008-08", 31),
        ("0008-09", 30),
        ("0008-11", 30),
        ("0008-12", 31),
    ],
)
def test_a_month_is_whole_in_a_calendar_without_leap_years(
    tmp_path: Path, month: str, days: int
) -> None:
    assert steps_of(month) == 72 * days
    make_names(tmp_path, month, (f"{days:02d}-85200", f"{days + 1:02d}-00000"))
    listing = read_month(tmp_path / month)
    assert [pair.stamp for pair in listing.pairs] == [f"{month}-{days:02d}-85200"] and len(
        listing.unexpected
    ) == 2
    assert listing.line().startswith(f"{month}: 1 of {72 * days} steps; not step files: ")


STAMP = st.builds(
    lambda day, step: f"0008-04-{day:02d}-{1200 * step:05d}",
    st.integers(0, 32),
    st.integers(0, 73),
)


@given(
    mli=st.sets(STAMP, max_size=8),
    mlo=st.sets(STAMP, max_size=8),
    unexpected=st.sets(st.sampled_from(UNEXPECTED), max_size=3),
)
@settings(max_examples=40, **FUZZ)
def test_every_name_of_a_month_is_a_step_or_unpaired_or_unexpected(
    tmp_path: Path, mli: Set[str], mlo: Set[str], unexpected: Set[str]
) -> None:
    folder = tmp_path / "0008-04"
    shutil.rmtree(str(folder), ignore_errors=True)
    folder.mkdir()
    names = {mli_name(stamp) for stamp in mli} | {mlo_name(stamp) for stamp in mlo} | unexpected
    for name in names:
        (folder / name).touch()
    month = read_month(folder)
    assert sorted(
        [path.name for pair in month.pairs for path in (pair.mli, pair.mlo)]
        + list(month.unpaired)
        + list(month.unexpected)
    ) == sorted(names)
    real = {stamp for stamp in mli | mlo if 1 <= int(stamp[8:10]) <= 30 and int(stamp[11:]) < 86400}
    assert [pair.stamp for pair in month.pairs] == sorted(real & mli & mlo)
    assert list(month.unpaired) == sorted(month.unpaired) and list(month.unexpected) == sorted(
        month.unexpected
    )
    assert set(month.unpaired) == {mli_name(s) for s in real & mli - mlo} | {
        mlo_name(s) for s in real & mlo - mli
    }
    assert all(
        pair.month == "0008-04" and pair.mli.parent == pair.mlo.parent == folder
        for pair in month.pairs
    )


def pairs_of(month: str, count: int) -> Tuple[StepPair, ...]:
    return tuple(
        StepPair(Path(month), f"{month}-{k // 72 + 1:02d}-{k % 72 * 1200:05d}")
        for k in range(count)
    )


@pytest.mark.parametrize(
    "count, unpaired, unexpected, line",
    [
        (2016, 0, 0, "0008-02: whole, 2016 steps"),
        (2015, 0, 0, "0008-02: 2015 of 2016 steps"),
        (0, 0, 0, "0008-02: 0 of 2016 steps"),
        (1, 1, 0, "0008-02: 1 of 2016 steps; without their counterpart: l0"),
        (1, 3, 0, "0008-02: 1 of 2016 steps; without their counterpart: l0, l1, l2"),
        (
            1,
            4,
            1,
            "0008-02: 1 of 2016 steps; without their counterpart: l0, l1, l2 and 1 more; "
            "not step files: o0",
        ),
        (2016, 0, 5, "0008-02: whole, 2016 steps; not step files: o0, o1, o2 and 2 more"),
    ],
)
def test_a_month_says_in_a_line_what_it_holds(
    count: int, unpaired: int, unexpected: int, line: str
) -> None:
    assert (
        MonthListing(
            "0008-02",
            pairs_of("0008-02", count),
            tuple(f"l{k}" for k in range(unpaired)),
            tuple(f"o{k}" for k in range(unexpected)),
        ).line()
        == line
    )


def test_a_month_that_is_there_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-01", ("01-00000", "31-85200"))
    make_names(tmp_path, "0008-01", ("02-00000",), ("mlo",))
    (tmp_path / "0008-01" / "wget-log").touch()
    assert read_month(tmp_path / "0008-01").line() == (
        "0008-01: 2 of 2232 steps; without their counterpart: E3SM-MMF.mlo.0008-01-02-00000.nc; "
        "not step files: wget-log"
    )


@pytest.mark.parametrize("kind, counterpart", [("mli", "mlo"), ("mlo", "mli")])
def test_of_many_missing_counterparts_the_first_is_named_and_the_others_are_counted(
    tmp_path: Path, kind: str, counterpart: str
) -> None:
    make_names(tmp_path, "0008-01", ("01-00000",))
    make_names(tmp_path, "0008-01", ("01-02400", "01-01200", "01-03600"), (kind,))
    unpaired = f"E3SM-MMF.{kind}.0008-01-01-01200.nc"
    with refused(
        tmp_path / "0008-01" / unpaired,
        f"its counterpart {unpaired.replace(kind, counterpart)} is missing (and 2 more are)",
    ):
        list_pairs(tmp_path)
    assert read_month(tmp_path / "0008-01").unpaired == tuple(
        f"E3SM-MMF.{kind}.0008-01-01-0{k}00.nc" for k in (12, 24, 36)
    )


def test_one_missing_counterpart_is_named_without_others(tmp_path: Path) -> None:
    make_names(tmp_path, "0008-01", ("01-00000",), ("mlo",))
    with refused(
        "E3SM-MMF.mlo.0008-01-01-00000.nc",
        "its counterpart E3SM-MMF.mli.0008-01-01-00000.nc is missing;",
    ):
        list_pairs(tmp_path)


def test_a_month_of_unexpected_names_only_holds_no_steps(tmp_path: Path) -> None:
    (tmp_path / "0008-01").mkdir()
    (tmp_path / "0008-01" / (mli_name("0008-02-01-00000"))).touch()
    with refused(tmp_path / "0008-01", "holds no step files"):
        list_pairs(tmp_path)


def test_a_month_that_is_missing_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0008-02").touch()
    for name in ("0008-01", "0008-02"):
        with refused(tmp_path / name, "the month is missing"):
            read_month(tmp_path / name)
