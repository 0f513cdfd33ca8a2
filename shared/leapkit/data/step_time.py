"""The instant that a step file holds, against the instant in its name."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import numpy as np

from leapkit.core.errors import KitError
from leapkit.data.netcdf_header import Header

REMEDY = "download this file again"
_CLOCK = ("ymd", "tod")  # the day as YYYYMMDD and its second, one whole number each


def require_stamp(
    header: Header,
    array_of: Callable[[str], np.ndarray],
    path: Path,
    stamp: str,
    remedy: str = REMEDY,
) -> None:
    """Raise KitError if the file holds another step than `stamp` (YYYY-MM-DD-SSSSS).

    A file under another step's name would pair inputs with targets that are not theirs. A file
    without a clock passes.
    """
    clock = [header.variables[name] for name in _CLOCK if name in header.variables]
    if len(clock) != len(_CLOCK):
        return
    # An axis of length 1 is a time that was put in front.
    if any(set(v.shape) - {1} or np.dtype(v.dtype).kind not in "iu" for v in clock):
        raise KitError("its ymd and tod are not one whole number each", path, remedy)
    day, second = (int(array_of(variable.name).reshape(-1)[0]) for variable in clock)
    clock_stamp = f"{day // 10000:04d}-{day // 100 % 100:02d}-{day % 100:02d}-{second:05d}"
    if clock_stamp != stamp:
        raise KitError(f"holds the step {clock_stamp}, but its name says {stamp}", path, remedy)
