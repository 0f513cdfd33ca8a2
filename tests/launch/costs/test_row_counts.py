"""How many rows a world has, from names and sizes of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.costs import row_counts
from leapkit.core.layout import RawData
from leapkit.core.recipes import RowSelection
from leapkit.core.splits import Split, training_pairs, validation_pairs, write_split
from leapkit.core.step_files import COLUMNS, file_name


def write_steps(raw: RawData, month: str, count: int) -> None:
    (raw.steps / month).mkdir(parents=True)
    for step in range(count):
        stamp = f"{month}-{1 + step // 72:02d}-{1200 * (step % 72):05d}"
        for kind in ("mli", "mlo"):
            (raw.steps / month / file_name(kind, stamp)).touch()


@pytest.mark.parametrize("stride", [1, 3, 7])
def test_rows_are_those_that_the_readers_take(tmp_path: Path, stride: int) -> None:
    """A month that trains and validates gives each step to one of both."""
    raw = RawData(tmp_path)
    counts = {"0008-05": 9, "0008-06": 10, "0008-07": 4, "0008-08": 5}
    for month, count in counts.items():
        write_steps(raw, month, count)
    split = Split(("0008-05", "0008-06", "0008-08"), ("0008-06", "0008-07", "0008-08"), stride)
    write_split(tmp_path / "split.json", split)
    rows = row_counts.of_world(raw, row_counts.read_months(raw))
    assert rows.validation == COLUMNS * len(validation_pairs(raw.steps, split))
    for first in ("0001-02", "0008-06"):
        pairs = training_pairs(raw.steps, split, first)
        assert rows.selected(RowSelection(first)) == COLUMNS * len(pairs)
    part = rows.selected(RowSelection(fraction=0.65))
    assert part == int(0.65 * rows.selected(RowSelection()))


def test_a_world_without_step_files_has_no_rows(tmp_path: Path) -> None:
    raw = RawData(tmp_path)
    rows = row_counts.of_world(raw, row_counts.read_months(raw))
    assert (rows.selected(RowSelection()), rows.validation, rows.test) == (0, 0, 0)


@pytest.mark.parametrize("lines", [0, 3, 40_000])
def test_lines_of_a_csv_file_are_counted_from_its_head(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "test.csv"
    body = "".join(f"test_{k},{k / 7:.9f},{'9' * (20 + k % 13)}\n" for k in range(lines))
    path.write_text("id,a,b\n" + body)
    assert path.stat().st_size > row_counts._HEAD or lines < 40_000
    assert abs(row_counts.lines_of(path) - lines) <= 0.02 * lines
    assert row_counts.lines_of(tmp_path / "missing.csv") == 0


def test_the_sample_worlds_rows_are_known_before_it_is_made() -> None:
    rows = row_counts.of_sample_world()
    assert rows.selected(RowSelection()) == 18_432
    assert (rows.validation, rows.test) == (2_688, 2_688)
