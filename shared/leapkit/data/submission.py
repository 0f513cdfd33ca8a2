"""Submission parquets: written as a stream, verified before they get their name.

One row per row of sample_submission.csv, same order; `sample_id` string and 368 float64 targets in
Kaggle order (docs/reference/data_pipeline.md, "Submission values"). No index column, no missing
values, no dictionaries on floats (they overflow and take five times as long), LZ4 over byte-split
streams (2 % more bytes than zstd, half the time to write and to read).
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, Iterator, List, Optional, Protocol, Sequence, Tuple, Union

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leapkit.core.columns import LINEAR, SAMPLE_ID, TARGETS, ZERO, kaggle_positions
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.hash_index import HashIndex
from leapkit.core.lfs_pointer import refuse_pointer
from leapkit.data import submission_columns
from leapkit.data.id_checker import IdChecker
from leapkit.data.scaling import linear_tendency

ROW_GROUP = 16384  # rows: 48 MB of float64
SCHEMA = pa.schema(
    [pa.field(SAMPLE_ID, pa.string(), nullable=False)]
    + [pa.field(name, pa.float64(), nullable=False) for name in TARGETS]
)
REMEDY = "make it again (`make plan` names the command)"


class Sliced(Protocol):
    """Rows that are read a slice at a time: an array, or LazyRows."""

    def __getitem__(self, rows: slice) -> np.ndarray: ...


def write(path: Path, ids: Sequence[str], blocks: Iterable[np.ndarray]) -> None:
    """Write blocks (n, 368) float64, Kaggle order, for all ids, to `path` (see files.atomic).

    Raises KitError if the blocks hold another number of rows than ids, or the disk is full.
    """
    with explain_os_errors(path):
        row = 0
        pending: List[np.ndarray] = []
        pending_rows = 0
        with pq.ParquetWriter(
            str(path),
            SCHEMA,
            compression="lz4",
            use_dictionary=False,
            use_byte_stream_split=list(TARGETS),
            write_statistics=False,
        ) as writer:

            def flush(values: np.ndarray) -> None:
                nonlocal row
                if row + len(values) > len(ids):
                    raise KitError(f"has more rows than there are ids ({len(ids)})", path, REMEDY)
                columns = [pa.array(ids[row : row + len(values)], pa.string())]
                by_column = np.ascontiguousarray(values.T)
                columns += [pa.array(by_column[k]) for k in range(len(TARGETS))]
                writer.write_table(
                    pa.Table.from_arrays(columns, schema=SCHEMA), row_group_size=ROW_GROUP
                )
                row += len(values)

            for block in blocks:
                values = np.asarray(block, dtype=np.float64)
                if len(block) == ROW_GROUP and not pending_rows:
                    flush(values)  # without a copy: a blend's blocks are stored by column
                    continue
                pending.append(values)
                pending_rows += len(block)
                if pending_rows >= ROW_GROUP:
                    joined = np.concatenate(pending)
                    whole = pending_rows - pending_rows % ROW_GROUP
                    for start in range(0, whole, ROW_GROUP):
                        flush(joined[start : start + ROW_GROUP])
                    pending = [joined[whole:]]
                    pending_rows -= whole
            if pending_rows:
                flush(np.concatenate(pending))
        if row != len(ids):
            raise KitError(f"holds {row} rows for {len(ids)} ids", path, REMEDY)


class OpenedParquet:
    """A submission parquet, opened once and its columns checked.

    Whatever its name stands for later, all readers read the file that was opened. Raises KitError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with explain_os_errors(path, REMEDY):
            try:
                self._file = pa.OSFile(str(path), "rb")
                source = pq.ParquetFile(self._file, pre_buffer=False)
            except (pa.ArrowException, ValueError) as error:
                refuse_pointer(path)
                raise KitError("is truncated, or not a parquet file", path, REMEDY) from error
        self._metadata = source.metadata
        problem = submission_columns.problem(source.schema_arrow)
        if problem:
            raise KitError(problem, path, REMEDY)

    @property
    def rows(self) -> int:
        """The number of rows, which the file itself names."""
        return int(self._metadata.num_rows)

    def digest(self, index: HashIndex) -> str:
        """Return the sha256 of the file that was opened."""
        return index.of_open(self._file.fileno(), self.path)

    def require(self, digest: str, index: HashIndex) -> None:
        """Raise KitError unless the file that was opened has these bytes.

        Called after the reading, it also notices what was written into the file meanwhile.
        """
        if self.digest(index) != digest:
            raise KitError(
                "was changed or replaced while it was read", self.path, "run the same command again"
            )

    def blocks(self) -> Iterator[Tuple[List[str], np.ndarray]]:
        """Yield (ids, values (n, 368) float64), ROW_GROUP rows at a time.

        The last block may be shorter. The values are stored by column, as parquet reads them.
        """
        for ids, columns in self.column_blocks(TARGETS):
            values = np.empty((len(columns), len(ids)))
            for k, column in enumerate(columns):
                values[k] = column
            yield ids.to_pylist(), values.T

    def column_blocks(
        self, names: Sequence[str], threads: bool = True
    ) -> Iterator[Tuple[pa.Array, List[np.ndarray]]]:
        """Yield (ids, the named targets (n,) each, as the file holds them), rows as in `blocks`.

        Nothing is copied. Each call has a reader of its own, as two threads must not share one.
        Raises KitError for a damaged file and for missing values.
        """
        columns = [SAMPLE_ID, *names]
        # Reading ahead would take the whole file into memory.
        source = pq.ParquetFile(self._file, metadata=self._metadata, pre_buffer=False)
        groups = [source.metadata.row_group(g).num_rows for g in range(source.num_row_groups)]
        try:
            if all(n == ROW_GROUP for n in groups[:-1]) and all(n <= ROW_GROUP for n in groups):
                for g in range(len(groups)):
                    if groups[g]:
                        group = source.read_row_group(g, columns=columns, use_threads=threads)
                        yield _decoded(group.select(columns), self.path)
            else:
                yield from _regrouped(source, self.path, columns, threads)
        except (pa.ArrowException, ValueError, OSError) as error:
            reason = str(error).split("\n")[0][:120]
            raise KitError(f"is damaged ({reason})", self.path, REMEDY) from error


def blocks(path: Path) -> Iterator[Tuple[List[str], np.ndarray]]:
    """Yield (ids, values (n, 368) float64) of a parquet (OpenedParquet.blocks)."""
    return OpenedParquet(path).blocks()


def _regrouped(
    source: pq.ParquetFile, path: Path, columns: Sequence[str], threads: bool
) -> Iterator[Tuple[pa.Array, List[np.ndarray]]]:
    """Yield the same blocks of a file from elsewhere, whose row groups have other sizes."""
    pending: List[pa.RecordBatch] = []
    rows = 0
    for batch in source.iter_batches(
        batch_size=min(ROW_GROUP, 4096), columns=list(columns), use_threads=threads
    ):
        pending.append(batch)
        rows += batch.num_rows
        while rows >= ROW_GROUP:
            joined = pa.Table.from_batches(pending)
            yield _decoded(joined.slice(0, ROW_GROUP).select(columns), path)
            pending = joined.slice(ROW_GROUP).to_batches()
            rows -= ROW_GROUP
    if rows:
        yield _decoded(pa.Table.from_batches(pending).select(columns), path)


def _decoded(table: pa.Table, path: Path) -> Tuple[pa.Array, List[np.ndarray]]:
    """Return ids, as strings, and targets of a table whose first column holds the ids."""
    columns = []
    for name, column in zip(table.column_names[1:], table.columns[1:]):
        if column.null_count:
            raise KitError(f"the column {name} holds a missing value", path, REMEDY)
        columns.append(column.to_numpy())
    ids = table.column(0)
    ids.validate(full=True)  # raises if an id is not UTF-8: nothing before this looks at its bytes
    if not pa.types.is_string(ids.type):
        ids = ids.cast(pa.string())
    return ids.chunk(0) if ids.num_chunks == 1 else pa.concat_arrays(ids.chunks), columns


def verify(
    source: Union[Path, OpenedParquet],
    ids: Sequence[str],
    state_q0002: Optional[Sliced],
    name: Optional[Path] = None,
    linear_rtol: float = 0.0,
) -> None:
    """Raise KitError unless a parquet keeps the contract.

    ids          of sample_submission.csv, in order
    state_q0002  raw levels 12..27 of test.csv (n, 16) float64; None: linear targets unchecked
    name         the file that messages name while `path` is temporary
    linear_rtol  0 for what the kit writes; 1e-12 for files from elsewhere, as the team's pandas did
                 not round test.csv's decimals correctly, and for blends, whose weights sum to
                 1 + 4e-16
    """
    opened = source if isinstance(source, OpenedParquet) else OpenedParquet(source)
    shown = name or opened.path
    checker = IdChecker(ids, shown, REMEDY)
    zero = kaggle_positions(ZERO)
    linear = kaggle_positions(LINEAR)
    for block_ids, values in opened.blocks():
        rows = checker.take(block_ids)
        if not np.isfinite(values).all():
            k, j = np.argwhere(~np.isfinite(values))[0]
            what = f"{TARGETS[int(j)]} of {block_ids[int(k)]} is NaN or infinite"
            raise KitError(what, shown, REMEDY)
        if values[:, zero].any():
            j = int(np.flatnonzero(values[:, zero].any(axis=0))[0])
            raise KitError(f"{TARGETS[zero[j]]} is not 0 throughout", shown, REMEDY)
        if state_q0002 is not None:
            formula = linear_tendency(state_q0002[rows])
            wrong = np.abs(values[:, linear] - formula) > linear_rtol * np.abs(formula)
            if wrong.any():
                k, j = np.argwhere(wrong)[0]
                what = f"{LINEAR[int(j)]} of {block_ids[int(k)]} is not -state_q0002/1200"
                raise KitError(what, shown, REMEDY)
    checker.finish()
