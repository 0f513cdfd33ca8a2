"""Step files written again in every form of netCDF that a user's tools may make of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Optional, Tuple

import numpy as np

from leapkit.core.step_files import StepPair


@dataclass(frozen=True)
class Form:
    """How a file is written.

    format     netCDF4's name of it
    unlimited  the dimension that is, "" for none
    front      the name of an axis of length 1 in front of all others, "" for none
    turned     whether profiles are (ncol, lev)
    kind       of the numbers
    how        of each variable: compression, chunks, byte order
    """

    format: str
    unlimited: str = ""
    front: str = ""
    turned: bool = False
    kind: str = "f8"
    how: Dict[str, object] = field(default_factory=dict)

    def write(self, source: Path, target: Path) -> None:
        """Write all variables of a CDF-5 step file in this form."""
        import netCDF4

        with netCDF4.Dataset(str(source)) as old, netCDF4.Dataset(
            str(target), "w", format=self.format
        ) as new:
            old.set_auto_mask(False)
            sizes = {name: len(dimension) for name, dimension in old.dimensions.items()}
            if self.front:
                sizes[self.front] = 1
            for name, size in sizes.items():
                new.createDimension(name, None if name == self.unlimited else size)
            for name, stored in old.variables.items():
                values, axes = self._turned(stored[...], stored.dimensions)
                values = values.astype(values.dtype.newbyteorder("="))
                kind = self.kind if values.dtype.kind == "f" else "i4"
                how = self.how if values.ndim else {}
                new.createVariable(name, kind, axes, fill_value=False, **how)[...] = values

    def _turned(
        self, values: np.ndarray, axes: Tuple[str, ...]
    ) -> Tuple[np.ndarray, Tuple[str, ...]]:
        if self.turned:
            values, axes = values.T, axes[::-1]
        if self.front:
            values, axes = values[None], (self.front, *axes)
        return values, axes


CLASSIC_FORMS = {
    "CDF-1": Form("NETCDF3_CLASSIC"),
    "CDF-2": Form("NETCDF3_64BIT_OFFSET"),
    "CDF-5": Form("NETCDF3_64BIT_DATA"),
    "CDF-1 of records": Form("NETCDF3_CLASSIC", unlimited="lev"),
    "CDF-2 of records": Form("NETCDF3_64BIT_OFFSET", unlimited="lev"),
    "CDF-5 of records": Form("NETCDF3_64BIT_DATA", unlimited="lev"),
    "CDF-5 of a time": Form("NETCDF3_64BIT_DATA", unlimited="time", front="time"),
    "CDF-1 turned": Form("NETCDF3_CLASSIC", turned=True),
    "CDF-5 turned, of records": Form("NETCDF3_64BIT_DATA", turned=True, unlimited="ncol"),
}
LIBRARY_FORMS = {
    "netCDF-4": Form("NETCDF4"),
    "netCDF-4 classic": Form("NETCDF4_CLASSIC"),
    "netCDF-4 compressed": Form("NETCDF4", how={"zlib": True, "complevel": 4}),
    "netCDF-4 of records": Form("NETCDF4", unlimited="ncol"),
    "netCDF-4 of a time": Form("NETCDF4", front="time", unlimited="time"),
    "netCDF-4 turned": Form("NETCDF4", turned=True),
    "netCDF-4 big-endian": Form("NETCDF4", kind=">f8", how={"endian": "big"}),
}
FORMS = {**CLASSIC_FORMS, **LIBRARY_FORMS}


def rewritten(pair: StepPair, folder: Path, form: Form, mlo: Optional[Form] = None) -> StepPair:
    """Write a pair again below `folder`, the mlo file in another form if one is given."""
    (folder / pair.month).mkdir(parents=True, exist_ok=True)
    new = StepPair(folder / pair.month, pair.stamp)
    form.write(pair.mli, new.mli)
    (mlo or form).write(pair.mlo, new.mlo)
    return new


def copied(pair: StepPair, folder: Path) -> StepPair:
    """Copy a pair below `folder`."""
    (folder / pair.month).mkdir(parents=True, exist_ok=True)
    new = StepPair(folder / pair.month, pair.stamp)
    for old, path in ((pair.mli, new.mli), (pair.mlo, new.mlo)):
        shutil.copyfile(str(old), str(path))
    return new
