"""A reader for CDF-5 files (NetCDF "64-bit data", magic CDF\\x05) with fixed-size float64 and int32 variables.

h5py, h5netcdf and scipy cannot read this format and netCDF4 pays for generality on every variable; the ClimSim
step files are a header followed by contiguous big-endian arrays, so parsing the header once and viewing the bytes
is enough. Format: Unidata "NetCDF Classic Format Specification", section "CDF-5". netCDF4 is the oracle in tests.
"""

from __future__ import annotations

import math
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
_LONGEST_HEADER = 1 << 20  # a step file's header has 2,200 bytes; more than this is damage
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
        return (
            math.prod(self.shape) * np.dtype(self.dtype).itemsize
        )  # a damaged shape overflows 64 bits


@dataclass(frozen=True)
class Header:
    """What a CDF-5 file says of itself."""

    length: int  # bytes of the header
    file_size: int  # bytes that a whole file has
    dimensions: Dict[str, int]
    variables: Dict[str, Variable]


class _Cursor:
    """Reads the header's primitives; a read past the end is a truncated file."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise ValueError("the header ends early or is damaged at byte %d" % self.at)
        self.at += count
        return self.data[self.at - count : self.at]

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
        """The number of elements of a list that starts here (0 where it is absent)."""
        found, count = self.int32(), self.int64()
        if (found, count) != (0, 0) and found != tag:
            raise ValueError("unexpected tag %d at byte %d" % (found, self.at))
        if not 0 <= count <= _LONGEST_HEADER:
            raise ValueError("impossible count %d at byte %d" % (count, self.at))
        return count

    def skip_attributes(self) -> None:
        for _ in range(self.list_of(_ATTRIBUTE)):
            self.name()
            size = _item(self.int32()) * self.int64()
            self.take(size + (-size % 4))


def _item(kind: int) -> int:
    if kind not in _TYPES:
        raise ValueError("unknown type %d" % kind)
    return _TYPES[kind][1]


def parse_header(data: bytes) -> Header:
    """Parses the first bytes of a file. Raises ValueError with the reason when they are no CDF-5 header."""
    if data[:4] != b"CDF\x05":
        raise ValueError(f"is no CDF-5 file (it starts with {data[:4]!r})")
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
    if any(v.begin < cursor.at for v in variables.values()):
        raise ValueError("a variable starts inside the header")
    # The format writes variables one behind the other; a damaged offset would otherwise read other numbers.
    ends = [v.begin + v.nbytes + (-v.nbytes % 4) for v in variables.values()]
    if any(v.begin != end for v, end in zip(list(variables.values())[1:], ends)):
        raise ValueError("its variables do not lie one behind the other")
    return Header(cursor.at, ends[-1], dict(sizes), variables)


def _dimension_ids(cursor: _Cursor) -> List[int]:
    count = cursor.int64()
    if not 0 <= count <= 16:
        raise ValueError("impossible number of dimensions %d" % count)
    return [cursor.int64() for _ in range(count)]


class Cdf5Reader:
    """Reads whole files; the parsed header is reused for files whose header bytes are equal, as all mli files' are."""

    def __init__(self) -> None:
        self._header_bytes = b""
        self._header: Optional[Header] = None
        self._buffer = bytearray()

    def read(self, path: Path) -> Tuple[Header, memoryview]:
        """-> (header, the file's bytes). The bytes are valid until the next call.

        Raises KitError when the file is missing, is no CDF-5 file, or has not the size its header promises.
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
            raise KitError(
                "ended after %d of %d bytes while it was read" % (got, size), path, REMEDY
            )
        header = self._header
        if header is None or view[: header.length] != self._header_bytes:
            try:
                header = parse_header(bytes(view[:_LONGEST_HEADER]))
            except (ValueError, UnicodeDecodeError) as error:
                raise KitError(str(error), path, REMEDY) from error
            self._header, self._header_bytes = header, bytes(view[: header.length])
        if size != header.file_size:
            state = "is truncated" if size < header.file_size else "has trailing bytes"
            raise KitError(
                "%s: %d bytes instead of %d" % (state, size, header.file_size), path, REMEDY
            )
        return header, view


def array(header: Header, view: memoryview, name: str) -> np.ndarray:
    """A big-endian view of one variable, shape as stored: (lev, ncol) or (ncol,) or ()."""
    variable = header.variables[name]
    flat = np.frombuffer(
        view, dtype=variable.dtype, count=math.prod(variable.shape), offset=variable.begin
    )
    return flat.reshape(variable.shape)
