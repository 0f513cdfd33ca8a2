"""ClimSim low-res step files -> rows: one mli/mlo pair is 384 columns, one row each.

All arithmetic is float64; `ptend_X = (mlo.state_X - mli.state_X) / 1200`, cam_out_* verbatim. Bit-identical to
ClimSim's own loader and to netCDF4 followed by numpy (tests/test_climsim.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Sequence, Tuple

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
from leapkit.data.cdf5 import REMEDY, Cdf5Reader, Header, array


class StepReader:
    """Reads step pairs in float64, physical units, Kaggle order; reuses its buffers, so one reader per thread.

    A file holds its arrays level by level, (lev, ncol). What works on them in that order (`levels`) is spared a
    transposition of 8-byte numbers, which costs as much as all the rest.
    """

    def __init__(self) -> None:
        self._mli, self._mlo = Cdf5Reader(), Cdf5Reader()
        self._checked: List[Header] = []
        self._x, self._y = np.empty((len(INPUTS), 0)), np.empty((len(TARGETS), 0))

    def columns(self, pair: StepPair) -> int:
        """Columns of the grid (384 in ClimSim low-res)."""
        header, _ = self._mli.read(pair.mli)
        return header.dimensions.get("ncol", 0)

    def read(
        self,
        pair: StepPair,
        inputs: Optional[np.ndarray] = None,
        targets: Optional[np.ndarray] = None,
    ) -> Tuple[np.ndarray, np.ndarray]:
        """-> (inputs (C, 556), targets (C, 368)), one row per column of the grid.

        Writes into the given arrays when there are any. Raises KitError for a damaged or odd file.
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
        """-> (inputs (556, C), targets (368, C)), valid until the next call.

        Raises KitError for a damaged or odd file, or where C is not the `expected` one.
        """
        header, view = self._mli.read(pair.mli)
        self._check(
            header,
            pair.mli,
            [n for n, _ in STATE_PROFILES + GAS_PROFILES],
            [n for n, _ in INPUT_SCALARS],
        )
        self._require_own_time(header, view, pair.mli, pair.stamp)
        columns = header.dimensions["ncol"]
        if self._x.shape[1] != columns:
            self._x, self._y = np.empty((len(INPUTS), columns)), np.empty((len(TARGETS), columns))
        x, y, at = self._x, self._y, 0
        for variables in (STATE_PROFILES, INPUT_SCALARS, GAS_PROFILES):
            for name, _ in variables:
                height = 1 if variables is INPUT_SCALARS else LEVELS
                x[at : at + height] = array(header, view, name)  # to this machine's byte order
                at += height

        header, view = self._mlo.read(pair.mlo)
        self._check(
            header, pair.mlo, [n for n, _ in STATE_PROFILES], [n for n, _ in OUTPUT_SCALARS]
        )
        self._require_own_time(header, view, pair.mlo, pair.stamp)
        if header.dimensions["ncol"] != columns:
            raise KitError(
                "has %d columns, its mli twin %d" % (header.dimensions["ncol"], columns),
                pair.mlo,
                REMEDY,
            )
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
            raise KitError(
                "has %d columns where the files before it have %d" % (columns, expected),
                pair.mli,
                REMEDY,
            )
        return x, y

    def _check(self, header: Header, path: Path, profiles: List[str], scalars: List[str]) -> None:
        if any(header is known for known in self._checked):
            return
        columns = header.dimensions.get("ncol", 0)
        for names, shape in ((profiles, (LEVELS, columns)), (scalars, (columns,))):
            for name in names:
                variable = header.variables.get(name)
                if variable is None:
                    raise KitError(f"the variable {name} is missing", path, REMEDY)
                if variable.shape != shape or variable.dtype != ">f8":
                    raise KitError(
                        "%s is %s %s instead of float64 %s (lev=%d, ncol=%d)"
                        % (name, variable.dtype, variable.shape, shape, LEVELS, columns),
                        path,
                        REMEDY,
                    )
        self._checked = (self._checked + [header])[-2:]

    @staticmethod
    def _require_own_time(header: Header, view: memoryview, path: Path, stamp: str) -> None:
        """A file under another step's name would pair inputs with targets that are not theirs."""
        clock = [header.variables[name] for name in ("ymd", "tod") if name in header.variables]
        if len(clock) == 2:
            if any(variable.shape or variable.dtype != ">i4" for variable in clock):
                raise KitError("its ymd and tod are not one whole number each", path, REMEDY)
            day, second = (int(array(header, view, variable.name)) for variable in clock)
            own = "%04d-%02d-%02d-%05d" % (day // 10000, day // 100 % 100, day % 100, second)
            if own != stamp:
                raise KitError(
                    f"holds the step {own}, which is not what its name says", path, REMEDY
                )

    @staticmethod
    def _refuse_non_finite(values: np.ndarray, path: Path, names: Sequence[str]) -> None:
        # A sum is NaN or infinite when any term is: one pass instead of a mask over all values.
        if not np.isfinite(values.sum()):
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if bad.size:
                raise KitError(f"{names[int(bad[0])]} holds a NaN or an infinity", path, REMEDY)
