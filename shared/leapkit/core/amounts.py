"""Amounts as they read in every list, message and page: bytes, measured times, estimated hours."""

from __future__ import annotations

from typing import List, Tuple

_BYTES = ("bytes", "kB", "MB", "GB", "TB")
_TIMES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def size(count: float) -> str:
    """Return bytes in powers of 1000, as disks are sold: 840 bytes, 6.2 MB, 182 GB."""
    power = 0
    while count >= 999.5 and power < len(_BYTES) - 1:
        count /= 1000
        power += 1
    digits = 0 if power == 0 or count >= 99.95 else 1
    return f"{count:.{digits}f} {_BYTES[power]}"


def duration(seconds: float) -> str:
    """Return a measured time in the two largest units that it fills: 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if 0 < seconds < 10 else f"{seconds:.0f} s"
    left = round(seconds)
    words: List[Tuple[int, str]] = []
    for length, unit in _TIMES:
        if left >= length or words:
            words.append((left // length, unit))
            left %= length
    return " ".join(f"{number} {unit}" for number, unit in words[:2] if number)


def rough_hours(hours: float) -> str:
    """Return an estimated time as people say it: 40 s, 14 min, 3.2 h, 12 days, 3.0 years."""
    seconds = hours * 3600
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    if hours < 48:
        return f"{rounded(hours)} h"
    if hours < 730 * 24:
        return f"{rounded(hours / 24)} days"
    return f"{rounded(hours / 24 / 365)} years"


def rounded(value: float) -> str:
    """Return an estimate with the digits that it is worth: 3.2, 14, 1,200."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
