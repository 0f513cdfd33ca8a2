"""Read one step file in any form of netCDF: its variables, level by level, checked.

The classic forms are viewed (`classic_netcdf`), all others go through the netCDF4 library. In each
form the numbers are the same bit for bit (tests/data/test_step_forms.py).
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterable, Iterator, List, Optional, Tuple

import numpy as np

from leapkit.core.columns import LEVELS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.lfs_pointer import refuse_pointer
from leapkit.core.step_files import PRECISIONS
from leapkit.data import classic_netcdf, netcdf_library
from leapkit.data.classic_header import CLASSIC
from leapkit.data.classic_netcdf import REMEDY, ClassicReader
from leapkit.data.netcdf_header import Header, Variable
from leapkit.data.netcdf_library import ArrayOf
from leapkit.data.step_ranges import RANGES, RangeCheck
from leapkit.data.step_time import require_stamp
from leapkit.data.step_variables import STACKS

_MOST_COLUMNS = 1 << 17  # of a grid; ClimSim high-res has 21,600


@contextlib.contextmanager
def opened(path: Path, classic: Optional[ClassicReader] = None) -> Iterator[Tuple[Header, ArrayOf]]:
    """Open a file of any form; give its header, and what reads a variable in its stored shape.

    classic  reads the classic forms, with buffers that it uses again
    Raises KitError for a file that is missing, damaged or of no form of netCDF.
    """
    with explain_os_errors(path, REMEDY), open(path, "rb", buffering=0) as handle:
        is_classic = _is_classic(handle.read(len(netcdf_library.MAGIC)), path)
        if is_classic:
            header, view = (classic or ClassicReader()).read(handle, path)
    if is_classic:
        yield header, lambda name: classic_netcdf.array(header, view, name)
    else:
        with netcdf_library.opened(path) as contents:
            yield contents


class StepFileReader:
    """Reads files of one kind, mli or mlo, into an array that it uses again.

    precision  what the files read so far hold: float32 if one of them does, else float64
    """

    def __init__(self, kind: str, accept_float32: bool = False) -> None:
        self.precision = PRECISIONS[0]
        self._stacks = STACKS[kind]
        self._range_check = RangeCheck(self._stacks)
        self._height = sum(stack.rows for stack in self._stacks)
        self._accept_float32 = accept_float32
        self._classic = ClassicReader()
        self._checked: Optional[Header] = None  # the last header whose variables were checked
        self._fills: List[Tuple[str, float]] = []
        self._values = np.empty((self._height, 0))

    def read(self, path: Path, stamp: str) -> np.ndarray:
        """Return the variables as (levels and scalars, C) float64, valid until the next call.

        Raises KitError for a file that is damaged or lacks a variable, holds another step than
        `stamp`, or numbers that cannot be.
        """
        with opened(path, self._classic) as (header, array_of):
            return self._checked_values(header, array_of, path, stamp)

    def _checked_values(
        self, header: Header, array_of: ArrayOf, path: Path, stamp: str
    ) -> np.ndarray:
        if header is not self._checked:
            self._require_variables(header, path)
        require_stamp(header, array_of, path, stamp)
        columns = header.dimensions["ncol"]
        if self._values.shape[1] != columns:
            self._values = np.empty((self._height, columns))
        values = self._values
        row = 0
        for stack in self._stacks:
            for name in stack.names:
                stored = arranged(header.variables[name], array_of(name), stack.axes, path)
                values[row : row + stack.levels] = stored  # to this machine's byte order
                row += stack.levels
        self._range_check.require_plausible(values, path)
        for name, fill in self._fills:
            if (array_of(name) == fill).any():
                raise KitError(f"{name} holds {fill:g}, which it says is no value", path, REMEDY)
        return values

    def _require_variables(self, header: Header, path: Path) -> None:
        columns = header.dimensions.get("ncol", 0)
        if columns > _MOST_COLUMNS:
            raise KitError(f"has {columns} columns, more than any step", path, REMEDY)
        self._fills = []
        for stack in self._stacks:
            shape = (LEVELS, columns)[-len(stack.axes) :]
            for name in stack.names:
                if name not in header.variables:
                    raise KitError(f"the variable {name} is missing", path, REMEDY)
                self._require_variable(header.variables[name], stack.axes, shape, path)
            # Two axes that were exchanged in one variable alone are damage, and would read as wind.
            orders = {header.variables[name].dimensions for name in stack.names}
            if len(orders) > 1:
                raise KitError(f"has its axes in several orders, {sorted(orders)}", path, REMEDY)
        self._checked = header

    def _require_variable(
        self, variable: Variable, axes: Tuple[str, ...], shape: Tuple[int, ...], path: Path
    ) -> None:
        name = variable.name
        dtype = np.dtype(variable.dtype)
        if dtype.kind != "f" or dtype.itemsize < 4 or _shape(variable, axes) != shape:
            what = (
                f"{name} is {dtype.name} {variable.shape} instead of float64 {shape} "
                f"(lev={LEVELS}, ncol={shape[-1]})"
            )
            raise KitError(what, path, REMEDY)
        if not {"scale_factor", "add_offset"}.isdisjoint(variable.attributes):
            what = f"{name} is packed (scale_factor, add_offset), which rounds its numbers"
            raise KitError(what, path, REMEDY)
        if dtype.itemsize == 4:
            if not self._accept_float32:
                raise KitError(
                    f"{name} is float32, which keeps 7 of 16 digits",
                    path,
                    "accept that with STEP_PRECISION=float32 (in SPLIT and STORE: --step-precision"
                    " float32), which the receipts record, or download this file again",
                )
            self.precision = PRECISIONS[1]
        self._fills += [(name, fill) for fill in _plausible_fills(variable)]


def lowest_precision(precisions: Iterable[str]) -> str:
    """Return the lowest of some precisions; that of no file is float64."""
    return PRECISIONS[max((PRECISIONS.index(precision) for precision in precisions), default=0)]


def _is_classic(magic: bytes, path: Path) -> bool:
    """Return whether the form is a classic one. Raises KitError if the file is no netCDF file."""
    if magic[:4] in CLASSIC:
        return True
    if magic != netcdf_library.MAGIC:
        refuse_pointer(path)
        raise KitError(f"is not a netCDF file (it starts with {magic!r})", path, REMEDY)
    return False


def _shape(variable: Variable, axes: Tuple[str, ...]) -> Tuple[int, ...]:
    """Return the lengths of a variable's axes as named, () if it has more than those.

    Another axis of length 1, such as a time in front, does not count.
    """
    lengths = dict(zip(variable.dimensions, variable.shape))
    others = [length for name, length in lengths.items() if name not in axes]
    is_odd = len(lengths) != len(variable.shape) or set(others) - {1} or set(axes) - set(lengths)
    return () if is_odd else tuple(lengths[name] for name in axes)


def arranged(
    variable: Variable, stored: np.ndarray, axes: Tuple[str, ...], path: Path
) -> np.ndarray:
    """Return a variable with its axes in this order; others have length 1 and are dropped.

    Raises KitError if an axis is missing, or another one longer.
    """
    if variable.dimensions == axes:
        return stored
    if not _shape(variable, axes):
        raise KitError(f"{variable.name} has the axes {variable.dimensions}", path, REMEDY)
    order = [variable.dimensions.index(name) for name in axes]
    others = [k for k, name in enumerate(variable.dimensions) if name not in axes]
    turned: np.ndarray = stored.transpose(others + order)[(0,) * len(others)]
    return turned


def _plausible_fills(variable: Variable) -> List[float]:
    """Return the values that a variable's attributes call missing and that its range allows."""
    lowest, highest = RANGES[variable.name]
    values = [
        float(value)
        for key in ("_FillValue", "missing_value")
        for value in variable.attributes.get(key, np.empty(0))
        if value.dtype.kind in "iuf"
    ]
    return [value for value in values if lowest <= value <= highest]


def grid_columns(path: Path) -> int:
    """Return the number of columns of a file's grid (384 in ClimSim low-res). Raises KitError."""
    with explain_os_errors(path, REMEDY), open(path, "rb", buffering=0) as handle:
        if _is_classic(handle.read(len(netcdf_library.MAGIC)), path):
            return classic_netcdf.read_header(handle, path).dimensions.get("ncol", 0)
    with netcdf_library.opened(path) as (header, _):
        return header.dimensions.get("ncol", 0)
