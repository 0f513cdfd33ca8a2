"""test.csv, parsed once per member and kept as the networks want it, keyed by the content it was made from.

    inputs.f32   (N, 556) float32 standardised, network order
    q0002.f64    (N, 16) float64 raw state_q0002_12..27, for the linear columns
"""
from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple

import numpy as np

from leapkit import kaggle, submission
from leapkit.columns import INPUTS, LINEAR_INPUTS
from leapkit.errors import KitError, explain_os_errors
from leapkit.files import TEMPORARY, require_free, sync_directory
from leapkit.progress import progress
from leapkit.statistics import Statistics
from leapkit.world import RawData


@dataclass(frozen=True)
class TestSet:
    """ids in the order of sample_submission.csv; inputs (N, 556) float32; q0002 (N, 16) float64."""

    ids: List[str]
    inputs: np.ndarray
    q0002: np.ndarray


def prepare(raw: RawData, statistics: Statistics, cache: Path, key: str) -> TestSet:
    """Reads test.csv into <cache>/test-<key>, or finds it there. `key` hashes all that the content depends on.

    Raises KitError when test.csv is damaged or its ids are not those of sample_submission.csv in the same order.
    """
    ids = kaggle.read_ids(raw.sample_submission)
    folder = cache / ("test-" + key[:16])
    if not folder.exists():
        _build(raw, statistics, folder, ids)
    inputs = _mapped(folder / "inputs.f32", np.float32, (len(ids), len(INPUTS)))
    q0002 = _mapped(folder / "q0002.f64", np.float64, (len(ids), len(LINEAR_INPUTS)))
    return TestSet(ids, inputs, q0002)


def _mapped(path: Path, dtype: type, shape: Tuple[int, int]) -> np.ndarray:
    if not path.exists() or path.stat().st_size != shape[0] * shape[1] * np.dtype(dtype).itemsize:
        raise KitError("does not hold the %d rows that it should" % shape[0], path.parent,
                       "remove this folder and run again")
    return np.memmap(str(path), dtype=dtype, mode="r", shape=shape)


def _build(raw: RawData, statistics: Statistics, folder: Path, ids: List[str]) -> None:
    partial = folder.with_name(TEMPORARY + folder.name)
    for old in list(folder.parent.glob(TEMPORARY + "test-*")) + list(folder.parent.glob("test-*")):
        shutil.rmtree(str(old))  # half-made, or made from other inputs
    require_free(folder, len(ids) * (4 * len(INPUTS) + 8 * len(LINEAR_INPUTS)), "the standardised test set")
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    with explain_os_errors(folder):
        partial.mkdir(parents=True)
    try:
        with explain_os_errors(folder), open(partial / "inputs.f32", "wb") as inputs, \
                open(partial / "q0002.f64", "wb") as q0002:
            with progress(total=len(ids), desc="reading test.csv", unit="row") as bar:
                at = 0
                for found, x in kaggle.test_rows(raw.test_csv):
                    submission.require_ids(found, ids[at:at + len(found)], at, raw.test_csv, kaggle.REMEDY)
                    inputs.write(np.ascontiguousarray(statistics.test_inputs(x)).tobytes())
                    q0002.write(np.ascontiguousarray(x[:, linear]).tobytes())
                    at += len(found)
                    bar.update(len(found))
            for handle in (inputs, q0002):  # on disk before the folder has its name
                handle.flush()
                os.fsync(handle.fileno())
        if at != len(ids):
            raise KitError("has %d rows, sample_submission.csv has %d" % (at, len(ids)), raw.test_csv, kaggle.REMEDY)
        partial.rename(folder)
        sync_directory(folder.parent)
    finally:
        shutil.rmtree(str(partial), ignore_errors=True)
