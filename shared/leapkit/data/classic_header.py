"""Parse the headers of the classic netCDF forms, which say where each array lies in the file.

CDF-1 (classic), CDF-2 (64-bit offset) and CDF-5 (64-bit data, as ClimSim's step files) are a header
followed by big-endian arrays. They differ in the width of the header's numbers alone. Format:
Unidata, "NetCDF Classic Format Specification". netCDF4 is the oracle in tests.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Tuple

import numpy as np

from leapkit.data.netcdf_header import Header, Variable

_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
_TEXT = 2
# nc_type -> numpy dtype: all types of the format, as attributes may use any of them
_TYPES = {
    1: "i1",
    _TEXT: "S1",
    3: ">i2",
    4: ">i4",
    5: ">f4",
    6: ">f8",
    7: "u1",
    8: ">u2",
    9: ">u4",
    10: ">i8",
    11: ">u8",
}
LONGEST_HEADER = 1 << 20  # bytes; more than this is damage
_MOST_AXES = 16


@dataclass(frozen=True)
class ClassicVariable(Variable):
    """A variable of a classic form: the offset of its first byte, the bytes between neighbours."""

    begin: int
    strides: Tuple[int, ...]


@dataclass(frozen=True)
class ClassicHeader(Header):
    """The header of a classic form.

    length     bytes of the header
    begin      offset of the last variable
    file_size  bytes that a whole file has
    spare      bytes more that it may have: libraries pad the last of records without padding
    """

    variables: Dict[str, ClassicVariable]  # type: ignore[assignment]
    length: int
    begin: int
    file_size: int
    spare: int


class Gaps(ValueError):
    """The file is damaged, or another program aligned its variables, as PnetCDF can."""


class _Width(NamedTuple):
    """The formats of a form's numbers: counts and sizes, and the offsets of variables."""

    size: str
    offset: str


_FORMS = {
    b"CDF\x01": _Width(">I", ">I"),
    b"CDF\x02": _Width(">I", ">Q"),
    b"CDF\x05": _Width(">Q", ">Q"),
}
CLASSIC = tuple(_FORMS)


class _Cursor:
    """Reads the header's primitives; a read past the end is a truncated file."""

    def __init__(self, data: bytes, width: _Width) -> None:
        self.data = data
        self.width = width
        self.position = len(CLASSIC[0])

    def take(self, count: int) -> bytes:
        if count < 0 or self.position + count > len(self.data):
            raise ValueError(f"the header ends early or is damaged at byte {self.position}")
        self.position += count
        return self.data[self.position - count : self.position]

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def count(self) -> int:
        return self.number(self.width.size)

    def padded(self, count: int) -> bytes:
        return self.take(count + (-count % 4))[:count]

    def name(self) -> str:
        return self.padded(self.count()).decode("utf-8")

    def dtype(self) -> str:
        kind = self.number(">i")
        if kind not in _TYPES:
            raise ValueError(f"unknown type {kind}")
        return _TYPES[kind]

    def list_of(self, tag: int) -> range:
        """Return one number for each element of the list that starts here (none if absent)."""
        actual = self.number(">i")
        count = self.count()
        if (actual, count) != (0, 0) and actual != tag:
            raise ValueError(f"unexpected tag {actual} at byte {self.position}")
        if count > LONGEST_HEADER:
            raise ValueError(f"impossible count {count} at byte {self.position}")
        return range(count)

    def attributes(self) -> Dict[str, np.ndarray]:
        values = {}
        for _ in self.list_of(_ATTRIBUTE):
            name = self.name()
            dtype = self.dtype()
            content = self.padded(self.count() * np.dtype(dtype).itemsize)
            values[name] = np.frombuffer(content, dtype)
        return values

    def axes(self, known: int) -> List[int]:
        count = self.count()
        if count > _MOST_AXES:
            raise ValueError(f"impossible number of dimensions {count}")
        axes = [self.count() for _ in range(count)]
        if any(axis >= known for axis in axes):
            raise ValueError(f"an unknown dimension at byte {self.position}")
        return axes


class _Entry(NamedTuple):
    """A variable as the header has it; `is_record` if its first axis is the record dimension."""

    name: str
    axes: List[int]
    is_record: bool
    attributes: Dict[str, np.ndarray]
    dtype: str
    begin: int


def parse_header(data: bytes) -> ClassicHeader:
    """Parse the first bytes of a file. Raises ValueError if they are no header of a classic form.

    A record dimension has the size 0 in the file and the number of records here.
    """
    if data[:4] not in _FORMS:
        raise ValueError(f"is not a classic netCDF file (it starts with {data[:4]!r})")
    cursor = _Cursor(data, _FORMS[data[:4]])
    records = cursor.count()
    dimensions = [(cursor.name(), cursor.count()) for _ in cursor.list_of(_DIMENSION)]
    cursor.attributes()
    entries = [_entry(cursor, dimensions) for _ in cursor.list_of(_VARIABLE)]
    if not entries:
        raise ValueError("has no variables")
    if len({entry.name for entry in entries}) != len(entries):
        raise ValueError("names a variable twice")
    sizes = {name: size or records for name, size in dimensions}
    if len(sizes) != len(dimensions) or [size for _, size in dimensions].count(0) > 1:
        raise ValueError("names a dimension twice, or has two record dimensions")
    names = [name for name, _ in dimensions]
    return _laid_out(cursor.position, sizes, names, entries, records)


def _entry(cursor: _Cursor, dimensions: List[Tuple[str, int]]) -> _Entry:
    name = cursor.name()
    axes = cursor.axes(len(dimensions))
    attributes = cursor.attributes()
    dtype = cursor.dtype()
    cursor.count()  # bytes: follows from shape and type
    begin = cursor.number(cursor.width.offset)
    is_record = [dimensions[axis][1] == 0 for axis in axes]
    if any(is_record[1:]):
        raise ValueError(f"{name} has the record dimension in another place than the first")
    return _Entry(name, axes, any(is_record), attributes, dtype, begin)


def _laid_out(
    length: int, sizes: Dict[str, int], names: List[str], entries: List[_Entry], records: int
) -> ClassicHeader:
    """Return the header after a check that its variables lie one behind the other.

    So the format writes them, first those without records, then all variables of each record; a
    damaged offset would read other numbers.
    """
    variables: Dict[str, ClassicVariable] = {}
    record_bytes = _record_bytes(entries, names, sizes)
    expected = 0
    for entry in sorted(entries, key=lambda entry: entry.is_record):  # stable
        if expected and entry.begin != expected:
            raise Gaps("its variables do not lie one behind the other")
        if entry.begin < length:
            raise ValueError("a variable starts inside the header")
        dimensions = tuple(names[axis] for axis in entry.axes)
        shape = tuple(sizes[name] for name in dimensions)
        strides = _strides(shape, np.dtype(entry.dtype).itemsize)
        if entry.is_record:
            strides = (record_bytes, *strides[1:])
        variables[entry.name] = ClassicVariable(
            entry.name, dimensions, shape, entry.dtype, entry.attributes, entry.begin, strides
        )
        expected = entry.begin + _slab_bytes(entry, names, sizes)
    recorded = [entry.begin for entry in entries if entry.is_record]
    file_size = min(recorded) + records * record_bytes if recorded else expected
    return ClassicHeader(
        sizes, variables, length, entry.begin, file_size, 3 if record_bytes % 4 else 0
    )


def _slab_bytes(entry: _Entry, names: List[str], sizes: Dict[str, int]) -> int:
    """Return the padded bytes of a variable, or of one record of it."""
    # Python's integers, as a damaged shape overflows 64 bits.
    count = math.prod(sizes[names[axis]] for axis in entry.axes[entry.is_record :])
    size = count * np.dtype(entry.dtype).itemsize
    return size + (-size % 4)


def _record_bytes(entries: List[_Entry], names: List[str], sizes: Dict[str, int]) -> int:
    """Return the bytes of one record; that of a single variable is not padded."""
    recorded = [entry for entry in entries if entry.is_record]
    if len(recorded) == 1:
        [entry] = recorded
        count = math.prod(sizes[names[axis]] for axis in entry.axes[1:])
        return count * np.dtype(entry.dtype).itemsize
    return sum(_slab_bytes(entry, names, sizes) for entry in recorded)


def _strides(shape: Tuple[int, ...], item: int) -> Tuple[int, ...]:
    return tuple(item * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
