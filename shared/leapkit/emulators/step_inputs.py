"""The columns of step files, one row each, in the order of time: only the .mli is read."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import numpy as np

from leapkit.core.columns import INPUTS
from leapkit.core.errors import KitError
from leapkit.core.step_files import StepPair
from leapkit.data.classic_netcdf import REMEDY
from leapkit.data.step_file import StepFileReader, grid_columns


class StepRows:
    """The rows of steps, read when they are asked for.

    columns         of the grid, rows of a step
    accept_float32  whether files in float32 are read too
    Raises KitError if the first file cannot be read.
    """

    def __init__(self, steps: Sequence[StepPair], accept_float32: bool = False) -> None:
        self.steps = steps
        self.columns = grid_columns(steps[0].mli)
        self._reader = StepFileReader("mli", accept_float32)
        self._last: Tuple[Optional[int], np.ndarray] = (None, np.empty((0, len(INPUTS))))

    def __len__(self) -> int:
        return len(self.steps) * self.columns

    def step(self, number: int) -> np.ndarray:
        """Return the inputs of a step, (C, 556) float64 raw, Kaggle order.

        Raises KitError for a file that is damaged, lacks a variable or is of another grid.
        """
        if self._last[0] != number:
            step = self.steps[number]
            levels = self._reader.read(step.mli, step.stamp)  # (556, C), used again
            if levels.shape[1] != self.columns:
                what = f"has {levels.shape[1]} columns, the files before it have {self.columns}"
                raise KitError(what, step.mli, REMEDY)
            self._last = (number, np.ascontiguousarray(levels.T))
        return self._last[1]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows, (stop - start, 556) float64 raw, Kaggle order."""
        first, last = start // self.columns, -(-stop // self.columns)
        rows = np.concatenate([self.step(number) for number in range(first, last)])
        return rows[start - first * self.columns : stop - first * self.columns]
