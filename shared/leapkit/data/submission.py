"""Submission parquets: written as a stream, verified before they get their name (contract: DESIGN.md section 3).

One row per row of sample_submission.csv, same order; `sample_id` string and 368 float64 columns in Kaggle order; no
index column, no missing values, no dictionaries on floats (they overflow and cost five times the time), LZ4 over
byte-split streams (2 % more bytes than zstd, half the time to write and to read).
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, Iterator, List, Optional, Protocol, Sequence, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leapkit.core.columns import LINEAR, SAMPLE_ID, TARGETS, ZERO, kaggle_positions
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.data.scaling import linear_tendency

ROW_GROUP = 16384  # rows: 48 MB of float64
SCHEMA = pa.schema(
    [pa.field(SAMPLE_ID, pa.string(), nullable=False)]
    + [pa.field(name, pa.float64(), nullable=False) for name in TARGETS]
)
REMEDY = "make it again (`make plan` names the command)"


class Sliced(Protocol):
    """Rows that can be had a slice at a time: an array, or rows that are read when they are asked for."""

    def __getitem__(self, rows: slice) -> np.ndarray: ...


def write(path: Path, ids: Sequence[str], blocks: Iterable[np.ndarray]) -> None:
    """Writes blocks (n, 368) float64, Kaggle order, for all ids, to exactly `path` (a temporary name, see atomic).

    Raises KitError when the blocks hold another number of rows than ids, or the disk is full.
    """
    with explain_os_errors(path):
        row, pending, held = 0, [], 0  # type: ignore[var-annotated]
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
                    raise KitError("has more rows than there are ids (%d)" % len(ids), path, REMEDY)
                columns = [pa.array(ids[row : row + len(values)], pa.string())]
                by_column = np.ascontiguousarray(values.T)
                columns += [pa.array(by_column[k]) for k in range(len(TARGETS))]
                writer.write_table(
                    pa.Table.from_arrays(columns, schema=SCHEMA), row_group_size=ROW_GROUP
                )
                row += len(values)

            for block in blocks:
                if len(block) == ROW_GROUP and not held:
                    flush(
                        np.asarray(block, dtype=np.float64)
                    )  # as it lies: by column, where it comes from a blend
                    continue
                pending.append(np.asarray(block, dtype=np.float64))
                held += len(block)
                if held >= ROW_GROUP:
                    joined = np.concatenate(pending)
                    whole = held - held % ROW_GROUP
                    for at in range(0, whole, ROW_GROUP):
                        flush(joined[at : at + ROW_GROUP])
                    pending, held = [joined[whole:]], held - whole
            if held:
                flush(np.concatenate(pending))
        if row != len(ids):
            raise KitError("holds %d rows for %d ids" % (row, len(ids)), path, REMEDY)


def open_checked(path: Path) -> pq.ParquetFile:
    """Opens a parquet and checks its columns. Raises KitError."""
    with explain_os_errors(path, REMEDY):
        try:
            source = pq.ParquetFile(
                str(path), pre_buffer=False
            )  # reading ahead would hold the whole file
        except (pa.ArrowException, ValueError) as error:
            raise KitError("is truncated, or no parquet file", path, REMEDY) from error
    names = source.schema_arrow.names
    if names != SCHEMA.names:
        odd = [n for n in SCHEMA.names if n not in set(names)] or [
            n for n in names if n not in set(SCHEMA.names)
        ]
        what = (
            f"the column {odd[0]} is missing or unknown"
            if odd
            else "its columns are not in Kaggle order"
        )
        raise KitError(what, path, REMEDY)
    for field in source.schema_arrow:
        if field.name == SAMPLE_ID:
            fits = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        else:  # the team's own files hold the all-zero columns as int64
            fits = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        if not fits:
            raise KitError(f"the column {field.name} has the type {field.type}", path, REMEDY)
    return source


def blocks(path: Path) -> Iterator[Tuple[List[str], np.ndarray]]:
    """Streams (ids, values (n, 368) float64) of a submission parquet: ROW_GROUP rows at a time, fewer only at the end.

    The values are stored by column: parquet is read and written so, and strides cost.
    """
    for ids, columns in column_blocks(open_checked(path), path, TARGETS):
        values = np.empty((len(columns), len(ids)))
        for k, column in enumerate(columns):
            values[k] = column
        yield ids.to_pylist(), values.T


def column_blocks(
    source: pq.ParquetFile, path: Path, names: Sequence[str], threads: bool = True
) -> Iterator[Tuple[pa.Array, List[np.ndarray]]]:
    """Streams (ids, the named columns (n,) each, as the file holds them), the rows as in `blocks`, without a copy."""
    wanted = [SAMPLE_ID, *names]
    groups = [source.metadata.row_group(g).num_rows for g in range(source.num_row_groups)]
    try:
        if all(n == ROW_GROUP for n in groups[:-1]) and all(n <= ROW_GROUP for n in groups):
            for g in range(len(groups)):
                if groups[g]:
                    yield _decoded(
                        source.read_row_group(g, columns=wanted, use_threads=threads), path
                    )
        else:
            yield from _regrouped(source, path, wanted, threads)
    except (
        pa.ArrowException,
        ValueError,
        OSError,
    ) as error:  # ValueError: an id or a name that is no UTF-8
        raise KitError(
            "is damaged ({})".format(str(error).split("\n")[0][:120]), path, REMEDY
        ) from error


def _regrouped(
    source: pq.ParquetFile, path: Path, wanted: Sequence[str], threads: bool
) -> Iterator[Tuple[pa.Array, List[np.ndarray]]]:
    """Files from elsewhere have row groups of other sizes: the same blocks out of small batches."""
    held: List[pa.RecordBatch] = []
    rows = 0
    for batch in source.iter_batches(
        batch_size=min(ROW_GROUP, 4096), columns=list(wanted), use_threads=threads
    ):
        held, rows = held + [batch], rows + batch.num_rows
        while rows >= ROW_GROUP:
            joined = pa.Table.from_batches(held)
            yield _decoded(joined.slice(0, ROW_GROUP), path)
            held, rows = joined.slice(ROW_GROUP).to_batches(), rows - ROW_GROUP
    if rows:
        yield _decoded(pa.Table.from_batches(held), path)


def _decoded(table: pa.Table, path: Path) -> Tuple[pa.Array, List[np.ndarray]]:
    """ids and columns of a table whose first column are the ids."""
    columns = []
    for name, column in zip(table.column_names[1:], table.columns[1:]):
        if column.null_count:
            raise KitError(f"the column {name} holds a missing value", path, REMEDY)
        columns.append(column.to_numpy())
    ids = table.column(0)
    return ids.chunk(0) if ids.num_chunks == 1 else pa.concat_arrays(ids.chunks), columns


def require_ids(
    found: Sequence[str], expected: Sequence[str], at: int, path: Path, remedy: str
) -> None:
    """Raises KitError unless the ids of a block of `path` are those of sample_submission.csv from row `at` on.

    expected  as many of those as the block may hold, fewer only where sample_submission.csv ends
    """
    if found == expected:  # the usual case, and by far the fastest way to see it
        return
    if len(found) > len(expected):
        raise KitError(
            "has more rows than sample_submission.csv (%d)" % (at + len(expected)), path, remedy
        )
    for k, (own, wanted) in enumerate(zip(found, expected)):
        if own != wanted:
            raise KitError(
                "row %d has the sample_id %s where sample_submission.csv has %s: the two files must list the "
                "same rows in the same order" % (at + k + 1, own, wanted),
                path,
                remedy,
            )
    if len(found) < len(expected):
        raise KitError("has fewer rows than sample_submission.csv", path, remedy)


def verify(
    path: Path,
    ids: Sequence[str],
    state_q0002: Optional[Sliced],
    name: Optional[Path] = None,
    linear_rtol: float = 0.0,
) -> None:
    """Raises KitError unless the file keeps the contract; `name` is the file to speak of while `path` is temporary.

    ids          of sample_submission.csv, in order
    state_q0002  raw levels 12..27 of test.csv (n, 16) float64; None leaves the linear columns unchecked
    linear_rtol  0 for what the kit writes; 1e-12 for files from elsewhere, as the team's pandas did not round
                 test.csv's decimals correctly, and for blends, whose weights sum to 1 + 4e-16
    """
    shown, row = name or path, 0
    zero, linear = kaggle_positions(ZERO), kaggle_positions(LINEAR)
    for found, values in blocks(path):
        expected = ids[row : row + len(found)]
        require_ids(found, expected, row, shown, REMEDY)
        if not np.isfinite(values).all():
            k, j = np.argwhere(~np.isfinite(values))[0]
            raise KitError(
                f"{TARGETS[int(j)]} of {found[int(k)]} is NaN or infinite", shown, REMEDY
            )
        if values[:, zero].any():
            j = int(np.flatnonzero(values[:, zero].any(axis=0))[0])
            raise KitError(f"{TARGETS[zero[j]]} is not 0 throughout", shown, REMEDY)
        if state_q0002 is not None:
            formula = linear_tendency(state_q0002[row : row + len(found)])
            wrong = np.abs(values[:, linear] - formula) > linear_rtol * np.abs(formula)
            if wrong.any():
                k, j = np.argwhere(wrong)[0]
                raise KitError(
                    f"{LINEAR[int(j)]} of {found[int(k)]} is not -state_q0002/1200", shown, REMEDY
                )
        row += len(found)
    if row != len(ids):
        raise KitError("has %d rows, sample_submission.csv has %d" % (row, len(ids)), shown, REMEDY)
