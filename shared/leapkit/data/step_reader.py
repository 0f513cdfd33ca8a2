"""Read ClimSim low-res step files as rows: one mli/mlo pair is 384 columns, one row each.

All arithmetic is float64: `ptend_X = (mlo.state_X - mli.state_X) / 1200`, cam_out_* verbatim
(docs/reference/data_pipeline.md, "Step files"). Bit-identical to ClimSim's own loader and to
netCDF4 followed by numpy (tests/data/test_step_reader.py).
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from leapkit.core.columns import INPUTS, LEVELS, STATE_PROFILES, STEP_SECONDS, TARGETS
from leapkit.core.errors import KitError
from leapkit.core.step_files import StepPair
from leapkit.data import step_file
from leapkit.data.classic_netcdf import REMEDY
from leapkit.data.step_file import StepFileReader, lowest_precision
from leapkit.data.step_ranges import require_tendency

_STATES = LEVELS * len(STATE_PROFILES)


def grid_columns(pair: StepPair) -> int:
    """Return the number of columns of a pair's grid (384 in ClimSim low-res). Raises KitError."""
    return step_file.grid_columns(pair.mli)


class StepReader:
    """Reads step pairs in float64, physical units, Kaggle order; one reader per thread.

    A reader uses its buffers again. A file holds its arrays level by level, (lev, ncol): code that
    works on them in that order (`levels`) needs no transposition of 8-byte numbers, which costs as
    much as all the rest.

    accept_float32  whether files in float32 are read too, which holds 7 of 16 digits
    """

    def __init__(self, accept_float32: bool = False) -> None:
        self._mli = StepFileReader("mli", accept_float32)
        self._mlo = StepFileReader("mlo", accept_float32)

    @property
    def precision(self) -> str:
        """What the files read so far hold: float32 if one of them does, else float64."""
        return lowest_precision([self._mli.precision, self._mlo.precision])

    def read(
        self,
        pair: StepPair,
        inputs: Optional[np.ndarray] = None,
        targets: Optional[np.ndarray] = None,
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Return (inputs (C, 556), targets (C, 368)), one row per column of the grid.

        The given arrays are filled and returned if there are any. Raises KitError for a file that
        is damaged or lacks a variable.
        """
        x, y = self.levels(pair, None if inputs is None else len(inputs))
        columns = x.shape[1]
        inputs = np.empty((columns, len(INPUTS))) if inputs is None else inputs
        targets = np.empty((columns, len(TARGETS))) if targets is None else targets
        inputs[...], targets[...] = x.T, y.T
        return inputs, targets

    def levels(
        self, pair: StepPair, expected: Optional[int] = None
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Return (inputs (556, C), targets (368, C)), valid until the next call.

        Raises KitError for a file that is damaged or lacks a variable, or if C is not `expected`.
        """
        x = self._mli.read(pair.mli, pair.stamp)
        y = self._mlo.read(pair.mlo, pair.stamp)
        columns = x.shape[1]
        if y.shape[1] != columns:
            what = f"has {y.shape[1]} columns, its mli counterpart {columns}"
            raise KitError(what, pair.mlo, REMEDY)
        if expected is not None and columns != expected:
            what = f"has {columns} columns, the files before it have {expected}"
            raise KitError(what, pair.mli, REMEDY)
        y[:_STATES] -= x[:_STATES]
        y[:_STATES] /= STEP_SECONDS
        require_tendency(y[:LEVELS], pair.mlo)
        return x, y
