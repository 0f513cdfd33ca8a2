"""Read JSON that anybody may have written: the standard's numbers, bounded, each key once.

Python's own reader takes NaN and Infinity, integers of any length, numbers beyond float64 as
infinity, and the last of two values of a key.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

from leapkit.core.errors import printable

_DIGITS = 40  # of an integer: those of 128 bits have 39
_FLOAT_LENGTH = 400  # of a number's text; Python writes at most 24 characters


class Unusable(ValueError):
    """The text holds what Python's reader would take; the message completes "holds ..."."""


def parse(content: bytes) -> Any:
    """Return the value of a JSON text in UTF-8, with or without a byte order mark.

    Raises Unusable, and ValueError for what is no JSON at all.
    """
    try:
        return json.loads(
            content.decode("utf-8-sig"),
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_no_number,
            object_pairs_hook=_keys_once,
        )
    except RecursionError:
        raise Unusable("lists or objects that are nested too deeply") from None


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _DIGITS:
        raise Unusable(f"an integer of {len(text.lstrip('-'))} digits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text) if len(text) <= _FLOAT_LENGTH else float("inf")
    if number in (float("inf"), float("-inf")):
        raise Unusable(f"the number {printable(text, 40)}, which no float64 holds")
    return number


def _no_number(text: str) -> Any:
    raise Unusable(f"a NaN or an infinity ({text})")


def _keys_once(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise Unusable(f"the key {printable(key)} twice")
            seen.add(key)
    return values
