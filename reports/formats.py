"""How numbers, times and hashes read on a page."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Callable, List, Mapping, Optional, Tuple

NOTHING = "–"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def duration(seconds: Optional[float]) -> str:
    """Return seconds in the two largest units that they fill: 2 h 5 min."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s" if 0 < seconds < 10 else f"{seconds:.0f} s"
    left = round(seconds)
    words: List[Tuple[int, str]] = []
    for size, unit in _UNITS:
        if left >= size or words:
            words.append((left // size, unit))
            left %= size
    return " ".join(f"{number} {unit}" for number, unit in words[:2] if number)


def size(count: Optional[int]) -> str:
    """Return bytes in powers of 1000: 6.2 MB."""
    if count is None:
        return "missing"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def moment(text: str) -> str:
    """Return a time of ISO 8601 as a person reads it: 2026-11-28 07:10."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M") if text else NOTHING


def span(begin: str, end: str) -> str:
    """Return two times, the day once if it is the same."""
    if not begin or not end:
        return moment(begin or end)
    first, last = moment(begin), moment(end)
    return f"{first} to {last[11:] if last[:10] == first[:10] else last}"


def r2(value: Optional[float]) -> str:
    """Return a score with five digits, as Kaggle shows them."""
    return NOTHING if value is None else f"{value:.5f}"


def signed(value: Optional[float]) -> str:
    """Return a difference of scores or a weight with its sign."""
    return NOTHING if value is None else f"{value:+.5f}"


def short(sha256: str) -> str:
    """Return the first digits of a hash."""
    return sha256[:12] if sha256 else NOTHING


def memory(peak: Mapping[str, float]) -> str:
    """Return the peak memory of a step: 0.52 GB, 3.10 GB of the GPU."""
    words = [f"{peak['GB']:.2f} GB"] if "GB" in peak else []
    words += [f"{peak['GPU GB']:.2f} GB of the GPU"] if "GPU GB" in peak else []
    return ", ".join(words) or NOTHING


def count(number: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{number:,}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "duration": duration,
    "size": size,
    "moment": moment,
    "r2": r2,
    "signed": signed,
    "short": short,
    "memory": memory,
    "count": count,
}
