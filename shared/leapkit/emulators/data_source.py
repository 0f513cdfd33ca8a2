"""A NetCDF file or a Zarr folder as a source of columns, read by xarray."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List

import numpy as np

from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError
from leapkit.data.opened_datasets import REMEDY, explained, opened
from leapkit.emulators import datasets
from leapkit.emulators.sources import MOST_ROWS, ROWS_AT_A_TIME, BlockRows, Source

if TYPE_CHECKING:
    import xarray


class DataSource(Source):
    """A NetCDF file or a Zarr folder with ClimSim's variables, and any dimensions beside `lev`.

    It is read along the first of them. Raises KitError if it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dataset = opened(path, decode_times=False)
        with explained(path):
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
            raise KitError("holds no columns", path, REMEDY)
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

        with explained(self._path):
            datasets.mapped(self._block(number), keep, MOST_ROWS, {})
        return np.concatenate(rows)

    def blocks(self) -> Iterator[xarray.Dataset]:
        for number in range(-(-self.size // self._together)):
            with explained(self._path):
                yield self._block(number)


def _zeros(x: np.ndarray) -> np.ndarray:
    return np.zeros((len(x), len(TARGETS)))
