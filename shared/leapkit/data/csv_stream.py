"""A CSV of sample_id and numbers as a stream: one thread cuts the file at line ends, others parse what it cuts.

The schema is given (inference of types from a first block of zeros kills a run hours later) and every number is correctly
rounded to float64. Results come in file order, memory does not grow with the file, and damage is named by its row.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import (
    BinaryIO,
    Callable,
    Deque,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

import numpy as np
import pyarrow as pa
import pyarrow.csv

from leapkit.core.columns import SAMPLE_ID
from leapkit.core.errors import KitError, explain_os_errors

_BLOCK = 2 << 20  # bytes of CSV that one thread parses at a time: about 190 rows of test.csv
_LONGEST = (
    1 << 20
)  # bytes of a line: train.csv's take 18,000, a hole in a damaged file takes gigabytes
_MOST_THREADS = 8  # more would wait for the one that cuts
REMEDY = "download the file again or make it again with the split maker"
_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_T = TypeVar("_T")
_R = TypeVar("_R")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what a file that is no CSV makes Python say into a KitError."""
    try:
        with explain_os_errors(path, REMEDY):
            yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise KitError(f"is no CSV file ({error})", path, REMEDY) from error


def require_header(path: Path, expected: Sequence[str]) -> int:
    """The first line's length in bytes. Raises KitError unless it holds exactly the expected names, in order."""
    with explained(path), open(path, "rb") as handle:
        line = handle.readline(_LONGEST)
        found = line.decode("utf-8").rstrip("\r\n").split(",")
    if found == list(expected):
        return len(line)
    missing = [name for name in expected if name not in set(found)]
    extra = [name for name in found if name not in set(expected)]
    twice = [name for name, count in Counter(found).items() if count > 1]
    if b'"' in line:
        what = "its header holds quotation marks, which Kaggle's files have not"
    elif missing:
        what = "the column %s is missing (%d of %d are)" % (missing[0], len(missing), len(expected))
    elif extra:
        what = f"has the unknown column {extra[0]:.40}"
    elif twice:
        what = f"has the column {twice[0]} twice"
    else:
        what = "has the right columns in a wrong order"
    raise KitError(what, path, REMEDY)


def require_last_line_whole(path: Path) -> None:
    # A file cut inside its last number would parse as a different number: only the missing line end tells.
    with explain_os_errors(path, REMEDY), open(path, "rb") as handle:
        handle.seek(0, 2)
        if handle.tell() == 0:
            raise KitError("is empty", path, REMEDY)
        handle.seek(-1, 2)
        if handle.read(1) != b"\n":
            raise KitError("is cut off in the middle of its last line", path, REMEDY)


# --- cutting ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lines:
    """Whole lines of a CSV.

    lines  the lines, each with its end
    row    data rows of the file before them
    end    the byte of the file that they end at
    """

    lines: List[bytes]
    row: int
    end: int


def cut(
    path: Path, columns: Sequence[str], rows: int = 0, after: Tuple[int, int] = (0, 0)
) -> Iterator[Lines]:
    """Yields a CSV of sample_id and `columns` as `rows` lines at a time, the last time as many as there are.

    rows   0 takes as many lines as come to about _BLOCK bytes
    after  (data rows, byte that they end at) to leave out; (0, 0) begins with the first row

    Raises KitError for a missing, empty or cut file, wrong columns, endless lines, and, once all lines are out, for a
    file that was changed or removed meanwhile.
    """
    header = require_header(path, [SAMPLE_ID] + list(columns))
    require_last_line_whole(path)
    with explain_os_errors(path, REMEDY):
        before = _identity(path)
        if header == before[0]:
            raise KitError("holds no rows", path, REMEDY)
        with open(path, "rb", buffering=_LONGEST) as handle:
            handle.seek(max(header, after[1]))
            yield from _cut(handle, before[0], rows or max(1, _BLOCK // header), after[0], path)
        with contextlib.suppress(FileNotFoundError):
            if _identity(path) == before:
                return
    raise KitError("was changed, replaced or removed while it was read", path, REMEDY)


def _identity(path: Path) -> Tuple[int, int, int]:
    status = os.stat(str(path))
    return status.st_size, status.st_ino, status.st_mtime_ns


def _cut(handle: BinaryIO, size: int, rows: int, row: int, path: Path) -> Iterator[Lines]:
    """Lines of `handle` from where it stands up to byte `size`, where a line ends."""
    at = handle.tell()
    while at < size:
        lines = list(islice(iter(partial(handle.readline, _LONGEST), b""), rows))
        endless = next((k for k, line in enumerate(lines) if len(line) == _LONGEST), None)
        if endless is not None:
            what = (
                "holds NUL bytes"
                if b"\0" in lines[endless]
                else "has no line end within %d bytes" % _LONGEST
            )
            raise KitError("row %d %s" % (row + endless + 1, what), path, REMEDY)
        at += sum(map(len, lines))
        if at > size:  # it has grown, which `cut` tells
            return
        if not lines or not lines[-1].endswith(b"\n"):
            raise KitError(
                "was cut off in row %d while it was read" % (row + max(1, len(lines))), path, REMEDY
            )
        yield Lines(lines, row, at)
        row += len(lines)
        del lines  # or two blocks would lie in memory while the next is read


# --- parsing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """Parsed lines: ids of n rows, values (n, columns) float64, and what is wrong with the line after them, if any."""

    ids: List[str]
    values: np.ndarray
    damage: Optional[KitError] = None


class Parser:
    """Lines -> Rows, in any thread.

    pyarrow converts column by column, and the cells of a column lie a line apart: each one is fetched from memory anew,
    and every column has its overhead. So it is given the numbers as one column, a number a line, in the file's order.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path, self._columns = path, list(columns)
        self._options = dict(
            read_options=pa.csv.ReadOptions(
                use_threads=False, column_names=["value"], block_size=1 << 30
            ),
            parse_options=pa.csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pa.csv.ConvertOptions(
                column_types={"value": pa.float64()}, null_values=[]
            ),
        )

    def __call__(self, part: Lines) -> Rows:
        """All rows of the lines, or those before the first damaged one and its damage."""
        try:
            ids, numbers = self._split(part.lines)
            if numbers is not None:
                table = pa.csv.read_csv(pa.BufferReader(pa.py_buffer(numbers)), **self._options)
                values = np.concatenate(
                    [  # pyarrow's to_numpy would import pandas, where there is one
                        np.frombuffer(chunk.buffers()[1], np.float64, len(chunk), 8 * chunk.offset)
                        for chunk in table.column(0).chunks
                    ]
                )
                if values.size == len(ids) * len(self._columns) and np.isfinite(values).all():
                    return Rows(ids, values.reshape(len(ids), len(self._columns)))
            reason = "its fields are odd"
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            reason = str(error).split(": ...")[0].replace("\n", " ")[:160].rstrip()
        return self._damaged(part, reason)

    def _split(self, lines: List[bytes]) -> Tuple[List[str], Optional[np.ndarray]]:
        """The ids, and the bytes of the numbers, each ending in a line end; None where ids or numbers of fields are odd."""
        begins = [line.find(b",") + 1 for line in lines]
        ids = b"\n".join([line[: begin - 1] for line, begin in zip(lines, begins)])
        text = np.frombuffer(
            b"".join([memoryview(line)[begin:] for line, begin in zip(lines, begins)]), np.uint8
        )
        commas, at, whole = text == ord(","), 0, all(begin > 1 for begin in begins)
        for line, begin in zip(
            lines, begins
        ):  # one by one: a cell may have slipped from a line into the next
            end = at + len(line) - begin
            whole, at = whole and np.count_nonzero(commas[at:end]) == len(self._columns) - 1, end
        if not whole or b'"' in ids or b"\0" in ids or b"\r" in ids:
            return [], None
        numbers = commas.view(np.uint8)
        numbers *= ord(",") ^ ord("\n")  # 0 where a byte stays
        numbers ^= text
        return ids.decode("utf-8").split("\n"), numbers

    def _damaged(self, part: Lines, reason: str) -> Rows:
        nothing = np.empty((0, len(self._columns)))
        for k, line in enumerate(part.lines):
            what = _damage(line, self._columns)
            if what:
                before = self(Lines(part.lines[:k], part.row, 0)) if k else Rows([], nothing)
                return Rows(
                    before.ids,
                    before.values,
                    before.damage
                    or KitError("row %d%s" % (part.row + k + 1, what), self._path, REMEDY),
                )
        return Rows(
            [],
            nothing,
            KitError(  # nothing that Python sees: pyarrow's own words
                "cannot be read after row %d: %s" % (part.row, reason), self._path, REMEDY
            ),
        )


def _damage(line: bytes, columns: Sequence[str]) -> str:
    """What is wrong with a line, as the words that follow "row 7"; "" where nothing is."""
    line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
    if not line:
        return " is an empty line"
    for byte, name in (
        (b"\0", "NUL bytes"),
        (b'"', "a quotation mark"),
        (b"\r", "a carriage return"),
    ):
        if byte in line:
            return " holds " + name
    try:
        cells = line.decode("utf-8").split(",")
    except UnicodeDecodeError:
        return " is no UTF-8 text"
    if len(cells) != len(columns) + 1:
        return " has %d fields instead of %d" % (len(cells), len(columns) + 1)
    for name, cell in zip([SAMPLE_ID] + list(columns), cells):
        text = cell.strip(" \t")  # as pyarrow does
        if not text:
            return f", column {name} is empty"
        if name != SAMPLE_ID and text.lstrip("+-").lower() in ("nan", "inf", "infinity"):
            return f", column {name} is NaN or infinite"
        if name != SAMPLE_ID and not _NUMBER.fullmatch(text):
            return f", column {name} holds {cell[:40]!r}, which is no number"
        if name != SAMPLE_ID and not np.isfinite(float(text)):
            return f", column {name} is NaN or infinite"
    return ""


def threads() -> int:
    """Threads that parse: one for each core that this process may use."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(cores, _MOST_THREADS)


def in_order(work: Callable[[_T], _R], items: Iterable[_T], count: int) -> Iterator[_R]:
    """Yields work(item) in the items' order while `count` threads work ahead, two items further than they are many.

    Where `items` ends in a KitError, it is raised after the results of the items before it.
    """
    waiting: Deque[Future[_R]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            source, failure = iter(items), None
            while True:
                try:
                    waiting.append(pool.submit(work, next(source)))
                except StopIteration:
                    break
                except KitError as error:
                    failure = error
                    break
                if len(waiting) > count + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            if failure:
                raise failure
        finally:
            for future in waiting:
                future.cancel()


def stream(path: Path, columns: Sequence[str]) -> Iterator[Tuple[List[str], np.ndarray]]:
    """Yields (ids, values (n, len(columns)) float64) for a CSV of sample_id and `columns`, in file order.

    Raises KitError as `cut` does, and for a damaged row (another number of fields, a value that is no number, a NaN or
    an infinity) once the rows before it are out.
    """
    for rows in in_order(Parser(path, columns), cut(path, columns), threads()):
        if rows.ids:
            yield rows.ids, rows.values
        if rows.damage:
            raise rows.damage
