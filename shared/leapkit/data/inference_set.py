"""test.csv, parsed once for all members of both families and kept as the numbers it holds.

    rows.f64   (N, 556) float64, Kaggle order, physical units: 2.8 GB at full size, as much as the
               inputs of two families
    rows.json  the sha256 of rows.f64, and of the files that it was made from

Standardising a chunk of it for a network costs a fraction of what predicting it does, and nothing
of the file depends on a member or on statistics. It is in the folder that all members share, under
the hash of the content that it was made from. It is used only if it still has its hash, else made
again.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Mapping, Union

import numpy as np

from leapkit.core import file_lock
from leapkit.core.columns import INPUTS, LINEAR_INPUTS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import (
    TEMPORARY,
    read_json,
    require_free,
    sha256,
    sha256_json,
    sync,
    sync_directory,
    write_json,
)
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.data import kaggle_csv
from leapkit.data.id_checker import IdChecker
from leapkit.data.progress import progress
from leapkit.data.scaling import Scaling

_ROW_BYTES = 8 * len(INPUTS)
_ROWS = "rows.f64"
_RECORD = "rows.json"


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


def prepare_once(
    raw: RawData, scaling: Scaling, results: Results, inputs: Mapping[str, str]
) -> InferenceSet:
    """Return what prepare() does. The first process parses test.csv, the others wait for it.

    inputs  {role: sha256} of test.csv and sample_submission.csv, among others
    """

    def digest(path: Path) -> str:
        with file_lock.hold(results.cache / ".lock"):
            index = HashIndex(results.hashes)
            found = index.of(path)
            index.save()
        return found

    of_test = {role: inputs[role] for role in raw.test_files()}
    with file_lock.hold(results.cache / "test" / ".lock"):
        return prepare(raw, scaling, results.cache, of_test, digest)


def prepare(
    raw: RawData,
    scaling: Scaling,
    cache: Path,
    inputs: Mapping[str, str],
    digest: Callable[[Path], str] = sha256,
) -> InferenceSet:
    """Return the rows of test.csv, which is parsed into `cache` if it is not kept there.

    inputs  {role: sha256} of test.csv and sample_submission.csv
    digest  returns a file's sha256, without reading it again if that is known

    Raises KitError if test.csv is damaged, if its ids are not those of sample_submission.csv in the
    same order, or if one of them is no longer the file of `inputs`.
    """
    ids = kaggle_csv.read_ids(raw.sample_submission)
    folder = cache / ("test-" + sha256_json(dict(inputs))[:16])
    if folder.exists() and not _is_whole(folder, inputs, digest):
        print(f"{folder}: is not what it was when it was kept; test.csv is read again", flush=True)
        shutil.rmtree(str(folder))
    if not folder.exists():
        _build(raw, folder, ids, inputs, digest)
    _require_unchanged(raw, inputs, digest)
    rows = KeptRows(folder / _ROWS)
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    return InferenceSet(
        ids,
        LazyRows(len(ids), lambda start, stop: scaling.scaled_test_inputs(rows.read(start, stop))),
        LazyRows(len(ids), lambda start, stop: rows.read(start, stop)[:, linear]),
    )


class KeptRows:
    """The file of rows, held open: another process that makes it again does not take it away.

    Not a map of the file, whose pages would count as this process's memory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with explain_os_errors(path):
            self._file = open(path, "rb", buffering=0)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return (n, 556) float64, physical units. Raises KitError if the file ends before."""
        rows = np.empty((stop - start, len(INPUTS)))
        with explain_os_errors(self._path):
            self._file.seek(start * _ROW_BYTES)
            whole = self._file.readinto(rows.data.cast("B")) if rows.size else 0
        if whole != rows.nbytes:
            raise KitError("was cut off while it was read", self._path, "run the command again")
        return rows


def _is_whole(folder: Path, inputs: Mapping[str, str], digest: Callable[[Path], str]) -> bool:
    """Return whether the kept rows are those that were made from these inputs."""
    try:
        record = read_json(folder / _RECORD)
        return bool(record["inputs"] == dict(inputs) and record["sha256"] == digest(folder / _ROWS))
    except (KitError, KeyError, TypeError):  # of an older version of the kit, or damaged
        return False


def _require_unchanged(
    raw: RawData, inputs: Mapping[str, str], digest: Callable[[Path], str]
) -> None:
    for role, path in raw.test_files().items():
        if digest(path) != inputs[role]:
            raise KitError("has changed since this run began", path, "run the same command again")


def _build(
    raw: RawData,
    folder: Path,
    ids: List[str],
    inputs: Mapping[str, str],
    digest: Callable[[Path], str],
) -> None:
    partial = folder.with_name(TEMPORARY + folder.name)
    for old in list(folder.parent.glob(TEMPORARY + "test-*")) + list(folder.parent.glob("test-*")):
        shutil.rmtree(str(old))  # half-made, or made from other inputs
    require_free(folder, len(ids) * _ROW_BYTES, "the test set")
    with explain_os_errors(folder):
        partial.mkdir(parents=True)
    written = hashlib.sha256()
    try:
        with explain_os_errors(folder), open(partial / _ROWS, "wb") as rows:
            with progress(total=len(ids), desc="reading test.csv", unit="row") as bar:
                checker = IdChecker(ids, raw.test_csv, kaggle_csv.REMEDY)
                for chunk_ids, x in kaggle_csv.read_test_csv(raw.test_csv):
                    checker.take(chunk_ids)
                    content = np.ascontiguousarray(x).data
                    rows.write(content)
                    written.update(content)
                    bar.update(len(chunk_ids))
            rows.flush()  # on disk before the folder has its name
            sync(rows.fileno())
        checker.finish()
        _require_unchanged(raw, inputs, digest)
        write_json(partial / _RECORD, {"inputs": dict(inputs), "sha256": written.hexdigest()})
        partial.rename(folder)
        sync_directory(folder.parent)
    finally:
        shutil.rmtree(str(partial), ignore_errors=True)
