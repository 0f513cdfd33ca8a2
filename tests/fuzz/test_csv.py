"""A thousand mutations of Kaggle's CSV files, and of split.json: read as Python does, or refused.

The oracle is Python's own reader and float(). Whatever the kit reads without a word must be the
same numbers; what Python cannot read at all must be refused.
"""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from random import Random
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
import pytest

from leapkit.core.columns import INPUTS, SAMPLE_ID, TARGETS
from leapkit.core.errors import KitError
from leapkit.core.splits import Split, read_split, write_split
from leapkit.data import kaggle_csv
from tests.fuzz.mutations import mutations

pytestmark = [pytest.mark.process, pytest.mark.oldest]

Rows = Tuple[List[str], np.ndarray]
LONGEST = 2_000  # characters of a refusal, with its path


def of_python(content: bytes, columns: Sequence[str]) -> Optional[Rows]:
    """Return what Python reads, None where it is no whole CSV of finite numbers."""
    try:
        text = content.decode("utf-8-sig")
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        values = [[float(cell) for cell in row[1:]] for row in rows]
    except (ValueError, csv.Error):
        return None
    whole = all(len(row) == len(columns) for row in values) and text.endswith("\n")
    finite = all(math.isfinite(value) for row in values for value in row)
    if header != [SAMPLE_ID, *columns] or not rows or not whole or not finite:
        return None
    return [row[0] for row in rows], np.array(values)


def of_the_kit(path: Path, columns: Sequence[str]) -> Optional[Rows]:
    """Return what the kit reads, None for a refusal, which is one sentence."""
    try:
        chunks = list(kaggle_csv.stream(path, columns))
    except KitError as error:
        check_sentence(error, path)
        return None
    return [name for ids, _ in chunks for name in ids], np.concatenate([x for _, x in chunks])


def check_sentence(error: KitError, path: Path) -> None:
    text = str(error)
    assert "\n" not in text and str(path) in text and error.remedy and len(text) < LONGEST, text
    assert text.isprintable(), text


def swap_cells(content: bytes, random: Random) -> bytes:
    """Exchange two cells of two lines, or of one."""
    cells = content.split(b",")
    first, second = random.randrange(len(cells)), random.randrange(len(cells))
    cells[first], cells[second] = cells[second], cells[first]
    return b",".join(cells)


def other_ends(content: bytes, random: Random) -> bytes:
    """Write other line ends, for all lines or for one."""
    end = random.choice((b"\r\n", b"\r", b"\n\n", b" \n", b",\n"))
    return content.replace(b"\n", end, random.choice((1, 2, -1)))


def other_number(content: bytes, random: Random) -> bytes:
    """Write a cell in another way: of other programs, other languages, or no number at all."""
    texts = (b"1e5", b"+1.5", b"1.5e-320", b"1_0", b"0x1p3", b"1,5", b"'2", b"1e400", b" 3 ", b".5")
    cells = content.split(b",")
    cells[random.randrange(len(cells))] = random.choice(texts)
    return b",".join(cells)


def written(path: Path, columns: Sequence[str], rows: int) -> bytes:
    draw = np.random.RandomState(rows)
    values = draw.randn(rows, len(columns)) * 10.0 ** draw.randint(-60, 6, len(columns))
    with kaggle_csv.CsvWriter(path, columns) as out:
        out.write([f"test_{k}" for k in range(rows)], values)
    return path.read_bytes()


MORE = (swap_cells, other_ends, other_number)


@pytest.mark.parametrize(
    "name, columns, rows, count",
    [
        ("test.csv", INPUTS, 3, 400),
        ("train.csv", INPUTS + TARGETS, 2, 250),
        ("x.csv", ("a", "b", "c"), 9, 350),
    ],
)
def test_a_mutated_csv_is_read_as_python_reads_it_or_refused(
    name: str, columns: Tuple[str, ...], rows: int, count: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    content = written(path, columns, rows)
    assert of_the_kit(path, columns) is not None
    read = 0
    for mutated in mutations(content, count, seed=rows, more=MORE):
        path.write_bytes(mutated)
        result = of_the_kit(path, columns)
        if result is not None:
            read += 1
            expected = of_python(mutated, columns)
            assert expected is not None, mutated[:200]
            assert result[0] == expected[0]
            assert result[1].tobytes() == expected[1].tobytes()
    assert read > count // 20, "hardly any mutation is read: the oracle proves nothing"


def test_a_mutated_sample_submission_gives_its_ids_or_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sample_submission.csv"
    content = written(path, TARGETS, 4)
    for mutated in mutations(content, 1000, seed=1, more=MORE):
        path.write_bytes(mutated)
        try:
            ids = kaggle_csv.read_ids(path)
        except KitError as error:
            check_sentence(error, path)
            continue
        lines = mutated.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert lines[0].split(",") == [SAMPLE_ID, *TARGETS] and lines[-1] == ""
        assert ids == [line.split(",")[0] for line in lines[1:-1]] and len(set(ids)) == len(ids)


def test_mutated_old_weights_are_read_as_python_reads_them_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    row = ",".join(repr(0.5 * k) for k in range(len(TARGETS)))
    content = (",".join(TARGETS) + "\n" + row + "\n").encode()
    for mutated in mutations(content, 1000, seed=2, more=MORE):
        path.write_bytes(mutated)
        try:
            weights = kaggle_csv.read_old_weights(path)
        except KitError as error:
            check_sentence(error, path)
            continue
        lines = list(csv.reader(io.StringIO(mutated.decode("utf-8-sig"), newline="")))
        cut = 1 if lines[0][0] == SAMPLE_ID else 0
        assert weights.tolist() == [float(cell) for cell in lines[1][cut:]]


def split_of(content: bytes) -> Optional[Split]:
    """Return the split that a JSON text is, by the plainest reading."""
    try:
        value: Any = json.loads(content.decode("utf-8"))
        lists = [value[name] for name in ("train", "validation", "test")]
        assert all(type(one) is list and all(type(m) is str for m in one) for one in lists)
        assert type(value["validation_stride"]) is int
        train, validation, test = map(tuple, lists)
        return Split(train, validation, value["validation_stride"], test)
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError):
        return None


def test_a_mutated_split_is_read_as_it_stands_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    write_split(path, Split(("0008-01", "0008-02"), ("0008-07",), 7, ("0009-02",)))
    content = path.read_bytes()
    numbers = (b"7.9", b"true", b"Infinity", b"1e3", b"-7", b"9" * 400, b'"7"', b"[7]", b"NaN")

    def other_stride(content: bytes, random: Random) -> bytes:
        return content.replace(b": 7", b": " + random.choice(numbers))

    for mutated in mutations(content, 1000, seed=3, more=[other_stride]):
        path.write_bytes(mutated)
        try:
            split = read_split(path)
        except KitError as error:
            check_sentence(error, path)
            continue
        assert split == split_of(mutated), mutated
