"""How numbers, times and hashes read on a page."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Callable, Mapping, Optional

from leapkit.core import amounts

NOTHING = "–"


def duration(seconds: Optional[float]) -> str:
    """Return a time that a step took, as `amounts.duration` does."""
    return NOTHING if seconds is None else amounts.duration(seconds)


def size(count: Optional[int]) -> str:
    """Return the size of a file, as `amounts.size` does."""
    return "missing" if count is None else amounts.size(count)


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
