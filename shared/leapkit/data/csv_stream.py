"""A CSV of sample_id and numbers as a stream: one thread cuts it at line ends, others parse chunks.

The schema is given: inference of types from a first chunk of zeros would fail hours later. Every
number is correctly rounded to float64. Results come in file order, memory does not grow with the
file, and damage is named by its row.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from leapkit.core import allotment
from leapkit.core.columns import SAMPLE_ID
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.data.csv_checks import LONGEST_LINE, REMEDY, require_whole
from leapkit.data.csv_damage import damage_of
from leapkit.data.ordered_map import ordered_map

_CHUNK = 2 << 20  # bytes of CSV that one thread parses at a time: about 190 rows of test.csv
_MOST_THREADS = 8  # more would wait for the one that cuts


# --- cutting --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CsvChunk:
    """Whole lines of a CSV.

    lines        the lines, each with its end
    rows_before  data rows of the file before them
    end          the byte of the file that they end at
    """

    lines: List[bytes]
    rows_before: int
    end: int


def iter_chunks(
    path: Path, columns: Sequence[str], rows: int = 0, after: Tuple[int, int] = (0, 0)
) -> Iterator[CsvChunk]:
    """Yield a CSV of sample_id and `columns` as chunks of `rows` lines; the last may be shorter.

    rows   0 takes as many lines as come to about _CHUNK bytes
    after  (data rows, byte that they end at) to leave out; (0, 0) begins with the first row

    Raises KitError for a missing, empty or cut file, wrong columns, endless lines, and, after all
    lines, for a file that was changed or removed meanwhile.
    """
    header = require_whole(path, [SAMPLE_ID] + list(columns))
    with explain_os_errors(path, REMEDY):
        before = _identity(path)
        with open(path, "rb", buffering=LONGEST_LINE) as handle:
            handle.seek(max(header, after[1]))
            lines = rows or max(1, _CHUNK // header)
            yield from _chunks(handle, before[0], lines, after[0], path)
        with contextlib.suppress(FileNotFoundError):
            if _identity(path) == before:
                return
    raise KitError("was changed, replaced or removed while it was read", path, REMEDY)


def _identity(path: Path) -> Tuple[int, int, int]:
    status = os.stat(str(path))
    return status.st_size, status.st_ino, status.st_mtime_ns


def _chunks(
    handle: BinaryIO, size: int, rows: int, rows_before: int, path: Path
) -> Iterator[CsvChunk]:
    """Yield the lines from the handle's position up to byte `size`, where a line ends."""
    position = handle.tell()
    while position < size:
        lines = list(islice(iter(partial(handle.readline, LONGEST_LINE), b""), rows))
        endless = next((k for k, line in enumerate(lines) if len(line) == LONGEST_LINE), None)
        if endless is not None:
            what = f"has no line end within {LONGEST_LINE} bytes"
            if b"\0" in lines[endless]:
                what = "holds NUL bytes"
            raise KitError(f"row {rows_before + endless + 1} {what}", path, REMEDY)
        position += sum(map(len, lines))
        if position > size:  # it has grown, which iter_chunks tells
            return
        if not lines or not lines[-1].endswith(b"\n"):
            row = rows_before + max(1, len(lines))
            raise KitError(f"was cut off in row {row} while it was read", path, REMEDY)
        yield CsvChunk(lines, rows_before, position)
        rows_before += len(lines)
        del lines  # or two chunks would be in memory while the next is read


# --- parsing --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ParsedRows:
    """The rows of a chunk before its first damaged line, and that line's damage, if any.

    ids     of n rows
    values  (n, columns) float64
    """

    ids: List[str]
    values: np.ndarray
    damage: Optional[KitError] = None


class Parser:
    """CsvChunk -> ParsedRows, in any thread.

    pyarrow converts column by column, and the cells of a column lie a line apart: each one is
    fetched from memory anew, and every column has its overhead. So it is given the numbers as one
    column, a number a line, in the file's order.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = list(columns)
        self._options = dict(
            read_options=pa.csv.ReadOptions(
                use_threads=False, column_names=["value"], block_size=1 << 30
            ),
            parse_options=pa.csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pa.csv.ConvertOptions(
                column_types={"value": pa.float64()}, null_values=[]
            ),
        )

    def __call__(self, chunk: CsvChunk) -> ParsedRows:
        """Return all rows of the chunk, or those before the first damaged one and its damage."""
        try:
            ids, numbers = self._split(chunk.lines)
            if numbers is not None:
                table = pa.csv.read_csv(pa.BufferReader(pa.py_buffer(numbers)), **self._options)
                # pyarrow's to_numpy would import pandas if it is installed.
                values = np.concatenate(
                    [
                        np.frombuffer(piece.buffers()[1], np.float64, len(piece), 8 * piece.offset)
                        for piece in table.column(0).chunks
                    ]
                )
                if values.size == len(ids) * len(self._columns) and np.isfinite(values).all():
                    return ParsedRows(ids, values.reshape(len(ids), len(self._columns)))
            reason = "its fields are irregular"
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            reason = str(error).split(": ...")[0].replace("\n", " ")[:160].rstrip()
        return self._damaged(chunk, reason)

    def _split(self, lines: List[bytes]) -> Tuple[List[str], Optional[np.ndarray]]:
        """Return the ids, and the bytes of the numbers, each ending in a line end.

        Returns no ids and None if an id or a line's number of fields is irregular.
        """
        begins = [line.find(b",") + 1 for line in lines]
        ids = b"\n".join([line[: begin - 1] for line, begin in zip(lines, begins)])
        text = np.frombuffer(
            b"".join([memoryview(line)[begin:] for line, begin in zip(lines, begins)]), np.uint8
        )
        commas = text == ord(",")
        whole = all(begin > 1 for begin in begins)
        start = 0
        # Line by line: a cell may have slipped from a line into the next.
        for line, begin in zip(lines, begins):
            end = start + len(line) - begin
            whole = whole and np.count_nonzero(commas[start:end]) == len(self._columns) - 1
            start = end
        if not whole or b'"' in ids or b"\0" in ids or b"\r" in ids:
            return [], None
        return ids.decode("utf-8").split("\n"), _commas_to_newlines(text, commas)

    def _damaged(self, chunk: CsvChunk, reason: str) -> ParsedRows:
        nothing = np.empty((0, len(self._columns)))
        for k, line in enumerate(chunk.lines):
            what = damage_of(line, self._columns)
            if what:
                before = ParsedRows([], nothing)
                if k:
                    before = self(CsvChunk(chunk.lines[:k], chunk.rows_before, 0))
                row = f"row {chunk.rows_before + k + 1}"
                damage = KitError(row + what, self._path, REMEDY)
                return ParsedRows(before.ids, before.values, before.damage or damage)
        # Nothing that Python sees: pyarrow's own words.
        what = f"cannot be read after row {chunk.rows_before}: {reason}"
        return ParsedRows([], nothing, KitError(what, self._path, REMEDY))


def _commas_to_newlines(text: np.ndarray, commas: np.ndarray) -> np.ndarray:
    """Return the bytes of `text` with a line end for each comma; `commas` (bool) is overwritten."""
    numbers: np.ndarray = commas.view(np.uint8)
    numbers *= ord(",") ^ ord("\n")  # 0 for a byte that stays
    numbers ^= text
    return numbers


def threads() -> int:
    """Return the number of threads that parse: one for each core that this process may use."""
    return min(allotment.cores(), _MOST_THREADS)


def stream(path: Path, columns: Sequence[str]) -> Iterator[Tuple[List[str], np.ndarray]]:
    """Yield (ids, values (n, len(columns)) float64) of a CSV of sample_id and `columns`, in order.

    Raises KitError as iter_chunks does, and for a damaged row (another number of fields, a value
    that is not a number, a NaN or an infinity) after the rows before it.
    """
    for rows in ordered_map(Parser(path, columns), iter_chunks(path, columns), threads()):
        if rows.ids:
            yield rows.ids, rows.values
        if rows.damage:
            raise rows.damage
