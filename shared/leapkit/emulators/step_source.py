"""Steps as a source of columns: their .mli files are read by the kit's own reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, Sequence

import numpy as np

from leapkit.core.columns import LEVELS
from leapkit.core.errors import KitError
from leapkit.core.step_files import StepPair
from leapkit.data.step_file import StepFileReader, grid_columns
from leapkit.emulators import datasets, step_time
from leapkit.emulators.sources import ROWS_AT_A_TIME, BlockRows, Source

if TYPE_CHECKING:
    import xarray


class StepSource(Source):
    """Steps in the order of time.

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
        together = max(1, ROWS_AT_A_TIME * 8 // self._columns)
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
