"""Read ClimSim low-res step files as rows: one mli/mlo pair is 384 columns, one row each.

All arithmetic is float64: `ptend_X = (mlo.state_X - mli.state_X) / 1200`, cam_out_* verbatim
(docs/reference/data_pipeline.md, "Step files"). Bit-identical to ClimSim's own loader and to
netCDF4 followed by numpy (tests/data/test_step_reader.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np

from leapkit.core.columns import (
    GAS_PROFILES,
    INPUT_SCALARS,
    INPUTS,
    LEVELS,
    OUTPUT_SCALARS,
    STATE_PROFILES,
    STEP_SECONDS,
    TARGETS,
)
from leapkit.core.errors import KitError
from leapkit.core.step_files import StepPair
from leapkit.data.cdf5 import REMEDY, Cdf5Reader, Header, array, read_header
from leapkit.data.step_time import require_stamp

# (profiles, scalars) of a file of each kind
_MLI = ([name for name, _ in STATE_PROFILES + GAS_PROFILES], [name for name, _ in INPUT_SCALARS])
_MLO = ([name for name, _ in STATE_PROFILES], [name for name, _ in OUTPUT_SCALARS])


def grid_columns(pair: StepPair) -> int:
    """Return the number of columns of a pair's grid (384 in ClimSim low-res). Raises KitError."""
    return read_header(pair.mli).dimensions.get("ncol", 0)


class StepReader:
    """Reads step pairs in float64, physical units, Kaggle order; one reader per thread.

    A reader uses its buffers again. A file holds its arrays level by level, (lev, ncol): code that
    works on them in that order (`levels`) needs no transposition of 8-byte numbers, which costs as
    much as all the rest.
    """

    def __init__(self) -> None:
        self._mli = Cdf5Reader()
        self._mlo = Cdf5Reader()
        self._checked: List[Header] = []  # the last headers whose variables were checked
        self._x = np.empty((len(INPUTS), 0))
        self._y = np.empty((len(TARGETS), 0))

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
        header, view = self._mli.read(pair.mli)
        self._require_variables(header, pair.mli, *_MLI)
        require_stamp(header, _reading(view), pair.mli, pair.stamp)
        columns = header.dimensions["ncol"]
        if self._x.shape[1] != columns:
            self._x = np.empty((len(INPUTS), columns))
            self._y = np.empty((len(TARGETS), columns))
        x, y = self._x, self._y
        row = 0
        for variables in (STATE_PROFILES, INPUT_SCALARS, GAS_PROFILES):
            for name, _ in variables:
                height = 1 if variables is INPUT_SCALARS else LEVELS
                x[row : row + height] = array(header, view, name)  # to this machine's byte order
                row += height

        header, view = self._mlo.read(pair.mlo)
        self._require_variables(header, pair.mlo, *_MLO)
        require_stamp(header, _reading(view), pair.mlo, pair.stamp)
        if header.dimensions["ncol"] != columns:
            what = f"has {header.dimensions['ncol']} columns, its mli counterpart {columns}"
            raise KitError(what, pair.mlo, REMEDY)
        states = LEVELS * len(STATE_PROFILES)
        for k, (name, _) in enumerate(STATE_PROFILES):
            y[k * LEVELS : (k + 1) * LEVELS] = array(header, view, name)
        y[:states] -= x[:states]
        y[:states] /= STEP_SECONDS
        for k, (name, _) in enumerate(OUTPUT_SCALARS):
            y[states + k] = array(header, view, name)
        self._refuse_non_finite(x, pair.mli, INPUTS)
        self._refuse_non_finite(y, pair.mlo, TARGETS)
        if expected is not None and columns != expected:
            what = f"has {columns} columns, the files before it have {expected}"
            raise KitError(what, pair.mli, REMEDY)
        return x, y

    def _require_variables(
        self, header: Header, path: Path, profiles: List[str], scalars: List[str]
    ) -> None:
        if any(header is checked for checked in self._checked):
            return
        columns = header.dimensions.get("ncol", 0)
        for names, shape in ((profiles, (LEVELS, columns)), (scalars, (columns,))):
            for name in names:
                variable = header.variables.get(name)
                if variable is None:
                    raise KitError(f"the variable {name} is missing", path, REMEDY)
                if variable.shape != shape or variable.dtype != ">f8":
                    what = (
                        f"{name} is {variable.dtype} {variable.shape} instead of float64 {shape} "
                        f"(lev={LEVELS}, ncol={columns})"
                    )
                    raise KitError(what, path, REMEDY)
        self._checked = (self._checked + [header])[-2:]

    @staticmethod
    def _refuse_non_finite(values: np.ndarray, path: Path, names: Sequence[str]) -> None:
        # A sum is NaN or infinite when any term is: one pass instead of a mask over all values.
        if not np.isfinite(values.sum()):
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if bad.size:
                raise KitError(f"{names[int(bad[0])]} holds a NaN or an infinity", path, REMEDY)


def _reading(view: memoryview) -> Callable[[int], bytes]:
    return lambda begin: bytes(view[begin : begin + 4])
