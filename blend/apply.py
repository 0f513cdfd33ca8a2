"""Applies a weight table to verified parquets, row group by row group.

Memory does not grow with the rows.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import pyarrow as pa

from blend.parquets import remedy
from blend.postprocess import PostProcessing
from blend.tables import WeightTable
from blend.target_weights import weights_of
from leapkit.core import allotment
from leapkit.core.columns import LINEAR, TARGETS, ZERO, kaggle_positions
from leapkit.core.errors import KitError
from leapkit.data import submission
from leapkit.data.id_checker import require_ids
from leapkit.data.progress import progress
from leapkit.data.submission import OpenedParquet

# Files from elsewhere may hold the linear targets to 1e-12 (see submission.verify), so two of them
# differ by twice that.
_LINEAR_RTOL = 2e-12
_ZERO = set(kaggle_positions(ZERO))
_LINEAR = set(kaggle_positions(LINEAR))


@dataclass(frozen=True)
class Source:
    """An artifact's parquet, opened once: what is checked is what is blended."""

    artifact: str
    opened: OpenedParquet

    @property
    def path(self) -> Path:
        return self.opened.path


@dataclass(frozen=True)
class _Stream:
    """A worker's targets of one source, block by block, and their weights (368,)."""

    source: Source
    blocks: Iterator[Tuple[pa.Array, List[np.ndarray]]]
    weights: np.ndarray


def blended(
    table: WeightTable,
    sources: Sequence[Source],
    ids: Sequence[str],
    post_processing: Optional[PostProcessing] = None,
) -> Iterator[np.ndarray]:
    """Yield (n, 368) float64: the sum of weight * value in the table's order, from 0, as published.

    Rows are joined by sample_id: every parquet must list the ids of sample_submission.csv in that
    order. A linear target whose weights do not sum to 1 within 1e-9 keeps its formula, which all
    parquets hold.

    One worker a core, each with some of the targets of all parquets: a parquet is read by target,
    so nothing is read twice. A worker holds its targets of one row group of one parquet at a time,
    and the next block is made while the caller writes this one. Memory grows neither with the rows
    nor with the number of parquets.

    Raises KitError for a parquet that differs from the contract, and for a sum that is not finite.
    """
    weights = weights_of(table)
    cores = allotment.cores()
    workers = [
        _Worker(list(map(int, share)), sources, weights)
        for share in np.array_split(np.arange(len(TARGETS)), cores)
    ]
    with ThreadPoolExecutor(cores) as pool, progress(
        total=len(ids), desc=f"blending {len(sources)} parquets", unit="row"
    ) as bar:

        def submit(start: int) -> Tuple[np.ndarray, List[Future[None]]]:
            expected = pa.array(ids[start : start + submission.ROW_GROUP], pa.string())
            total = np.zeros((len(TARGETS), len(expected)))
            return total, [pool.submit(worker.add, expected, start, total) for worker in workers]

        submitted = submit(0)
        for start in range(0, len(ids), submission.ROW_GROUP):
            total, running = submitted
            for future in running:
                future.result()
            if not np.isfinite(total).all():
                _refuse_non_finite(sources, table)
            stop = start + total.shape[1]
            if stop < len(ids):
                submitted = submit(stop)
            if post_processing:
                post_processing.apply(ids[start:stop], total.T)
            bar.update(total.shape[1])
            yield total.T
    workers[0].require_end(len(ids))


class _Worker:
    """A worker's share of the targets of all parquets."""

    def __init__(self, targets: List[int], sources: Sequence[Source], weights: np.ndarray) -> None:
        self._targets = targets
        with np.errstate(over="ignore"):
            self._formulas_kept = {
                k for k in targets if k in _LINEAR and abs(weights[:, k].sum() - 1.0) > 1e-9
            }
        names = [TARGETS[k] for k in targets]
        self._streams = [
            _Stream(source, source.opened.column_blocks(names, threads=False), source_weights)
            for source, source_weights in zip(sources, weights)
        ]

    def add(self, expected: pa.Array, start: int, total: np.ndarray) -> None:
        """Add the next rows to the worker's targets of total (368, n).

        expected  their ids
        start     the position of the first one in the file, for error messages
        """
        term = np.empty(len(expected))
        formulas: Dict[int, np.ndarray] = {}
        for stream in self._streams:
            source = stream.source
            ids, values = next(stream.blocks, (pa.array([], pa.string()), []))
            if not ids.equals(expected):
                require_ids(
                    ids.to_pylist(),
                    expected.to_pylist(),
                    start,
                    source.path,
                    remedy(source.artifact),
                )
            for k, value in zip(self._targets, values):  # each fits in a core's cache
                if k in _ZERO and value.any():
                    raise KitError(
                        f"{TARGETS[k]} is not 0 throughout", source.path, remedy(source.artifact)
                    )
                if k in _LINEAR:
                    self._require_formula(k, value, formulas.setdefault(k, value), source)
                # An overflow is reported when the block is whole.
                with np.errstate(over="ignore", invalid="ignore"):
                    np.multiply(value, stream.weights[k], out=term)
                    total[k] += term
        for k in self._formulas_kept:
            total[k] = formulas[k]

    def _require_formula(
        self, target: int, value: np.ndarray, formula: np.ndarray, source: Source
    ) -> None:
        if (np.abs(value - formula) > _LINEAR_RTOL * np.abs(formula)).any():
            raise KitError(
                f"its linear target {TARGETS[target]} is not that of "
                f"{self._streams[0].source.path.name}: "
                "one of them was made from another test.csv",
                source.path,
                remedy(source.artifact),
            )

    def require_end(self, count: int) -> None:
        """Raise KitError if a parquet has more rows than that."""
        for stream in self._streams:
            if next(stream.blocks, None) is not None:
                raise KitError(
                    f"has more rows than sample_submission.csv ({count})",
                    stream.source.path,
                    remedy(stream.source.artifact),
                )


def _refuse_non_finite(sources: Sequence[Source], table: WeightTable) -> None:
    """Raise KitError for the first cell that is not finite, else for the weights."""
    for source in sources:
        for ids, values in source.opened.blocks():
            if not np.isfinite(values).all():
                row, k = np.argwhere(~np.isfinite(values))[0]
                raise KitError(
                    f"{TARGETS[int(k)]} of {ids[int(row)]} is NaN or infinite",
                    source.path,
                    remedy(source.artifact),
                )
    raise KitError(
        "the sum is not finite, though all values are", table.where, "use smaller weights"
    )
