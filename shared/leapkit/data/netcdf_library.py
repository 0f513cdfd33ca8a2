"""Read what is no classic form through the netCDF4 library: netCDF-4, compressed or not.

It is the slow way (docs/data.md, "Step files in other forms"), and says so once per process.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Iterator, Tuple

import numpy as np

from leapkit.core.errors import KitError, explain_os_errors
from leapkit.data.netcdf_header import Header, Variable

MAGIC = b"\x89HDF\r\n\x1a\n"
_REMEDY = "download this file again, or copy it with `nccopy -k cdf5`"
_ATTRIBUTES = ("scale_factor", "add_offset", "_FillValue", "missing_value")
# The HDF5 library may be used by one thread at a time, and netCDF4 does not see to that.
_LIBRARY = threading.Lock()

ArrayOf = Callable[[str], np.ndarray]


def is_its_form(path: Path) -> bool:
    """Return whether a file begins as netCDF-4 does. Raises KitError if it cannot be read."""
    with explain_os_errors(path), open(path, "rb") as handle:
        return handle.read(len(MAGIC)) == MAGIC


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Tuple[Header, ArrayOf]]:
    """Open a file; give its header, and what reads a variable of it in its stored shape.

    Raises KitError if the library is not installed or cannot read the file.
    """
    library = _library(path)
    with _LIBRARY:
        _say_that_it_is_slow()
        with _explained(path):
            file = library.Dataset(str(path))
        with contextlib.closing(file):
            with _explained(path):
                file.set_auto_maskandscale(False)
                header = _header(file)
            yield header, lambda name: _array(file, path, name)


def _array(file: Any, path: Path, name: str) -> np.ndarray:
    with _explained(path):
        return np.asarray(file.variables[name][...])


def _library(path: Path) -> Any:
    try:
        return importlib.import_module("netCDF4")
    except ImportError as error:
        raise KitError(
            "is in netCDF-4's form, and the library netCDF4 is not installed in this Python",
            path,
            "pip install netCDF4, or copy the file with `nccopy -k cdf5`",
        ) from error


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the library raises for a damaged file into a KitError."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise KitError(f"cannot be read by netCDF4 ({reason})", path, _REMEDY) from error


@lru_cache(maxsize=None)  # once per process
def _say_that_it_is_slow() -> None:
    print(
        "step files in netCDF-4's form are read through the netCDF4 library, which takes many times"
        " as long as CDF-5; `nccopy -k cdf5` converts a file",
        flush=True,
    )


def _header(file: Any) -> Header:
    return Header(
        {name: len(dimension) for name, dimension in file.dimensions.items()},
        {name: _variable(name, stored) for name, stored in file.variables.items()},
    )


def _variable(name: str, stored: Any) -> Variable:
    # The dtype of a variable of text is the class str, and those of HDF5's own types are objects.
    dtype = stored.dtype.str if isinstance(stored.dtype, np.dtype) else "O"
    present = set(stored.ncattrs())
    attributes = {
        key: np.atleast_1d(np.asarray(stored.getncattr(key)))
        for key in _ATTRIBUTES
        if key in present
    }
    return Variable(name, tuple(stored.dimensions), tuple(stored.shape), dtype, attributes)
