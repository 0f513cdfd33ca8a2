"""The inputs of a step are named by role and follow the content of the files behind them."""

from __future__ import annotations

from pathlib import Path

import pytest

from leapkit.core.hash_index import HashIndex
from leapkit.core.input_hashes import InputHashes
from leapkit.core.layout import RawData
from leapkit.core.recipes import RowSelection
from leapkit.core.splits import Split, write_split
from leapkit.core.step_files import file_name
from tests.helpers.refusals import refused


@pytest.fixture
def raw(tmp_path: Path) -> RawData:
    """Return a world of three months with two steps each; the last month validates."""
    raw = RawData(tmp_path)
    for month in ("0008-01", "0008-02", "0008-03"):
        for seconds in ("00000", "01200"):
            for kind in ("mli", "mlo"):
                path = raw.steps / month / file_name(kind, f"{month}-01-{seconds}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(path.name)
    write_split(tmp_path / "split.json", Split(("0008-01", "0008-02"), ("0008-03",), 1))
    return raw


def hashes(raw: RawData) -> InputHashes:
    return InputHashes(raw, HashIndex())


def test_a_first_month_changes_what_trains_and_not_what_validates(raw: RawData) -> None:
    index_hashes = hashes(raw)
    every_month = index_hashes.steps("0008-01")
    later = index_hashes.steps("0008-02")
    assert set(every_month) == {"split", "training steps", "validation steps"}
    changed = {role for role in every_month if every_month[role] != later[role]}
    assert changed == {"training steps"}


def test_what_validates_is_told_without_reading_what_trains(raw: RawData) -> None:
    every = hashes(raw).steps("0008-01")
    for path in (raw.steps / "0008-01").iterdir():
        path.unlink()
    assert hashes(raw).validation().items() == every.items() - {
        ("training steps", every["training steps"])
    }


def test_a_changed_step_file_changes_the_hash_of_its_role_alone(raw: RawData) -> None:
    before = hashes(raw).steps("0008-01")
    next((raw.steps / "0008-03").iterdir()).write_text("changed")
    after = hashes(raw).steps("0008-01")
    assert {role for role in before if before[role] != after[role]} == {"validation steps"}


def test_the_file_that_names_the_rows_counts_only_if_the_user_has_it(raw: RawData) -> None:
    selection = RowSelection(first_month="0008-01", index="v3_index.pt")
    assert hashes(raw).rows(selection) == hashes(raw).steps("0008-01")
    (raw.root / "v3_index.pt").write_bytes(b"rows")
    added = set(hashes(raw).rows(selection)) - set(hashes(raw).steps("0008-01"))
    assert added == {"experiment index"}


def test_a_missing_file_is_named_with_the_command_that_says_how_to_get_it(raw: RawData) -> None:
    with refused(raw.test_csv, "the file is missing", "make fetch"):
        hashes(raw).test()
    with refused(raw.statistics("adam") / "mean.json", "the file is missing"):
        hashes(raw).scaling("adam")
