"""Kaggle's CSV files: test.csv, train.csv, sample_submission.csv and sample_submission_old.csv.

Read as a stream with an explicit schema (inference of types from a first block of zeros kills a run hours later),
every number correctly rounded to float64: ptend_q0002_13 and its neighbours reach 1e-58, which float32 cannot hold.
"""
from __future__ import annotations

import contextlib
import csv
from collections import Counter
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from leapkit.columns import INPUTS, SAMPLE_ID, TARGETS
from leapkit.errors import KitError, explain_os_errors
from leapkit.files import atomic

_BLOCK = 4 << 20  # bytes of CSV per chunk: about 350 rows of test.csv, 0.25 GB of memory in all
REMEDY = "download the file again or make it again with the split maker"


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what a file that is no CSV makes Python say into a KitError."""
    try:
        with explain_os_errors(path, REMEDY):
            yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise KitError("is no CSV file (%s)" % error, path, REMEDY) from error


def _header(path: Path, expected: Sequence[str]) -> None:
    """Raises KitError unless the first line holds exactly the expected names, in order."""
    with _explained(path), open(path, encoding="utf-8", newline="") as handle:
        found = next(csv.reader(handle), [])
    if found == list(expected):
        return
    missing = [name for name in expected if name not in set(found)]
    extra = [name for name in found if name not in set(expected)]
    if missing:
        what = "the column %s is missing (%d of %d are)" % (missing[0], len(missing), len(expected))
    elif extra:
        what = "has the unknown column %s" % extra[0]
    else:
        what = "has the right columns in a wrong order or twice"
    raise KitError(what, path, REMEDY)


def _require_last_line_whole(path: Path) -> None:
    # A file cut inside its last number would parse as a different number: only the missing line end tells.
    with explain_os_errors(path, REMEDY), open(path, "rb") as handle:
        handle.seek(0, 2)
        if handle.tell() == 0:
            raise KitError("is empty", path, REMEDY)
        handle.seek(-1, 2)
        if handle.read(1) != b"\n":
            raise KitError("is cut off in the middle of its last line", path, REMEDY)


def stream(path: Path, columns: Sequence[str]) -> Iterator[Tuple[List[str], np.ndarray]]:
    """Yields (ids, values (n, len(columns)) float64) for a CSV of sample_id and `columns`, in file order.

    Raises KitError for a missing or cut file, wrong columns, a value that is no number, a NaN or an infinity.
    """
    _header(path, [SAMPLE_ID] + list(columns))
    _require_last_line_whole(path)
    types = {SAMPLE_ID: pa.string()}
    types.update((name, pa.float64()) for name in columns)
    row = 0
    try:
        reader = pa.csv.open_csv(
            str(path), read_options=pa.csv.ReadOptions(block_size=_BLOCK),
            convert_options=pa.csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False))
        for batch in reader:
            values = np.empty((batch.num_rows, len(columns)))
            for j in range(len(columns)):
                values[:, j] = batch.column(j + 1).to_numpy()
            if not np.isfinite(values.sum()) and not np.isfinite(values).all():
                bad = np.argwhere(~np.isfinite(values))[0]
                raise KitError("row %d, column %s is NaN or infinite" % (row + bad[0] + 1, columns[int(bad[1])]),
                               path, REMEDY)
            row += batch.num_rows
            yield batch.column(0).to_pylist(), values
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        reason = str(error).split(": ...")[0].replace("\n", " ")
        raise KitError("cannot be read after row %d: %s" % (row, reason[:160].rstrip()), path, REMEDY) from error
    if row == 0:
        raise KitError("holds no rows", path, REMEDY)


def read_ids(path: Path) -> List[str]:
    """The sample ids of sample_submission.csv, in order. Raises KitError for a duplicate."""
    _header(path, [SAMPLE_ID] + list(TARGETS))
    _require_last_line_whole(path)
    ids: List[str] = []
    with _explained(path), open(path, encoding="utf-8") as handle:
        next(handle)
        for line in handle:
            name, comma, _ = line.partition(",")
            if not comma:
                raise KitError("line %d has no comma" % (len(ids) + 2), path, REMEDY)
            ids.append(name)
    if len(set(ids)) != len(ids):
        twice = next(name for name, count in Counter(ids).items() if count > 1)
        raise KitError("the sample_id %s stands there twice" % twice, path, REMEDY)
    if not ids:
        raise KitError("holds no rows", path, REMEDY)
    return ids


def read_old_weights(path: Path) -> np.ndarray:
    """The 368 weights of the first row (all rows are equal), float64, Kaggle order.

    Accepts sample_submission_old.csv and the team's old_sample_weight.csv, which has no sample_id column.
    """
    _require_last_line_whole(path)
    with _explained(path), open(path, encoding="utf-8", newline="") as handle:
        rows = csv.reader(handle)
        names, first = next(rows, []), next(rows, [])
    if names[:1] == [SAMPLE_ID]:
        names, first = names[1:], first[1:]
    if names != list(TARGETS):
        raise KitError("its header is not the 368 target columns in Kaggle order", path, REMEDY)
    try:
        weights = np.array([float(value) for value in first])
    except ValueError as error:
        raise KitError("its first row holds a value that is no number (%s)" % error, path, REMEDY) from error
    if weights.shape != (len(TARGETS),) or not np.isfinite(weights).all() or (weights < 0).any():
        raise KitError("its first row is not 368 finite weights >= 0", path, REMEDY)
    return weights


class CsvWriter:
    """Writes a CSV in Kaggle's format: shortest decimals that read back to the same float64."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns, self._path = list(columns), path

    def __enter__(self) -> CsvWriter:
        # The stack tells atomic when closing, which writes the last buffer, finds the disk full.
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(atomic(self._path))
            self._handle = stack.enter_context(open(temporary, "w", encoding="utf-8", newline=""))
            self._handle.write(",".join([SAMPLE_ID] + self._columns) + "\n")
            self._stack = stack.pop_all()
        return self

    def write(self, ids: Sequence[str], values: np.ndarray) -> None:
        """ids of n rows and their values (n, columns): float64 as decimals, integers as integers."""
        self._handle.writelines(
            "%s,%s\n" % (name, ",".join(map(repr, row))) for name, row in zip(ids, values.tolist()))

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)  # type: ignore[arg-type]


def test_rows(path: Path) -> Iterator[Tuple[List[str], np.ndarray]]:
    """test.csv: (ids, inputs (n, 556) float64 in Kaggle order and physical units)."""
    return stream(path, INPUTS)


def train_rows(path: Path) -> Iterator[Tuple[List[str], np.ndarray]]:
    """train.csv: (ids, inputs and targets (n, 924) float64 in Kaggle order and physical units)."""
    return stream(path, INPUTS + TARGETS)
