"""A NetCDF file or a Zarr folder as a source of columns, read by xarray."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List

import numpy as np

from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError
from leapkit.data.classic_header import CLASSIC, LONGEST_HEADER, parse_header
from leapkit.emulators import datasets
from leapkit.emulators.sources import MOST_ROWS, ROWS_AT_A_TIME, BlockRows, Source

if TYPE_CHECKING:
    import xarray

_REMEDY = "download or write it again"


class DataSource(Source):
    """A NetCDF file or a Zarr folder with ClimSim's variables, and any dimensions beside `lev`.

    It is read along the first of them. Raises KitError if it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dataset = opened(path)
        with _explained(path):
            datasets.mapped(self._nothing(), _zeros, 1, {})  # refuses what is no such data set
        sizes = {
            axis: length
            for name in datasets.INPUT_VARIABLES
            for axis, length in self._dataset[name].sizes.items()
            if axis != datasets.LEVEL
        }
        if not sizes:
            raise KitError("has no dimension but `lev`", path, "add one, as ncol")
        count = int(np.prod(list(sizes.values())))
        if not count:
            raise KitError("holds no columns", path, _REMEDY)
        first = next(iter(sizes))
        if count // sizes[first] > MOST_ROWS:
            first = max(sizes, key=lambda axis: sizes[axis])
        self.dimension = str(first)
        self.size = sizes[first]
        rest = count // self.size
        self._together = max(1, ROWS_AT_A_TIME // rest)
        self.rows = BlockRows(count, self._together * rest, self._read)

    def _nothing(self) -> xarray.Dataset:
        axes = [axis for axis in self._dataset.dims if axis != datasets.LEVEL]
        return self._dataset.isel({axis: slice(0, 0) for axis in axes})

    def _block(self, number: int) -> xarray.Dataset:
        start = number * self._together
        return self._dataset.isel({self.dimension: slice(start, start + self._together)})

    def _read(self, number: int) -> np.ndarray:
        rows: List[np.ndarray] = []

        def keep(x: np.ndarray) -> np.ndarray:
            rows.append(x.astype(np.float64))
            return _zeros(x)

        with _explained(self._path):
            datasets.mapped(self._block(number), keep, MOST_ROWS, {})
        return np.concatenate(rows)

    def blocks(self) -> Iterator[xarray.Dataset]:
        for number in range(-(-self.size // self._together)):
            with _explained(self._path):
                yield self._block(number)


def _zeros(x: np.ndarray) -> np.ndarray:
    return np.zeros((len(x), len(TARGETS)))


def opened(path: Path) -> xarray.Dataset:
    """Open a NetCDF file or a Zarr folder lazily, its times as they are stored.

    Raises KitError if it is damaged, or neither.
    """
    try:
        import xarray
    except ImportError as error:
        raise KitError("is not installed", "xarray", "pip install xarray") from error
    if not path.is_dir():
        _require_whole(path)
    with _explained(path):
        engine = "zarr" if path.is_dir() else "netcdf4"
        return xarray.open_dataset(str(path), engine=engine, decode_times=False)  # type: ignore


def _require_whole(path: Path) -> None:
    """Raise KitError for a classic file that is cut off: the library reads zeros behind its end."""
    with open(path, "rb") as handle:
        start = handle.read(LONGEST_HEADER)
        size = handle.seek(0, 2)
    if start[:4] in CLASSIC:
        with contextlib.suppress(ValueError):  # what the library reads, and the kit's reader not
            whole = parse_header(start).file_size
            if size < whole:
                raise KitError(f"is truncated: {size} bytes instead of {whole}", path, _REMEDY)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what libraries say of a damaged file into a KitError about it."""
    try:
        yield
    except KitError as error:
        raise KitError(error.what, path, error.remedy) from error
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise KitError(f"cannot be read as NetCDF or Zarr ({reason})", path, _REMEDY) from error
