"""What is predicted: step files, or a data set, block by block.

A block is read twice: its rows for the network, and its coordinates for the product.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from leapkit.core.columns import INPUTS, LEVELS, TARGETS
from leapkit.core.errors import KitError
from leapkit.core.files import existing_folder
from leapkit.core.step_files import StepPair
from leapkit.data.classic_header import CLASSIC, LONGEST_HEADER, parse_header
from leapkit.data.step_file import StepFileReader, grid_columns
from leapkit.emulators import datasets, step_time

if TYPE_CHECKING:
    import xarray

_ROWS_AT_A_TIME = 1 << 10  # of a data set that is read
_MOST_ROWS = 1 << 17  # of one index of a dimension
_REMEDY = "download or write it again"


class BlockRows:
    """Rows that are read when they are asked for, block by block; the last block is kept.

    count      all rows
    per_block  rows of each block but the last
    load       returns a block's rows, (n, 556) float64 raw, Kaggle order
    """

    def __init__(self, count: int, per_block: int, load: Callable[[int], np.ndarray]) -> None:
        self._count = count
        self._per_block = per_block
        self._load = load
        self._last: Tuple[Optional[int], np.ndarray] = (None, np.empty((0, len(INPUTS))))

    def __len__(self) -> int:
        return self._count

    def block(self, number: int) -> np.ndarray:
        """Return the rows of a block."""
        if self._last[0] != number:
            self._last = (number, self._load(number))
        return self._last[1]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return (stop - start, 556) float64 raw, Kaggle order."""
        first, last = start // self._per_block, -(-stop // self._per_block)
        rows = np.concatenate([self.block(number) for number in range(first, last)])
        return rows[start - first * self._per_block : stop - first * self._per_block]


class StepSource:
    """Steps in the order of time, whose .mli files are read by the kit's own reader.

    accept_float32  whether files in float32 are read too
    Raises KitError if the first file cannot be read.
    """

    dimension = "time"

    def __init__(self, steps: Sequence[StepPair], accept_float32: bool = False) -> None:
        self.steps = steps
        self.size = len(steps)
        self._columns = grid_columns(steps[0].mli)
        self._reader = StepFileReader("mli", accept_float32)
        self.rows = BlockRows(self.size * self._columns, self._columns, self._read)

    def _read(self, number: int) -> np.ndarray:
        step = self.steps[number]
        levels = self._reader.read(step.mli, step.stamp)  # (556, C), used again
        if levels.shape[1] != self._columns:
            what = f"has {levels.shape[1]} columns, the files before it have {self._columns}"
            raise KitError(what, step.mli, "predict files of one grid at a time")
        return np.ascontiguousarray(levels.T)

    def blocks(self) -> Iterator[xarray.Dataset]:
        """Yield the inputs of some steps at a time, with their time."""
        together = max(1, _ROWS_AT_A_TIME * 8 // self._columns)
        for start in range(0, self.size, together):
            numbers = range(start, min(start + together, self.size))
            x = np.stack([self.rows.block(number) for number in numbers])  # (k, C, 556)
            yield _inputs(x, [self.steps[number].stamp for number in numbers])


def _inputs(x: np.ndarray, stamps: Sequence[str]) -> xarray.Dataset:
    """Return the inputs of steps (k, C, 556) as a data set (time, lev, ncol)."""
    import xarray

    variables: Dict[str, Any] = {}
    column = 0
    for name, has_levels in datasets.INPUT_VARIABLES.items():
        if has_levels:
            profile = x[:, :, column : column + LEVELS].transpose(0, 2, 1)
            variables[name] = (("time", "lev", "ncol"), profile)
        else:
            variables[name] = (("time", "ncol"), x[:, :, column])
        column += LEVELS if has_levels else 1
    return xarray.Dataset(variables, step_time.coordinates(stamps, x.shape[1]))


class DataSource:
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
        if count // sizes[first] > _MOST_ROWS:
            first = max(sizes, key=lambda axis: sizes[axis])
        self.dimension = str(first)
        self.size = sizes[first]
        rest = count // self.size
        self._together = max(1, _ROWS_AT_A_TIME // rest)
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
            datasets.mapped(self._block(number), keep, _MOST_ROWS, {})
        return np.concatenate(rows)

    def blocks(self) -> Iterator[xarray.Dataset]:
        """Yield the inputs of some columns at a time, in the order of the rows."""
        for number in range(-(-self.size // self._together)):
            with _explained(self._path):
                yield self._block(number)


def outputs(
    source: Any, y: np.ndarray, attributes: Dict[str, str]
) -> Iterator[xarray.Dataset]:
    """Yield the predictions of each block of a source, with its coordinates.

    y  (N, 368) float64 raw, Kaggle order, of the source's rows
    """
    done = 0

    def following(x: np.ndarray) -> np.ndarray:
        nonlocal done
        done += len(x)
        return np.asarray(y[done - len(x) : done])

    for block in source.blocks():
        yield datasets.mapped(block, following, _MOST_ROWS, attributes)


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
