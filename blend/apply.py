"""Applies a weight table to verified parquets, row group by row group (memory does not grow with the rows)."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from blend import plan, tables
from blend.tables import COLUMNS_OF, Table
from leapkit.core import receipts
from leapkit.core.columns import GROUPS, LINEAR, TARGETS, TARGETS_TO_KAGGLE, ZERO, kaggle_positions
from leapkit.core.errors import KitError
from leapkit.core.files import atomic
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.data import submission
from leapkit.data.progress import progress

# Files from elsewhere may hold the linear columns to 1e-12 (see submission.verify), so two of them differ by twice that.
_LINEAR_RTOL = 2e-12
_ZERO, _LINEAR = set(kaggle_positions(ZERO)), set(kaggle_positions(LINEAR))
Finish = Callable[[Sequence[str], np.ndarray], None]  # changes rows (n, 368) of these ids in place


def require_inputs(
    table: Table, results: Results, raw: RawData, index: HashIndex, known: Sequence[str] = ()
) -> Dict[str, str]:
    """{file name: sha256} of the table's parquets. Raises KitError unless each has a valid receipt of this test set.

    known  artifacts beside those of the shipped tables that members make
    """
    found = {}
    for artifact in table.artifacts:
        path = results.parquet(artifact)
        if not path.exists():
            _refuse_missing(artifact, table, results, known)
        receipt = receipts.require_valid(path, index, plan.mend(artifact))
        for role, file in raw.test_files().items():
            if receipt["inputs"].get(role) != index.of(file):
                raise KitError(
                    f"its receipt is stale: it was made for another {role} than {file}",
                    path,
                    plan.mend(artifact),
                )
        found[path.name] = receipt["sha256"]
    return found


def _refuse_missing(artifact: str, table: Table, results: Results, known: Sequence[str]) -> None:
    path, other = results.parquet(artifact), plan.misnamed(results, artifact)
    if other:
        raise KitError(
            f"is missing, but {other} lies there, which is another name of it",
            path,
            "rename that file, then run `make verify`",
        )
    if tables.is_known(artifact) or artifact in known:
        raise KitError("is missing", path, plan.mend(artifact))
    raise KitError(
        f"names the artifact {artifact}, of which there is no parquet: {plan.unknown(artifact)}",
        table.source or "table " + table.name,
        f"mend the name, or put the file into {results.subs} and run `make verify`",
    )


def weights_of(table: Table) -> np.ndarray:
    """(M, 368) float64, Kaggle order: the weight of every artifact for every target."""
    held = np.array([row[1:] for row in table.rows], dtype=np.float64)
    if table.columns == COLUMNS_OF["group"]:
        held = np.concatenate(
            [
                np.repeat(held[:, [g]], group.stop - group.start, axis=1)
                for g, group in enumerate(GROUPS)
            ],
            axis=1,
        )[:, TARGETS_TO_KAGGLE]
    return np.ascontiguousarray(np.broadcast_to(held, (len(held), len(TARGETS))))


def blended(
    table: Table, results: Results, ids: Sequence[str], finish: Optional[Finish] = None
) -> Iterator[np.ndarray]:
    """Yields (n, 368) float64: sum of weight * value in the table's order, starting from 0, as published.

    Rows are joined by sample_id: every parquet must list the ids of sample_submission.csv in that order. A linear column
    whose weights do not sum to 1 within 1e-9 keeps its formula, which all parquets hold.

    One worker a core, each with some of the columns of all parquets: a parquet is read by column, so nothing is read
    twice. A worker holds its columns of one row group of one parquet at a time, and the next block is made while the
    caller writes this one; memory does not grow with the rows, nor with the number of parquets.
    """
    weights = weights_of(table)
    sources = [
        (artifact, results.parquet(artifact), submission.open_checked(results.parquet(artifact)))
        for artifact in table.artifacts
    ]
    cores = len(os.sched_getaffinity(0))
    workers = [
        _Columns(list(map(int, part)), sources, weights)
        for part in np.array_split(np.arange(len(TARGETS)), cores)
    ]
    with ThreadPoolExecutor(cores) as pool, progress(
        total=len(ids), desc="blending %d parquets" % len(sources), unit="row"
    ) as bar:

        def start(at: int) -> Tuple[np.ndarray, List[Future[None]]]:
            expected = pa.array(ids[at : at + submission.ROW_GROUP], pa.string())
            total = np.zeros((len(TARGETS), len(expected)))
            return total, [pool.submit(worker.add, expected, at, total) for worker in workers]

        coming = start(0)
        for at in range(0, len(ids), submission.ROW_GROUP):
            total, running = coming
            for one in running:
                one.result()
            if not np.isfinite(total).all():
                _refuse_non_finite(sources, table)
            if at + total.shape[1] < len(ids):
                coming = start(at + total.shape[1])
            if finish:
                finish(ids[at : at + total.shape[1]], total.T)
            bar.update(total.shape[1])
            yield total.T
    workers[0].require_end(len(ids))


Source = Tuple[str, Path, pq.ParquetFile]  # artifact, file, opened


class _Columns:
    """A worker's share of the columns of all parquets."""

    def __init__(self, columns: List[int], sources: Sequence[Source], weights: np.ndarray) -> None:
        self._columns, self._sources, self._weights = columns, sources, weights
        with np.errstate(over="ignore"):
            self._kept = {
                k for k in columns if k in _LINEAR and abs(weights[:, k].sum() - 1.0) > 1e-9
            }
        names = [TARGETS[k] for k in columns]
        # A reader of its own, as one must not be used by two threads; what is known of the file is shared.
        self._streams = [
            submission.column_blocks(
                pq.ParquetFile(str(path), metadata=opened.metadata, pre_buffer=False),
                path,
                names,
                threads=False,
            )
            for _, path, opened in sources
        ]

    def add(self, expected: pa.Array, at: int, total: np.ndarray) -> None:
        """Adds the next rows, whose ids are expected, to the worker's columns of total (368, n)."""
        term = np.empty(len(expected))
        formulas: Dict[int, np.ndarray] = {}
        for (artifact, path, _), stream, own in zip(self._sources, self._streams, self._weights):
            ids, values = next(stream, (pa.array([], pa.string()), []))
            if not ids.cast(pa.string()).equals(expected):
                submission.require_ids(
                    ids.to_pylist(), expected.to_pylist(), at, path, plan.mend(artifact)
                )
            for k, value in zip(self._columns, values):  # each fits in a core's cache
                if k in _ZERO and value.any():
                    raise KitError(f"{TARGETS[k]} is not 0 throughout", path, plan.mend(artifact))
                if k in _LINEAR:
                    formula = formulas.setdefault(k, value)
                    if (np.abs(value - formula) > _LINEAR_RTOL * np.abs(formula)).any():
                        raise KitError(
                            f"its linear column {TARGETS[k]} is not that of {self._sources[0][1].name}: one of them was made from another test.csv",
                            path,
                            plan.mend(artifact),
                        )
                with np.errstate(
                    over="ignore", invalid="ignore"
                ):  # seen, and said, when the block is whole
                    np.multiply(value, own[k], out=term)
                    total[k] += term
        for k in self._kept:
            total[k] = formulas[k]

    def require_end(self, count: int) -> None:
        for (artifact, path, _), stream in zip(self._sources, self._streams):
            if next(stream, None) is not None:
                raise KitError(
                    "has more rows than sample_submission.csv (%d)" % count,
                    path,
                    plan.mend(artifact),
                )


def _refuse_non_finite(sources: Sequence[Source], table: Table) -> None:
    """Raises KitError for the cell that a sum is not finite for."""
    for artifact, path, _ in sources:
        for ids, values in submission.blocks(path):
            if not np.isfinite(values).all():
                row, k = np.argwhere(~np.isfinite(values))[0]
                raise KitError(
                    f"{TARGETS[int(k)]} of {ids[int(row)]} is NaN or infinite",
                    path,
                    plan.mend(artifact),
                )
    raise KitError(
        "the sum is not finite, though all values are",
        table.source or "table " + table.name,
        "use smaller weights",
    )


def write_blend(
    table: Table,
    results: Results,
    ids: Sequence[str],
    inputs: Dict[str, str],
    started: str,
    options: Sequence[str] = (),
    finish: Optional[Finish] = None,
    effect: Callable[[], Dict[str, object]] = dict,
) -> Path:
    """Writes, verifies and receipts submission/blend/final_blend_<table>[+<options>].parquet."""
    target = plan.final_path(results, plan.title(table.name, options))
    with atomic(target) as temporary:
        submission.write(temporary, ids, blended(table, results, ids, finish))
        submission.verify(temporary, ids, None, name=target)
    receipts.write(
        target,
        "blend",
        inputs,
        started,
        {
            "table": table.name,
            "read from": table.source or "the search",
            "weights for": _scope(table),
            "rows": len(ids),
            "weights": [_recorded(row, results, inputs) for row in table.rows],
            "post-processing": list(options),
            **effect(),
        },
    )
    return target


def _scope(table: Table) -> str:
    return next(scope for scope, columns in COLUMNS_OF.items() if columns == table.columns)


def _recorded(
    row: Tuple[object, ...], results: Results, inputs: Dict[str, str]
) -> Dict[str, object]:
    """An artifact with the bytes and the weight, or weights, that it went in with."""
    return {
        "artifact": row[0],
        "sha256": inputs[results.parquet(str(row[0])).name],
        "weight": row[1] if len(row) == 2 else list(row[1:]),
    }
