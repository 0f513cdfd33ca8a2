"""The coordinates of step files: the time of their names, in a calendar without leap years."""

from __future__ import annotations

from typing import Any, Dict, Sequence

import numpy as np

from leapkit.core.columns import LEVELS

_DAYS_BEFORE = np.concatenate([[0], np.cumsum([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])])
TIME = {
    "standard_name": "time",
    "long_name": "time of the step",
    "units": "seconds since 0001-01-01 00:00:00",
    "calendar": "noleap",
}


def seconds(stamp: str) -> int:
    """Return the seconds from the beginning of year 1 to a step YYYY-MM-DD-SSSSS."""
    year, month, day, second = map(int, stamp.split("-"))
    days = (year - 1) * 365 + int(_DAYS_BEFORE[month - 1]) + day - 1
    return days * 86400 + second


def coordinates(stamps: Sequence[str], columns: int) -> Dict[str, Any]:
    """Return the coordinates of steps for a data set (time, lev, ncol)."""
    days = [int(stamp[:10].replace("-", "")) for stamp in stamps]
    return {
        "time": ("time", np.array([seconds(stamp) for stamp in stamps], dtype=np.int64), TIME),
        "ymd": ("time", np.array(days, dtype=np.int32), {"long_name": "day of the step, YYYYMMDD"}),
        "tod": (
            "time",
            np.array([int(stamp[11:]) for stamp in stamps], dtype=np.int32),
            {"long_name": "second of the day", "units": "s"},
        ),
        "lev": (
            "lev",
            np.arange(LEVELS, dtype=np.int32),
            {"long_name": "level, from the model top", "units": "1", "positive": "down"},
        ),
        "ncol": (
            "ncol",
            np.arange(columns, dtype=np.int32),
            {"long_name": "column of the grid", "units": "1"},
        ),
    }
