"""Read netCDF's classic forms fast: the header is parsed once, and the bytes are viewed.

h5py, h5netcdf and scipy cannot read CDF-5, ClimSim's form, and netCDF4 pays for generality on every
variable. The arrays of a classic file are contiguous, or lie in records of equal length, so a view
of the file's bytes is enough.
"""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import Optional, Tuple

import numpy as np

from leapkit.core.errors import KitError
from leapkit.data.classic_header import LONGEST_HEADER, ClassicHeader, Gaps, parse_header

_USUAL_HEADER = 1 << 13  # bytes; a step file's header has 2,200
_LONGEST_FILE = 1 << 30  # bytes; a step file has 2 MB, and one of ClimSim high-res 107 MB
_ALIGNMENT = 8  # bytes
REMEDY = "download this file again"


class ClassicReader:
    """Reads whole files into one buffer.

    The parsed header is reused for files whose header bytes are equal, as all mli files' are.
    """

    def __init__(self) -> None:
        self._header_bytes = b""
        self._header: Optional[ClassicHeader] = None
        self._buffer = bytearray(_USUAL_HEADER)

    def read(self, handle: FileIO, path: Path) -> Tuple[ClassicHeader, memoryview]:
        """Return (header, the file's bytes) of an open file. They are valid until the next call.

        Raises KitError if the file is not of a classic form, or not as long as its header says.
        """
        size = handle.seek(0, 2)
        handle.seek(0)
        header = self._header
        if header is None or size != header.file_size:
            # What is not a step file is not read to its end: it may be larger than the memory.
            header = read_header(handle, path)
            handle.seek(0)
        if len(self._buffer) < size + _ALIGNMENT:
            self._buffer = bytearray(size + _ALIGNMENT)
        # Where float64 lies at multiples of 8 bytes, numpy is up to eight times as fast to turn it.
        shift = -header.begin % _ALIGNMENT
        view = memoryview(self._buffer)[shift : shift + size]
        count = _fill(handle, view)
        if count != size:
            raise KitError(f"ended after {count} of {size} bytes while it was read", path, REMEDY)
        if header is not self._header or view[: header.length] != self._header_bytes:
            header = _parsed(bytes(view[:LONGEST_HEADER]), path)
            self._header = header
            self._header_bytes = bytes(view[: header.length])
        _require_size(header, size, path)
        return header, view


def _fill(handle: FileIO, view: memoryview) -> int:
    """Read into the view until it is full or the file ends; return the number of bytes."""
    filled = 0
    while filled < len(view):
        count = handle.readinto(view[filled:])
        if not count:
            break
        filled += count
    return filled


def read_header(handle: FileIO, path: Path) -> ClassicHeader:
    """Return the header of an open file, which stands at its beginning; no array is read.

    Raises KitError if the file is not of a classic form, or not as long as its header says.
    """
    size = handle.seek(0, 2)
    handle.seek(0)
    start = handle.read(_USUAL_HEADER)
    try:
        header = parse_header(start)
    except ValueError:
        header = _parsed(start + handle.read(LONGEST_HEADER - len(start)), path)
    _require_size(header, size, path)
    return header


def _parsed(data: bytes, path: Path) -> ClassicHeader:
    try:
        return parse_header(data)
    except Gaps as error:
        raise KitError(str(error), path, f"{REMEDY}, or pack it with `nccopy -k cdf5`") from error
    except ValueError as error:
        raise KitError(str(error), path, REMEDY) from error


def _require_size(header: ClassicHeader, size: int, path: Path) -> None:
    if not 0 <= size - header.file_size <= header.spare:
        state = "is truncated" if size < header.file_size else "has trailing bytes"
        raise KitError(f"{state}: {size} bytes instead of {header.file_size}", path, REMEDY)
    if size > _LONGEST_FILE:
        raise KitError(f"is too long for a step file ({size} bytes)", path, REMEDY)


def array(header: ClassicHeader, view: memoryview, name: str) -> np.ndarray:
    """Return a big-endian view of one variable in its stored shape: (lev, ncol), (ncol,) or ()."""
    variable = header.variables[name]
    return np.ndarray(variable.shape, variable.dtype, view, variable.begin, variable.strides)
