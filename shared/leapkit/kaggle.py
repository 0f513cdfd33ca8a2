"""Kaggle's CSV files: test.csv, train.csv, sample_submission.csv and sample_submission_old.csv.

Read as a stream with an explicit schema (inference of types from a first block of zeros kills a run hours later),
every number correctly rounded to float64: ptend_q0002_13 and its neighbours reach 1e-58, which float32 cannot hold.
One thread cuts the file at line ends, the others parse what it cuts; results come in file order.
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
from typing import BinaryIO, Callable, Deque, Iterable, Iterator, List, Optional, Sequence, Tuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.csv

from leapkit.columns import INPUTS, SAMPLE_ID, TARGETS
from leapkit.errors import KitError, explain_os_errors
from leapkit.files import atomic

_BLOCK = 2 << 20  # bytes of CSV that one thread parses at a time: about 190 rows of test.csv
_LONGEST = 1 << 20  # bytes of a line: train.csv's take 18,000, a hole in a damaged file takes gigabytes
_MOST_THREADS = 8  # more would wait for the one that cuts
REMEDY = "download the file again or make it again with the split maker"
_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_T = TypeVar("_T")
_R = TypeVar("_R")


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what a file that is no CSV makes Python say into a KitError."""
    try:
        with explain_os_errors(path, REMEDY):
            yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise KitError("is no CSV file (%s)" % error, path, REMEDY) from error


def _header(path: Path, expected: Sequence[str]) -> int:
    """The first line's length in bytes. Raises KitError unless it holds exactly the expected names, in order."""
    with _explained(path), open(path, "rb") as handle:
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
        what = "has the unknown column %.40s" % extra[0]
    elif twice:
        what = "has the column %s twice" % twice[0]
    else:
        what = "has the right columns in a wrong order"
    raise KitError(what, path, REMEDY)


def _require_last_line_whole(path: Path) -> None:
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


def cut(path: Path, columns: Sequence[str], rows: int = 0, after: Tuple[int, int] = (0, 0)) -> Iterator[Lines]:
    """Yields a CSV of sample_id and `columns` as `rows` lines at a time, the last time as many as there are.

    rows   0 takes as many lines as come to about _BLOCK bytes
    after  (data rows, byte that they end at) to leave out; (0, 0) begins with the first row

    Raises KitError for a missing, empty or cut file, wrong columns, endless lines, and, once all lines are out, for a
    file that was changed or removed meanwhile.
    """
    header = _header(path, [SAMPLE_ID] + list(columns))
    _require_last_line_whole(path)
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
            what = "holds NUL bytes" if b"\0" in lines[endless] else "has no line end within %d bytes" % _LONGEST
            raise KitError("row %d %s" % (row + endless + 1, what), path, REMEDY)
        at += sum(map(len, lines))
        if at > size:  # it has grown, which `cut` tells
            return
        if not lines or not lines[-1].endswith(b"\n"):
            raise KitError("was cut off in row %d while it was read" % (row + max(1, len(lines))), path, REMEDY)
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
            read_options=pa.csv.ReadOptions(use_threads=False, column_names=["value"], block_size=1 << 30),
            parse_options=pa.csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pa.csv.ConvertOptions(column_types={"value": pa.float64()}, null_values=[]))

    def __call__(self, part: Lines) -> Rows:
        """All rows of the lines, or those before the first damaged one and its damage."""
        try:
            ids, numbers = self._split(part.lines)
            if numbers is not None:
                table = pa.csv.read_csv(pa.BufferReader(pa.py_buffer(numbers)), **self._options)
                values = np.concatenate([  # pyarrow's to_numpy would import pandas, where there is one
                    np.frombuffer(chunk.buffers()[1], np.float64, len(chunk), 8 * chunk.offset)
                    for chunk in table.column(0).chunks])
                if values.size == len(ids) * len(self._columns) and np.isfinite(values).all():
                    return Rows(ids, values.reshape(len(ids), len(self._columns)))
            reason = "its fields are odd"
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            reason = str(error).split(": ...")[0].replace("\n", " ")[:160].rstrip()
        return self._damaged(part, reason)

    def _split(self, lines: List[bytes]) -> Tuple[List[str], Optional[np.ndarray]]:
        """The ids, and the bytes of the numbers, each ending in a line end; None where ids or numbers of fields are odd."""
        begins = [line.find(b",") + 1 for line in lines]
        ids = b"\n".join([line[:begin - 1] for line, begin in zip(lines, begins)])
        text = np.frombuffer(b"".join([memoryview(line)[begin:] for line, begin in zip(lines, begins)]), np.uint8)
        commas, at, whole = text == ord(","), 0, all(begin > 1 for begin in begins)
        for line, begin in zip(lines, begins):  # one by one: a cell may have slipped from a line into the next
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
                return Rows(before.ids, before.values, before.damage or KitError(
                    "row %d%s" % (part.row + k + 1, what), self._path, REMEDY))
        return Rows([], nothing, KitError(  # nothing that Python sees: pyarrow's own words
            "cannot be read after row %d: %s" % (part.row, reason), self._path, REMEDY))


def _damage(line: bytes, columns: Sequence[str]) -> str:
    """What is wrong with a line, as the words that follow "row 7"; "" where nothing is."""
    line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
    if not line:
        return " is an empty line"
    for byte, name in ((b"\0", "NUL bytes"), (b'"', "a quotation mark"), (b"\r", "a carriage return")):
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
            return ", column %s is empty" % name
        if name != SAMPLE_ID and text.lstrip("+-").lower() in ("nan", "inf", "infinity"):
            return ", column %s is NaN or infinite" % name
        if name != SAMPLE_ID and not _NUMBER.fullmatch(text):
            return ", column %s holds %r, which is no number" % (name, cell[:40])
        if name != SAMPLE_ID and not np.isfinite(float(text)):
            return ", column %s is NaN or infinite" % name
    return ""


def threads() -> int:
    """Threads that parse: one for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
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


# --- the small files -------------------------------------------------------------------------------------------------

def read_ids(path: Path) -> List[str]:
    """The sample ids of sample_submission.csv, in order. Raises KitError for a duplicate."""
    _header(path, [SAMPLE_ID] + list(TARGETS))
    _require_last_line_whole(path)
    ids: List[str] = []
    with _explained(path), open(path, encoding="utf-8") as handle:
        next(handle)
        for line in handle:
            name, comma, _ = line.partition(",")
            if not comma:
                raise KitError("line %d has no comma" % (len(ids) + 2), path, REMEDY)
            ids.append(name)
    if len(set(ids)) != len(ids):
        twice = next(name for name, count in Counter(ids).items() if count > 1)
        raise KitError("the sample_id %s stands there twice" % twice, path, REMEDY)
    if not ids:
        raise KitError("holds no rows", path, REMEDY)
    return ids


def read_old_weights(path: Path) -> np.ndarray:
    """The 368 weights of the first row (all rows are equal), float64, Kaggle order.

    Accepts sample_submission_old.csv and the team's old_sample_weight.csv, which has no sample_id column.
    """
    _require_last_line_whole(path)
    with _explained(path), open(path, encoding="utf-8", newline="") as handle:
        rows = csv.reader(handle)
        names, first = next(rows, []), next(rows, [])
    if names[:1] == [SAMPLE_ID]:
        names, first = names[1:], first[1:]
    if names != list(TARGETS):
        raise KitError("its header is not the 368 target columns in Kaggle order", path, REMEDY)
    try:
        weights = np.array([float(value) for value in first])
    except ValueError as error:
        raise KitError("its first row holds a value that is no number (%s)" % error, path, REMEDY) from error
    if weights.shape != (len(TARGETS),) or not np.isfinite(weights).all() or (weights < 0).any():
        raise KitError("its first row is not 368 finite weights >= 0", path, REMEDY)
    return weights


class CsvWriter:
    """Writes a CSV in Kaggle's format: shortest decimals that read back to the same float64."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns, self._path = list(columns), path

    def __enter__(self) -> CsvWriter:
        # The stack tells atomic when closing, which writes the last buffer, finds the disk full.
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(atomic(self._path))
            self._handle = stack.enter_context(open(temporary, "w", encoding="utf-8", newline=""))
            self._handle.write(",".join([SAMPLE_ID] + self._columns) + "\n")
            self._stack = stack.pop_all()
        return self

    def write(self, ids: Sequence[str], values: np.ndarray) -> None:
        """ids of n rows and their values (n, columns): float64 as decimals, integers as integers."""
        self._handle.writelines(
            "%s,%s\n" % (name, ",".join(map(repr, row))) for name, row in zip(ids, values.tolist()))

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)  # type: ignore[arg-type]


def test_rows(path: Path) -> Iterator[Tuple[List[str], np.ndarray]]:
    """test.csv: (ids, inputs (n, 556) float64 in Kaggle order and physical units)."""
    return stream(path, INPUTS)


def train_rows(path: Path) -> Iterator[Tuple[List[str], np.ndarray]]:
    """train.csv: (ids, inputs and targets (n, 924) float64 in Kaggle order and physical units)."""
    return stream(path, INPUTS + TARGETS)
