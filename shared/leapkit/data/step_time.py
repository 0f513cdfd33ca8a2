"""The model time that a step file holds, against the one that its name says."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Callable

from leapkit.core.errors import KitError
from leapkit.data.cdf5 import REMEDY, Header

_CLOCK = ("ymd", "tod")  # the day as YYYYMMDD and its second, int32 each


def require_stamp(
    header: Header,
    read_at: Callable[[int], bytes],
    path: Path,
    stamp: str,
    remedy: str = REMEDY,
) -> None:
    """Raise KitError if the file holds another step than `stamp` (YYYY-MM-DD-SSSSS).

    A file under another step's name would pair inputs with targets that are not theirs. A file
    without a clock passes.

    read_at  returns four bytes of the file, from an offset on
    """
    clock = [header.variables[name] for name in _CLOCK if name in header.variables]
    if len(clock) != len(_CLOCK):
        return
    if any(variable.shape or variable.dtype != ">i4" for variable in clock):
        raise KitError("its ymd and tod are not one whole number each", path, remedy)
    day, second = (struct.unpack(">i", read_at(variable.begin))[0] for variable in clock)
    clock_stamp = f"{day // 10000:04d}-{day // 100 % 100:02d}-{day % 100:02d}-{second:05d}"
    if clock_stamp != stamp:
        raise KitError(f"holds the step {clock_stamp}, but its name says {stamp}", path, remedy)
