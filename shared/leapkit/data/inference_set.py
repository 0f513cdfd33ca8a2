"""test.csv, parsed once for all members of both families and kept as the numbers it holds.

    rows.f64   (N, 556) float64, Kaggle order, physical units: 2.8 GB at full size, what two families' inputs would take

Standardising a stretch of it for a network costs a fraction of what predicting it does, and nothing of the file depends
on a member or on statistics. It lies in the folder that all members share and is keyed by the content it was made from.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Union

import numpy as np

from leapkit.core.columns import INPUTS, LINEAR_INPUTS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY, require_free, sync_directory
from leapkit.core.layout import RawData
from leapkit.data import kaggle_csv, submission
from leapkit.data.progress import progress
from leapkit.data.scaling import Scaling

_ROW = 8 * len(INPUTS)


class Rows:
    """Rows that are computed when a slice of them is asked for."""

    def __init__(self, count: int, of: Callable[[int, int], np.ndarray]) -> None:
        self._count, self._of = count, of

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self._count)
        return self._of(start, stop)


@dataclass(frozen=True)
class InferenceSet:
    """ids in the order of sample_submission.csv; inputs (N, 556) float32 standardised, network order; q0002 (N, 16)
    float64 raw state_q0002_12..27, for the linear columns."""

    ids: List[str]
    inputs: Union[np.ndarray, Rows]
    q0002: Union[np.ndarray, Rows]


def prepare(raw: RawData, statistics: Scaling, cache: Path, key: str) -> InferenceSet:
    """Reads test.csv into <cache>/test-<key>, or finds it there. `key` hashes all that the content depends on.

    Raises KitError when test.csv is damaged or its ids are not those of sample_submission.csv in the same order.
    """
    ids = kaggle_csv.read_ids(raw.sample_submission)
    folder = cache / ("test-" + key[:16])
    if not folder.exists():
        _build(raw, folder, ids)
    path, linear = folder / "rows.f64", [INPUTS.index(name) for name in LINEAR_INPUTS]
    if not path.exists() or path.stat().st_size != len(ids) * _ROW:
        raise KitError(
            "does not hold the %d rows that it should" % len(ids),
            folder,
            "remove this folder and run again",
        )

    def stored(start: int, stop: int) -> np.ndarray:
        # Not a map of the file, whose pages would count as this process's memory.
        return np.fromfile(
            str(path), np.float64, (stop - start) * len(INPUTS), offset=start * _ROW
        ).reshape(-1, len(INPUTS))

    return InferenceSet(
        ids,
        Rows(len(ids), lambda start, stop: statistics.scaled_test_inputs(stored(start, stop))),
        Rows(len(ids), lambda start, stop: stored(start, stop)[:, linear]),
    )


def _build(raw: RawData, folder: Path, ids: List[str]) -> None:
    partial = folder.with_name(TEMPORARY + folder.name)
    for old in list(folder.parent.glob(TEMPORARY + "test-*")) + list(folder.parent.glob("test-*")):
        shutil.rmtree(str(old))  # half-made, or made from other inputs
    require_free(folder, len(ids) * _ROW, "the test set")
    with explain_os_errors(folder):
        partial.mkdir(parents=True)
    try:
        with explain_os_errors(folder), open(partial / "rows.f64", "wb") as rows:
            with progress(total=len(ids), desc="reading test.csv", unit="row") as bar:
                at = 0
                for found, x in kaggle_csv.read_test_csv(raw.test_csv):
                    submission.require_ids(
                        found, ids[at : at + len(found)], at, raw.test_csv, kaggle_csv.REMEDY
                    )
                    rows.write(np.ascontiguousarray(x).data)
                    at += len(found)
                    bar.update(len(found))
            rows.flush()  # on disk before the folder has its name
            os.fsync(rows.fileno())
        if at != len(ids):
            raise KitError(
                "has %d rows, sample_submission.csv has %d" % (at, len(ids)),
                raw.test_csv,
                kaggle_csv.REMEDY,
            )
        partial.rename(folder)
        sync_directory(folder.parent)
    finally:
        shutil.rmtree(str(partial), ignore_errors=True)
