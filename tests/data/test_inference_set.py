"""The test set is parsed once, checked against sample_submission.csv and kept for both families."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import List, Tuple

import numpy as np
import pytest

from leapkit.core.columns import INPUTS, LINEAR_INPUTS
from leapkit.core.layout import RawData
from leapkit.data import csv_stream, inference_set, kaggle_csv
from leapkit.data.scaling import Scaling, load_scaling
from tests.helpers.refusals import refused


def read_csv(path: Path, columns: Tuple[str, ...]) -> Tuple[List[str], np.ndarray]:
    blocks = list(kaggle_csv.stream(path, columns))
    return [name for ids, _ in blocks for name in ids], np.concatenate(
        [values for _, values in blocks]
    )


@pytest.fixture
def raw(tiny_world: Path, tmp_path: Path) -> RawData:
    """Return a copy of the tiny world that a test may damage."""
    shutil.copytree(str(tiny_world), str(tmp_path / "raw"))
    return RawData(tmp_path / "raw")


def loaded(raw: RawData, family: str = "fdzm") -> Scaling:
    return load_scaling(raw.statistics(family), family, raw.old_weights)


@pytest.mark.parametrize("family", ["adam", "fdzm"])
def test_the_prepared_test_set_is_that_of_the_whole_file_at_once(
    raw: RawData, tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_stream, "_CHUNK", 50_000)  # a few rows
    ids, x = read_csv(raw.test_csv, INPUTS)
    test_set = inference_set.prepare(raw, loaded(raw, family), tmp_path / "cache", "k" * 64)
    inputs, q0002 = test_set.inputs[:], test_set.q0002[:]
    assert test_set.ids == ids and inputs.dtype == np.float32 and q0002.dtype == np.float64
    assert inputs.tobytes() == loaded(raw, family).scaled_test_inputs(x).tobytes()
    assert q0002.tobytes() == x[:, [INPUTS.index(n) for n in LINEAR_INPUTS]].tobytes()
    assert (
        len(test_set.inputs) == 144 and test_set.inputs[30:50].tobytes() == inputs[30:50].tobytes()
    )
    assert test_set.q0002[140:200].tobytes() == q0002[140:].tobytes() and test_set.inputs[
        144:
    ].shape == (
        0,
        556,
    )


def test_both_families_share_one_parse(
    raw: RawData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inference_set.prepare(raw, loaded(raw, "adam"), tmp_path / "cache", "k" * 64)
    monkeypatch.setattr(kaggle_csv, "read_test_csv", lambda path: pytest.fail("parsed again"))
    test_set = inference_set.prepare(raw, loaded(raw, "fdzm"), tmp_path / "cache", "k" * 64)
    assert (
        test_set.inputs[:].tobytes()
        == loaded(raw, "fdzm").scaled_test_inputs(read_csv(raw.test_csv, INPUTS)[1]).tobytes()
    )


def test_the_second_time_test_csv_is_not_parsed_and_the_content_is_the_same(
    raw: RawData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    first_content = first.inputs[:].tobytes(), first.q0002[:].tobytes(), list(first.ids)
    monkeypatch.setattr(kaggle_csv, "read_test_csv", lambda path: pytest.fail("parsed again"))
    again = inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    assert (again.inputs[:].tobytes(), again.q0002[:].tobytes(), list(again.ids)) == first_content


def test_another_key_is_made_anew_and_the_old_one_removed(raw: RawData, tmp_path: Path) -> None:
    inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "a" * 64)
    inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "b" * 64)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["test-" + "b" * 16]


def swap_rows(path: Path, first: int, second: int) -> None:
    lines = path.read_text().split("\n")
    lines[first], lines[second] = lines[second], lines[first]
    path.write_text("\n".join(lines))


@pytest.mark.parametrize("block", [8 << 20, 50_000])
def test_rows_in_another_order_than_sample_submission_are_refused(
    raw: RawData, tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_stream, "_CHUNK", block)
    swap_rows(raw.test_csv, 100, 101)
    with refused(raw.test_csv, "row 100 has the sample_id", "same order"):
        inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    "file, words",
    [
        ("test_csv", "has 143 rows, sample_submission.csv has 144"),
        ("sample_submission", "has more rows than sample_submission.csv"),
    ],
)
def test_a_row_missing_from_either_file_is_refused(
    raw: RawData, tmp_path: Path, file: str, words: str
) -> None:
    path: Path = getattr(raw, file)
    path.write_text("\n".join(path.read_text().split("\n")[:-2]) + "\n")
    with refused(raw.test_csv, words):
        inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cut_test_csv_leaves_no_half_made_test_set(raw: RawData, tmp_path: Path) -> None:
    raw.test_csv.write_bytes(raw.test_csv.read_bytes()[:-9])
    with refused(raw.test_csv, "cut off"):
        inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("size", [-1, -8, 0, None])
def test_a_damaged_cache_is_refused_with_the_remedy(
    raw: RawData, tmp_path: Path, size: int
) -> None:
    inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    path = next((tmp_path / "cache").iterdir()) / "rows.f64"
    if size is None:
        path.unlink()
    else:
        os.truncate(str(path), path.stat().st_size + size if size else 0)
    with refused(path.parent, "remove this folder"):
        inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)


def test_a_full_disk_while_preparing_is_one_sentence_and_leaves_nothing(
    raw: RawData, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refused(small_disk, "the test set needs", "free some space"):
        inference_set.prepare(raw, loaded(raw), small_disk / "cache", "k" * 64)
    monkeypatch.setattr(
        inference_set, "require_free", lambda *_: None
    )  # someone else fills the disk meanwhile
    with refused(small_disk, "the disk is full"):
        inference_set.prepare(raw, loaded(raw), small_disk / "cache", "k" * 64)
    assert [p.name for p in small_disk.iterdir()] == ["cache"] and list(
        (small_disk / "cache").iterdir()
    ) == []
