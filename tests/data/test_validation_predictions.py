"""Validation predictions are the bytes that np.save writes, and whole under their name."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import List

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leapkit.core.columns import GROUPS
from leapkit.core.errors import KitError
from leapkit.data import validation_predictions
from leapkit.data.validation_predictions import PredictionsWriter
from tests.helpers.refusals import refused

EVERY = slice(0, 368)


def blocks(*rows: int, seed: int = 0) -> List[np.ndarray]:
    """Return blocks of predictions with the given numbers of rows, as a network gives them."""
    draw = np.random.RandomState(seed)
    return [draw.standard_normal((n, 368)).astype(np.float32) for n in rows]


def write(path: Path, chunks: List[np.ndarray], columns: slice = EVERY) -> None:
    with PredictionsWriter(path, sum(map(len, chunks)), columns) as out:
        for chunk in chunks:
            out.add(chunk)
        out.keep()


def names(folder: Path) -> List[str]:
    return sorted(path.name for path in folder.iterdir())


# --- the content ----------------------------------------------------------------------------------


@given(
    rows=st.lists(st.integers(0, 9), max_size=5),
    start=st.integers(0, 367),
    width=st.integers(1, 368),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_kept_file_has_the_bytes_of_np_save(
    tmp_path: Path, rows: List[int], start: int, width: int
) -> None:
    path = tmp_path / "oof.npy"
    chunks = blocks(*rows)
    columns = slice(start, min(start + width, 368))
    write(path, chunks, columns)
    expected = np.concatenate(chunks + [np.empty((0, 368), np.float32)])[:, columns]
    np.save(str(tmp_path / "expected.npy"), np.ascontiguousarray(expected))
    assert path.read_bytes() == (tmp_path / "expected.npy").read_bytes()


def test_what_was_kept_loads_as_the_array_and_as_a_map_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "oof.npy"
    chunks = blocks(5, 3)
    write(path, chunks)
    for predictions in (np.load(str(path)), validation_predictions.read(path)):
        assert (
            predictions.dtype == np.float32
            and predictions.shape == (8, 368)
            and (predictions == np.concatenate(chunks)).all()
        )
    assert isinstance(validation_predictions.read(path), np.memmap)
    with pytest.raises(ValueError):
        validation_predictions.read(path)[0, 0] = 1  # it is shared with whoever reads the file


@pytest.mark.parametrize("group", range(len(GROUPS)))
def test_of_a_group_only_its_columns_are_written(tmp_path: Path, group: int) -> None:
    chunks = blocks(4, 2)
    group_columns = GROUPS[group]
    write(tmp_path / "oof.npy", chunks, group_columns)
    predictions = validation_predictions.read(tmp_path / "oof.npy")
    assert (
        predictions.shape == (6, 8 if group == 0 else 60)
        and (predictions == np.concatenate(chunks)[:, group_columns]).all()
    )


def test_doubles_and_strided_blocks_are_written_as_their_numbers(tmp_path: Path) -> None:
    values = np.arange(3 * 368.0).reshape(368, 3).T  # float64, column by column
    write(tmp_path / "oof.npy", [values])
    assert (validation_predictions.read(tmp_path / "oof.npy") == values).all()


def test_saving_all_at_once_is_writing_it_block_by_block(tmp_path: Path) -> None:
    values = np.concatenate(blocks(7))[:, :60]
    validation_predictions.save(
        tmp_path / "oof.npy",
        7,
        60,
        (values[rows] for rows in validation_predictions.row_slices(7, 3)),
    )
    assert (np.load(str(tmp_path / "oof.npy")) == values).all() and names(tmp_path) == ["oof.npy"]


@given(st.integers(0, 100), st.integers(1, 30))
@settings(deadline=None)
def test_slices_together_are_everything_in_order(count: int, rows: int) -> None:
    slices = list(validation_predictions.row_slices(count, rows))
    assert [k for chunk in slices for k in range(count)[chunk]] == list(range(count))
    assert all(0 < chunk.stop - chunk.start <= rows and chunk.stop <= count for chunk in slices)


def test_copying_predictions_takes_the_memory_of_a_slice(tmp_path: Path) -> None:
    write(tmp_path / "oof.npy", blocks(3000))  # 4.4 MB
    predictions = validation_predictions.read(tmp_path / "oof.npy")
    tracemalloc.start()
    try:
        validation_predictions.save(
            tmp_path / "copy.npy",
            3000,
            60,
            (predictions[rows, GROUPS[1]] for rows in validation_predictions.row_slices(3000, 200)),
        )
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


# --- whole or absent ------------------------------------------------------------------------------


def test_nothing_has_the_final_name_before_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "oof.npy"
    with PredictionsWriter(path, 8, EVERY) as out:
        for chunk in blocks(5, 3):
            out.add(chunk)
            assert not path.exists()
        out.keep()
        assert path.exists()
    assert names(path.parent) == ["oof.npy"] and len(validation_predictions.read(path)) == 8


def test_the_old_predictions_stay_until_new_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "oof.npy"
    write(path, blocks(5, seed=1))
    old_content = path.read_bytes()
    with PredictionsWriter(path, 3, EVERY) as out:
        out.add(blocks(3)[0])
        assert path.read_bytes() == old_content
        out.keep()
    assert len(validation_predictions.read(path)) == 3


def test_the_old_predictions_stay_where_the_new_ones_are_not_kept(tmp_path: Path) -> None:
    """The new predictions have no better score."""
    path = tmp_path / "oof.npy"
    write(path, blocks(5, seed=1))
    old_content = path.read_bytes()
    with PredictionsWriter(path, 3, EVERY) as out:
        out.add(blocks(3)[0])
    assert path.read_bytes() == old_content and names(tmp_path) == ["oof.npy"]


@pytest.mark.parametrize(
    "failure", [ValueError("a bug"), KeyboardInterrupt(), KitError("refused", "x", "do")]
)
def test_a_failure_leaves_the_old_predictions_and_nothing_else(
    tmp_path: Path, failure: BaseException
) -> None:
    path = tmp_path / "oof.npy"
    write(path, blocks(5, seed=1))
    old_content = path.read_bytes()
    with pytest.raises(type(failure)):
        with PredictionsWriter(path, 3, EVERY) as out:
            out.add(blocks(1)[0])
            raise failure
    assert path.read_bytes() == old_content and names(tmp_path) == ["oof.npy"]


def test_not_keeping_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    with PredictionsWriter(tmp_path / "oof.npy", 3, EVERY) as out:
        out.add(blocks(3)[0])
    assert names(tmp_path) == []


def test_a_map_of_the_old_file_goes_on_when_new_predictions_replace_it(tmp_path: Path) -> None:
    """A child's run may still read its parent's predictions."""
    path = tmp_path / "oof.npy"
    old_chunks = blocks(5, seed=1)
    write(path, old_chunks)
    mapped = validation_predictions.read(path)
    write(path, blocks(5, seed=2))
    assert (mapped == old_chunks[0]).all() and not (
        validation_predictions.read(path) == old_chunks[0]
    ).any()


def test_what_a_killed_run_left_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    other = tmp_path / "other.npy"
    write(other, blocks(2))
    content = other.read_bytes()
    with PredictionsWriter(tmp_path / "oof.npy", 1, EVERY) as out:
        unfinished = [name for name in names(tmp_path) if name != "other.npy"]
        out.add(blocks(1)[0])
    os.link(
        str(other), str(tmp_path / unfinished[0])
    )  # another name of a file that must stay as it is
    write(tmp_path / "oof.npy", blocks(3))
    assert other.read_bytes() == content and names(tmp_path) == ["oof.npy", "other.npy"]


def test_the_content_is_on_disk_before_the_name_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "oof.npy"
    calls = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        calls.append(
            f"fsync of {os.fstat(handle).st_size}" if path.parent.samefile(tmp_path) else ""
        )
        fsync(handle)

    def named(source: str, target: str) -> None:
        calls.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", named)
    write(path, blocks(5))
    assert calls[:2] == [f"fsync of {path.stat().st_size}", "replace"] and len(calls) == 3


# --- a full disk ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [(200,), (1,) * 60])
def test_a_full_disk_is_one_sentence_and_the_old_predictions_stay(
    small_disk: Path, rows: tuple
) -> None:
    """The disk has 64 kB: the old predictions take 15, new ones of 60 rows would take 88."""
    path = small_disk / "oof.npy"
    write(path, blocks(10, seed=1))
    old_content = path.read_bytes()
    with refused(path, "the disk is full", "free some space"):
        write(path, blocks(*rows))
    assert path.read_bytes() == old_content and names(small_disk) == ["oof.npy"]
    write(path, blocks(20))  # the failed try gave its space back
    assert len(validation_predictions.read(path)) == 20


def test_a_disk_that_is_full_only_when_the_rest_is_written_is_the_same_sentence(
    small_disk: Path,
) -> None:
    """The last bytes are still in a buffer when all rows were added."""
    path = small_disk / "oof.npy"
    (small_disk / "filler").write_bytes(bytes(60 << 10))
    with refused(path, "the disk is full"):
        with PredictionsWriter(path, 1, EVERY) as out:
            out.add(blocks(1)[0])
            (small_disk / "more").write_bytes(bytes(4 << 10))
            out.keep()
    assert names(small_disk) == ["filler", "more"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with refused(tmp_path / "file"):
        write(tmp_path / "file" / "oof.npy", blocks(1))


def test_missing_predictions_are_one_sentence(tmp_path: Path) -> None:
    with refused(tmp_path / "oof.npy", "the file is missing"):
        validation_predictions.read(tmp_path / "oof.npy")


@pytest.mark.parametrize("damage", ["cut", "cut in the header", "text", "empty", "objects"])
def test_damaged_predictions_are_one_sentence(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "oof.npy"
    write(path, blocks(5))
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[:-8],
            "cut in the header": content[:50],
            "text": b"no array",
            "empty": b"",
        }.get(damage, content)
    )
    if damage == "objects":
        np.save(str(path), np.array([{}]), allow_pickle=True)
    with refused(path):
        validation_predictions.read(path)


@pytest.mark.parametrize("rows", [4, 6])
def test_another_number_of_rows_than_was_said_is_not_kept(tmp_path: Path, rows: int) -> None:
    """Such a file could not be read."""
    with pytest.raises((KitError, ValueError, AssertionError)):
        with PredictionsWriter(tmp_path / "oof.npy", 5, EVERY) as out:
            out.add(blocks(rows)[0])
            out.keep()
    assert names(tmp_path) == []
