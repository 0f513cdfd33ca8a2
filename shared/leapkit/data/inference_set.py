"""test.csv, parsed once for all members of both families and kept as the numbers it holds.

    rows.f64   (N, 556) float64, Kaggle order, physical units: 2.8 GB at full size, as much as the
               inputs of two families

Standardising a chunk of it for a network costs a fraction of what predicting it does, and nothing
of the file depends on a member or on statistics. It is in the folder that all members share, under
the hash of the content that it was made from.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Union

import numpy as np

from leapkit.core.columns import INPUTS, LINEAR_INPUTS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY, require_free, sync, sync_directory
from leapkit.core.layout import RawData
from leapkit.data import kaggle_csv
from leapkit.data.id_checker import IdChecker
from leapkit.data.progress import progress
from leapkit.data.scaling import Scaling

_ROW_BYTES = 8 * len(INPUTS)


class LazyRows:
    """A read-only array facade: `lazy[start:stop]` computes those rows."""

    def __init__(self, count: int, compute: Callable[[int, int], np.ndarray]) -> None:
        self._count = count
        self._compute = compute

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self._count)
        return self._compute(start, stop)


@dataclass(frozen=True)
class InferenceSet:
    """The rows to predict.

    ids     in the order of sample_submission.csv
    inputs  (N, 556) float32 standardised, network order
    q0002   (N, 16) float64 raw state_q0002_12..27, for the linear targets
    """

    ids: List[str]
    inputs: Union[np.ndarray, LazyRows]
    q0002: Union[np.ndarray, LazyRows]


def prepare(raw: RawData, scaling: Scaling, cache: Path, key: str) -> InferenceSet:
    """Return the rows of test.csv, which is parsed into <cache>/test-<key> if that does not exist.

    key  hash of all that the content depends on

    Raises KitError if test.csv is damaged or its ids are not those of sample_submission.csv in the
    same order.
    """
    ids = kaggle_csv.read_ids(raw.sample_submission)
    folder = cache / ("test-" + key[:16])
    if not folder.exists():
        _build(raw, folder, ids)
    path = folder / "rows.f64"
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    if not path.exists() or path.stat().st_size != len(ids) * _ROW_BYTES:
        what = f"does not hold the {len(ids)} rows that it should"
        raise KitError(what, folder, "remove this folder and run the same command again")

    def stored(start: int, stop: int) -> np.ndarray:
        # Not a map of the file, whose pages would count as this process's memory.
        return np.fromfile(
            str(path), np.float64, (stop - start) * len(INPUTS), offset=start * _ROW_BYTES
        ).reshape(-1, len(INPUTS))

    return InferenceSet(
        ids,
        LazyRows(len(ids), lambda start, stop: scaling.scaled_test_inputs(stored(start, stop))),
        LazyRows(len(ids), lambda start, stop: stored(start, stop)[:, linear]),
    )


def _build(raw: RawData, folder: Path, ids: List[str]) -> None:
    partial = folder.with_name(TEMPORARY + folder.name)
    for old in list(folder.parent.glob(TEMPORARY + "test-*")) + list(folder.parent.glob("test-*")):
        shutil.rmtree(str(old))  # half-made, or made from other inputs
    require_free(folder, len(ids) * _ROW_BYTES, "the test set")
    with explain_os_errors(folder):
        partial.mkdir(parents=True)
    try:
        with explain_os_errors(folder), open(partial / "rows.f64", "wb") as rows:
            with progress(total=len(ids), desc="reading test.csv", unit="row") as bar:
                checker = IdChecker(ids, raw.test_csv, kaggle_csv.REMEDY)
                for chunk_ids, x in kaggle_csv.read_test_csv(raw.test_csv):
                    checker.take(chunk_ids)
                    rows.write(np.ascontiguousarray(x).data)
                    bar.update(len(chunk_ids))
            rows.flush()  # on disk before the folder has its name
            sync(rows.fileno())
        checker.finish()
        partial.rename(folder)
        sync_directory(folder.parent)
    finally:
        shutil.rmtree(str(partial), ignore_errors=True)
