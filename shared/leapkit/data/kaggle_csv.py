"""Kaggle's CSV files: test.csv, train.csv, sample_submission.csv and sample_submission_old.csv.

ptend_q0002_13 and its neighbours reach 1e-58, which float32 cannot hold: all numbers are read as
float64 (docs/reference/data_pipeline.md, "Kaggle's CSVs").
"""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

import numpy as np

from leapkit.core.columns import INPUTS, SAMPLE_ID, TARGETS
from leapkit.core.errors import KitError
from leapkit.core.files import atomic
from leapkit.data.csv_checks import REMEDY as REMEDY
from leapkit.data.csv_checks import explained, require_header, require_last_line_whole
from leapkit.data.csv_stream import stream
from leapkit.data.old_weights import read_old_weights as read_old_weights


def read_ids(path: Path) -> List[str]:
    """Return the sample ids of sample_submission.csv, in order. Raises KitError for a duplicate."""
    require_header(path, [SAMPLE_ID] + list(TARGETS))
    require_last_line_whole(path)
    ids: List[str] = []
    with explained(path), open(path, encoding="utf-8") as handle:
        next(handle)
        for line in handle:
            name, comma, _ = line.partition(",")
            if not comma:
                raise KitError(f"line {len(ids) + 2} has no comma", path, REMEDY)
            if not name or '"' in name or "\0" in name:
                what = f"line {len(ids) + 2} has no plain sample_id"
                raise KitError(what, path, REMEDY)
            ids.append(name)
    if len(set(ids)) != len(ids):
        repeated = next(name for name, count in Counter(ids).items() if count > 1)
        raise KitError(f"has the sample_id {repeated} twice", path, REMEDY)
    if not ids:
        raise KitError("holds no rows", path, REMEDY)
    return ids


class CsvWriter:
    """Writes a CSV in Kaggle's format: shortest decimals that read back to the same float64."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._path = path

    def __enter__(self) -> CsvWriter:
        # The stack tells atomic when closing, which writes the last buffer, finds the disk full.
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(atomic(self._path))
            self._handle = stack.enter_context(open(temporary, "w", encoding="utf-8", newline=""))
            self._handle.write(",".join([SAMPLE_ID] + self._columns) + "\n")
            self._stack = stack.pop_all()
        return self

    def write(self, ids: Sequence[str], values: np.ndarray) -> None:
        """Write n rows: their ids and values (n, columns), float64 or integers."""
        self._handle.writelines(
            f"{name},{','.join(map(repr, row))}\n" for name, row in zip(ids, values.tolist())
        )

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)  # type: ignore[arg-type]


def read_test_csv(path: Path) -> Iterator[Tuple[List[str], np.ndarray]]:
    """Yield (ids, inputs (n, 556) float64, Kaggle order, physical units) of test.csv."""
    return stream(path, INPUTS)
