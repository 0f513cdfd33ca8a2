"""Refuse step files whose bytes are whole and whose numbers cannot be: zeros, fill values, debris.

The bounds are wide. They hold the extremes of the 68 real pairs of 0008-01 to 0008-08 (measured, at
the end of each line) with room for rarer weather, and exclude 0 where no real value is 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, NoReturn, Sequence, Tuple

import numpy as np

from leapkit.core.columns import LEVELS, UNITS
from leapkit.core.errors import KitError
from leapkit.data.step_variables import Stack

REMEDY = "download this file again"
# variable -> (lowest, highest) in its unit
RANGES: Dict[str, Tuple[float, float]] = {
    "state_t": (100, 400),  # 166.4 to 319.8
    "state_q0001": (1e-20, 0.2),  # 1e-12, the model's own floor, to 0.0217
    # The team's reference has -7e-21 and -3e-21 for water after the step, which is rounding.
    "state_q0002": (-1e-12, 0.1),  # 0 to 6.9e-4
    "state_q0003": (-1e-12, 0.1),  # 0 to 5.8e-4
    "state_u": (-500, 500),  # -127 to 196
    "state_v": (-500, 500),  # -133 to 112
    "state_ps": (3e4, 1.2e5),  # 70,694 to 104,379
    "pbuf_SOLIN": (-1e-3, 2000),  # 0 to 1,404
    "pbuf_LHFLX": (-5000, 5000),  # -60 to 546
    "pbuf_SHFLX": (-5000, 5000),  # -52 to 636
    "pbuf_TAUX": (-100, 100),  # -0.68 to 1.21
    "pbuf_TAUY": (-100, 100),  # -0.66 to 0.71
    "pbuf_COSZRS": (-1.1, 1.1),  # 0 to 0.9996
    "cam_in_ALDIF": (-0.01, 2),  # 0.0094 to 1
    "cam_in_ALDIR": (-0.01, 2),  # 0.0094 to 1
    "cam_in_ASDIF": (-0.01, 2),  # 0.0094 to 1
    "cam_in_ASDIR": (-0.01, 2),  # 0.0094 to 1
    "cam_in_LWUP": (10, 2000),  # 91.6 to 703
    "cam_in_ICEFRAC": (-0.1, 1.1),  # 0 to 0.991
    "cam_in_LANDFRAC": (-0.1, 1.1),  # 0 to 1
    "cam_in_OCNFRAC": (-0.1, 1.1),  # 0 to 1
    "cam_in_SNOWHLAND": (-0.01, 100),  # 0 to 1.00005
    "pbuf_ozone": (1e-20, 1e-3),  # 9.1e-9 to 1.8e-5
    "pbuf_CH4": (1e-20, 1e-3),  # 1.8e-10 to 1.0e-6
    "pbuf_N2O": (1e-20, 1e-3),  # 3.7e-10 to 4.9e-7
    "ptend_t": (-0.05, 0.05),  # -9.5e-4 to 1.2e-3; 0.05 is 60 K in a step
    "cam_out_NETSW": (-1, 3000),  # 0 to 1,084
    "cam_out_FLWDS": (1, 2000),  # 60.9 to 503
    "cam_out_PRECSC": (-1e-12, 1e-3),  # 0 to 1.5e-7
    "cam_out_PRECC": (-1e-12, 1e-3),  # 0 to 1.1e-6
    "cam_out_SOLS": (-1, 3000),  # 0 to 513
    "cam_out_SOLL": (-1, 3000),  # 0 to 549
    "cam_out_SOLSD": (-1, 3000),  # 0 to 320
    "cam_out_SOLLD": (-1, 3000),  # 0 to 234
}
_PRESSURE = (1, 1.2e5)  # state_pmid: 7.83 to 103,604 Pa, 6.3 Pa or more from level to level
# No real value from the first of these variables to the last is exactly 0, which their range holds.
_NEVER_ZERO = (("state_u", "state_v"), ("pbuf_LHFLX", "pbuf_TAUY"))
_EVERY = 96  # values; a hole of one disk block (4,096 bytes) holds five of those looked at
# Cloud water is 0 in many columns. Yet all columns hold traces at the twelve top levels, and of the
# 384 columns at least 34 hold some at each of the lower levels named here.
_CLOUDS = {
    "state_q0002": [*range(12), *range(31, LEVELS)],
    "state_q0003": [*range(12), *range(18, LEVELS)],
}
_GLOBE = 384  # columns; a smaller grid may be without cloud


class RangeCheck:
    """Refuses arrays of some stacks of variables in which a number cannot be.

    It looks at every value in about the time that a sum takes: whole variables are reduced, as
    numpy is three times as fast on long rows.
    """

    def __init__(self, stacks: Sequence[Stack]) -> None:
        self._stacks = stacks
        names = [name for stack in stacks for name in stack.names]
        self._lowest = np.array([RANGES[name][0] for name in names])
        self._highest = np.array([RANGES[name][1] for name in names])
        self._minima = np.empty(len(names))
        self._maxima = np.empty(len(names))
        self._rows = _rows(stacks)
        self._never_zero = [
            slice(self._rows[first].start, self._rows[last].stop)
            for first, last in _NEVER_ZERO
            if first in self._rows
        ]

    def require_plausible(self, values: np.ndarray, path: Path) -> None:
        """Raise KitError if a value cannot be; it names variable, level and value.

        values  (rows of the stacks, C), contiguous
        """
        row = 0
        variable = 0
        for stack in self._stacks:
            count = len(stack.names)
            whole = values[row : row + stack.rows].reshape(count, -1)
            np.minimum.reduce(whole, axis=1, out=self._minima[variable : variable + count])
            np.maximum.reduce(whole, axis=1, out=self._maxima[variable : variable + count])
            row += stack.rows
            variable += count
        # A NaN is neither above nor below.
        if not ((self._minima >= self._lowest) & (self._maxima <= self._highest)).all():
            self._refuse_outlier(values, path)
        for rows in self._never_zero:
            sample = values[rows].reshape(-1)[::_EVERY]
            if np.count_nonzero(sample) < len(sample) - 1:
                self._refuse_hole(values, rows, path)
        if values.shape[1] >= _GLOBE:
            for name, levels in _CLOUDS.items():
                _require_clouds(values[self._rows[name]], name, levels, path)

    def _refuse_outlier(self, values: np.ndarray, path: Path) -> NoReturn:
        for name, rows in self._rows.items():
            outside = _outside(values[rows], *RANGES[name])
            if outside.any():
                break
        level, column = np.argwhere(outside)[0]
        raise _implausible(name, values[rows], int(level), int(column), path)

    def _refuse_hole(self, values: np.ndarray, rows: slice, path: Path) -> None:
        """Raise KitError if neighbours among the values looked at are both exactly 0."""
        zero = values[rows].reshape(-1)[::_EVERY] == 0
        holes = np.flatnonzero(zero[1:] & zero[:-1])
        if holes.size:
            row = rows.start + int(holes[0]) * _EVERY // values.shape[1]
            name = next(name for name, own in self._rows.items() if own.start <= row < own.stop)
            place = f" at level {row - self._rows[name].start}" if name[:5] == "state" else ""
            raise KitError(f"{name}{place} is exactly 0 in column after column", path, REMEDY)


def _rows(stacks: Sequence[Stack]) -> Dict[str, slice]:
    rows: Dict[str, slice] = {}
    row = 0
    for stack in stacks:
        for name in stack.names:
            rows[name] = slice(row, row + stack.levels)
            row += stack.levels
    return rows


def require_tendency(values: np.ndarray, path: Path) -> None:
    """Raise KitError if a tendency of temperature, values (60, C), cannot be."""
    lowest, highest = RANGES["ptend_t"]
    if not (values.min() >= lowest and values.max() <= highest):
        level, column = np.argwhere(_outside(values, lowest, highest))[0]
        raise _implausible("ptend_t", values, int(level), int(column), path)


def _outside(values: np.ndarray, lowest: float, highest: float) -> np.ndarray:
    inside: np.ndarray = (values >= lowest) & (values <= highest)
    return ~inside


def _implausible(name: str, values: np.ndarray, level: int, column: int, path: Path) -> KitError:
    place = f" at level {level}" if len(values) > 1 else ""
    lowest, highest = RANGES.get(name, _PRESSURE)
    return KitError(
        f"{name}{place} is {values[level, column]:g} {UNITS.get(name, 'Pa')} in column {column},"
        f" outside {lowest:g} to {highest:g}",
        path,
        REMEDY,
    )


def _require_clouds(values: np.ndarray, name: str, levels: List[int], path: Path) -> None:
    # A product with ones is three times as fast as the maximum of each level.
    water = values.dot(np.ones(values.shape[1]))[levels]
    if not water.all():
        level = levels[int(np.argmin(water != 0))]
        raise KitError(f"{name} at level {level} is 0 in all columns", path, REMEDY)


def require_pressure(pressure: np.ndarray, path: Path) -> None:
    """Raise KitError unless pressure (60, C) in Pa grows from level to level, within its range."""
    outside = _outside(pressure, *_PRESSURE)
    if outside.any():
        level, column = np.argwhere(outside)[0]
        raise _implausible("state_pmid", pressure, int(level), int(column), path)
    falling = ~(np.diff(pressure, axis=0) > 0).all(axis=1)
    if falling.any():
        level = int(np.argmax(falling))
        what = f"state_pmid does not grow from level {level} to {level + 1}"
        raise KitError(what, path, REMEDY)
