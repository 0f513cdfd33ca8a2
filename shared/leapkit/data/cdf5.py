"""Read CDF-5 files (NetCDF "64-bit data", magic CDF\\x05) of float64 and int32 variables.

h5py, h5netcdf and scipy cannot read this format and netCDF4 pays for generality on every variable.
The ClimSim step files are a header followed by contiguous big-endian arrays, so parsing the header
once and viewing the bytes is enough. Format: Unidata "NetCDF Classic Format Specification", section
"CDF-5". netCDF4 is the oracle in tests.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np

from leapkit.core.errors import KitError, explain_os_errors

_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
# nc_type -> (numpy dtype, bytes): all types of the format, as attributes may use any of them
_TYPES = {
    1: ("i1", 1),
    2: ("S1", 1),
    3: (">i2", 2),
    4: (">i4", 4),
    5: (">f4", 4),
    6: (">f8", 8),
    7: ("u1", 1),
    8: (">u2", 2),
    9: (">u4", 4),
    10: (">i8", 8),
    11: (">u8", 8),
}
_USUAL_HEADER = 1 << 13  # bytes; a step file's header has 2,200
_LONGEST_HEADER = 1 << 20  # more than this is damage
REMEDY = "download this file again"


@dataclass(frozen=True)
class Variable:
    """One variable: its shape (level first), big-endian dtype and the offset of its first byte."""

    name: str
    dimensions: Tuple[str, ...]
    shape: Tuple[int, ...]
    dtype: str
    begin: int

    @property
    def nbytes(self) -> int:
        # Python's integers, as a damaged shape overflows 64 bits.
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Header:
    """What a CDF-5 file says of itself.

    length     bytes of the header
    file_size  bytes that a whole file has
    """

    length: int
    file_size: int
    dimensions: Dict[str, int]
    variables: Dict[str, Variable]


class _Cursor:
    """Reads the header's primitives; a read past the end is a truncated file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.position + count > len(self.data):
            raise ValueError(f"the header ends early or is damaged at byte {self.position}")
        self.position += count
        return self.data[self.position - count : self.position]

    def int32(self) -> int:
        return int(struct.unpack(">i", self.take(4))[0])

    def int64(self) -> int:
        return int(struct.unpack(">q", self.take(8))[0])

    def name(self) -> str:
        length = self.int64()
        text = self.take(length).decode("utf-8")
        self.take(-length % 4)
        return text

    def list_of(self, tag: int) -> int:
        """Return the number of elements of a list that starts here (0 if it is absent)."""
        actual = self.int32()
        count = self.int64()
        if (actual, count) != (0, 0) and actual != tag:
            raise ValueError(f"unexpected tag {actual} at byte {self.position}")
        if not 0 <= count <= _LONGEST_HEADER:
            raise ValueError(f"impossible count {count} at byte {self.position}")
        return count

    def skip_attributes(self) -> None:
        for _ in range(self.list_of(_ATTRIBUTE)):
            self.name()
            size = _item(self.int32()) * self.int64()
            self.take(size + (-size % 4))


def _item(kind: int) -> int:
    if kind not in _TYPES:
        raise ValueError(f"unknown type {kind}")
    return _TYPES[kind][1]


def parse_header(data: bytes) -> Header:
    """Parse the first bytes of a file. Raises ValueError if they are not a CDF-5 header."""
    if data[:4] != b"CDF\x05":
        raise ValueError(f"is not a CDF-5 file (it starts with {data[:4]!r})")
    cursor = _Cursor(data)
    cursor.take(4)
    cursor.int64()  # number of records: the step files have no record dimension
    sizes: List[Tuple[str, int]] = []
    for _ in range(cursor.list_of(_DIMENSION)):
        name = cursor.name()
        sizes.append((name, cursor.int64()))
    if any(size <= 0 for _, size in sizes):
        raise ValueError("has a record dimension, which step files do not have")
    cursor.skip_attributes()
    variables: Dict[str, Variable] = {}
    for _ in range(cursor.list_of(_VARIABLE)):
        name = cursor.name()
        ids = _dimension_ids(cursor)
        cursor.skip_attributes()
        kind = cursor.int32()
        _item(kind)
        cursor.int64()  # vsize: follows from shape and type
        begin = cursor.int64()
        if any(not 0 <= i < len(sizes) for i in ids):
            raise ValueError(f"variable {name} names an unknown dimension")
        variables[name] = Variable(
            name,
            tuple(sizes[i][0] for i in ids),
            tuple(sizes[i][1] for i in ids),
            _TYPES[kind][0],
            begin,
        )
    if not variables:
        raise ValueError("has no variables")
    if any(v.begin < cursor.position for v in variables.values()):
        raise ValueError("a variable starts inside the header")
    # The format writes variables one behind the other; a damaged offset would read other numbers.
    ends = [v.begin + v.nbytes + (-v.nbytes % 4) for v in variables.values()]
    if any(v.begin != end for v, end in zip(list(variables.values())[1:], ends)):
        raise ValueError("its variables do not lie one behind the other")
    return Header(cursor.position, ends[-1], dict(sizes), variables)


def _dimension_ids(cursor: _Cursor) -> List[int]:
    count = cursor.int64()
    if not 0 <= count <= 16:
        raise ValueError(f"impossible number of dimensions {count}")
    return [cursor.int64() for _ in range(count)]


def read_header(path: Path, remedy: str = REMEDY) -> Header:
    """Return a file's header; the arrays are not read.

    Raises KitError if the file is missing, not a CDF-5 file, or not as long as its header says.
    """
    with explain_os_errors(path, remedy), open(path, "rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        start = handle.read(_USUAL_HEADER)
        try:
            header = parse_header(start)
        except (ValueError, UnicodeDecodeError):
            header = _parsed(start + handle.read(_LONGEST_HEADER - len(start)), path, remedy)
    _require_size(header, size, path, remedy)
    return header


def _parsed(data: bytes, path: Path, remedy: str) -> Header:
    try:
        return parse_header(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise KitError(str(error), path, remedy) from error


def _require_size(header: Header, size: int, path: Path, remedy: str) -> None:
    if size != header.file_size:
        state = "is truncated" if size < header.file_size else "has trailing bytes"
        raise KitError(f"{state}: {size} bytes instead of {header.file_size}", path, remedy)


class Cdf5Reader:
    """Reads whole files into one buffer.

    The parsed header is reused for files whose header bytes are equal, as all mli files' are.
    """

    def __init__(self) -> None:
        self._header_bytes = b""
        self._header: Optional[Header] = None
        self._buffer = bytearray()

    def read(self, path: Path) -> Tuple[Header, memoryview]:
        """Return (header, the file's bytes). The bytes are valid until the next call.

        Raises KitError if the file is missing, not a CDF-5 file, or not as long as its header says.
        """
        with explain_os_errors(path, REMEDY), open(path, "rb", buffering=0) as handle:
            size = handle.seek(0, 2)
            handle.seek(0)
            if len(self._buffer) < size:
                self._buffer = bytearray(size)
            view = memoryview(self._buffer)[:size]
            got = 0
            while got < size:
                count = handle.readinto(view[got:])
                if not count:
                    break
                got += count
        if got != size:
            raise KitError(f"ended after {got} of {size} bytes while it was read", path, REMEDY)
        header = self._header
        if header is None or view[: header.length] != self._header_bytes:
            header = _parsed(bytes(view[:_LONGEST_HEADER]), path, REMEDY)
            self._header = header
            self._header_bytes = bytes(view[: header.length])
        _require_size(header, size, path, REMEDY)
        return header, view


def array(header: Header, view: memoryview, name: str) -> np.ndarray:
    """Return a big-endian view of one variable, shape as stored: (lev, ncol), (ncol,) or ()."""
    variable = header.variables[name]
    flat = np.frombuffer(
        view, dtype=variable.dtype, count=math.prod(variable.shape), offset=variable.begin
    )
    return flat.reshape(variable.shape)
