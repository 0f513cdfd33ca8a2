"""The test set is parsed once, checked against sample_submission.csv and kept for both families."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Callable, List, Tuple

import numpy as np
import pytest

from leapkit.core.columns import INPUTS, LINEAR_INPUTS
from leapkit.core.files import sha256
from leapkit.core.layout import RawData
from leapkit.data import csv_stream, inference_set, kaggle_csv
from leapkit.data.inference_set import InferenceSet
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


def prepared(raw: RawData, cache: Path, scaling: Scaling) -> InferenceSet:
    inputs = {role: sha256(path) for role, path in raw.test_files().items()}
    return inference_set.prepare(raw, scaling, cache, inputs)


@pytest.mark.parametrize("family", ["adam", "fdzm"])
def test_the_prepared_test_set_is_that_of_the_whole_file_at_once(
    raw: RawData, tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_stream, "_CHUNK", 50_000)  # a few rows
    ids, x = read_csv(raw.test_csv, INPUTS)
    test_set = prepared(raw, tmp_path / "cache", loaded(raw, family))
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
    prepared(raw, tmp_path / "cache", loaded(raw, "adam"))
    monkeypatch.setattr(kaggle_csv, "read_test_csv", lambda path: pytest.fail("parsed again"))
    test_set = prepared(raw, tmp_path / "cache", loaded(raw, "fdzm"))
    assert (
        test_set.inputs[:].tobytes()
        == loaded(raw, "fdzm").scaled_test_inputs(read_csv(raw.test_csv, INPUTS)[1]).tobytes()
    )


def test_the_second_time_test_csv_is_not_parsed_and_the_content_is_the_same(
    raw: RawData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepared(raw, tmp_path / "cache", loaded(raw))
    first_content = first.inputs[:].tobytes(), first.q0002[:].tobytes(), list(first.ids)
    monkeypatch.setattr(kaggle_csv, "read_test_csv", lambda path: pytest.fail("parsed again"))
    again = prepared(raw, tmp_path / "cache", loaded(raw))
    assert (again.inputs[:].tobytes(), again.q0002[:].tobytes(), list(again.ids)) == first_content


def test_another_content_is_made_anew_and_the_old_one_removed(raw: RawData, tmp_path: Path) -> None:
    prepared(raw, tmp_path / "cache", loaded(raw))
    [first] = (tmp_path / "cache").iterdir()
    raw.test_csv.write_text(raw.test_csv.read_text().replace("\n", "\r\n"))  # the same numbers
    prepared(raw, tmp_path / "cache", loaded(raw))
    [second] = (tmp_path / "cache").iterdir()
    assert first != second and kept_rows(tmp_path / "cache").parent == second


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
        prepared(raw, tmp_path / "cache", loaded(raw))
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
        prepared(raw, tmp_path / "cache", loaded(raw))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cut_test_csv_leaves_no_half_made_test_set(raw: RawData, tmp_path: Path) -> None:
    raw.test_csv.write_bytes(raw.test_csv.read_bytes()[:-9])
    with refused(raw.test_csv, "cut off"):
        prepared(raw, tmp_path / "cache", loaded(raw))
    assert list((tmp_path / "cache").iterdir()) == []


def kept_rows(cache: Path) -> Path:
    [path] = cache.glob("test-*/rows.f64")
    return path


def cut(rows: Path) -> None:
    os.truncate(str(rows), rows.stat().st_size - 1)


def flip_a_bit(rows: Path) -> None:
    """Change a number of the middle, and leave the size and the time of the file as they were."""
    content = bytearray(rows.read_bytes())
    content[len(content) // 2] ^= 1
    times = rows.stat().st_mtime_ns, rows.stat().st_mtime_ns
    rows.write_bytes(bytes(content))
    os.utime(str(rows), ns=times)


def replace_by_zeros(rows: Path) -> None:
    rows.write_bytes(bytes(rows.stat().st_size))


def forget_what_made_it(rows: Path) -> None:
    """As an older version of the kit left it."""
    rows.with_name("rows.json").unlink()


def claim_other_inputs(rows: Path) -> None:
    rows.with_name("rows.json").write_text(json.dumps({"inputs": {}, "sha256": sha256(rows)}))


@pytest.mark.parametrize(
    "damage",
    [os.unlink, cut, flip_a_bit, replace_by_zeros, forget_what_made_it, claim_other_inputs],
)
def test_kept_rows_that_are_not_what_was_kept_are_made_again(
    raw: RawData, tmp_path: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    right = prepared(raw, tmp_path / "cache", loaded(raw)).inputs[:].tobytes()
    damage(kept_rows(tmp_path / "cache"))
    again = prepared(raw, tmp_path / "cache", loaded(raw))
    assert again.inputs[:].tobytes() == right
    assert "test.csv is read again" in capsys.readouterr().out


def test_rows_that_are_made_again_stay_for_who_reads_them(raw: RawData, tmp_path: Path) -> None:
    reading = prepared(raw, tmp_path / "cache", loaded(raw))
    right = reading.inputs[:].tobytes()
    replaced = kept_rows(tmp_path / "cache")
    replaced.rename(replaced.with_name("moved"))
    prepared(raw, tmp_path / "cache", loaded(raw))
    assert reading.inputs[:].tobytes() == right


@pytest.mark.parametrize("file", ["test_csv", "sample_submission"])
@pytest.mark.parametrize("kept", [False, True])
def test_rows_of_a_file_that_was_changed_since_it_was_hashed_are_not_kept(
    raw: RawData, tmp_path: Path, file: str, kept: bool
) -> None:
    inputs = {role: sha256(path) for role, path in raw.test_files().items()}
    if kept:
        inference_set.prepare(raw, loaded(raw), tmp_path / "cache", inputs)
    path: Path = getattr(raw, file)
    path.write_text(path.read_text().replace(",1", ",2", 1))
    with refused(path, "has changed since this run began"):
        inference_set.prepare(raw, loaded(raw), tmp_path / "cache", inputs)
    assert kept or not list((tmp_path / "cache").iterdir())


def test_a_full_disk_while_preparing_is_one_sentence_and_leaves_nothing(
    raw: RawData, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refused(small_disk, "of the test set", "free some space"):
        prepared(raw, small_disk / "cache", loaded(raw))
    monkeypatch.setattr(
        inference_set, "require_free", lambda *_: None
    )  # someone else fills the disk meanwhile
    with refused(small_disk, "the disk is full"):
        prepared(raw, small_disk / "cache", loaded(raw))
    assert [p.name for p in small_disk.iterdir()] == ["cache"] and list(
        (small_disk / "cache").iterdir()
    ) == []
