"""What anybody's receipt may hold, as the types that a record has."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional

from leapkit.core.errors import printable


def moment(text: str) -> datetime:
    """Return a time of ISO 8601. Raises ValueError for what is none."""
    return datetime.fromisoformat(text)


def time(value: Any) -> str:
    """Return a time of a receipt, "" for what is none: a receipt may be anybody's."""
    try:
        read = moment(str(value))
    except ValueError:
        return ""
    # At both ends of the calendar there is no room for an hour more, which plots need.
    return read.isoformat() if read.tzinfo and 1970 <= read.year < 9000 else ""


def text(value: Any) -> str:
    """Return text that can be shown, "" for what is none."""
    return printable(value) if isinstance(value, str) else ""


def mapping(value: Any) -> Dict[str, Any]:
    """Return a JSON object, {} for what is none."""
    return dict(value) if isinstance(value, dict) else {}


def list_of(value: Any) -> List[Any]:
    """Return a JSON list, [] for what is none."""
    return list(value) if isinstance(value, list) else []


def environment(value: Any) -> Dict[str, Any]:
    """Return what a receipt says of its environment: text by name, and "packages" by name."""
    known = mapping(value)
    if not known:
        return {}
    packages = mapping(known.pop("packages", None))
    return {
        **{printable(name): printable(each, 1000) for name, each in known.items()},
        "packages": {printable(name): printable(version) for name, version in packages.items()},
    }


def numbers(value: Any) -> Dict[str, float]:
    """Return the numbers of a JSON object by name."""
    return {
        printable(key): float(number)
        for key, number in mapping(value).items()
        if isinstance(number, (int, float))
    }


def number(value: Any) -> Optional[float]:
    """Return a number, None for what is none."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else None
