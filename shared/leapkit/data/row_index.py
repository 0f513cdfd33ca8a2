"""The team's choice of rows for adam's v3 training set (v3_index.pt), read without executing what it contains.

A dict saved by torch.save, month -> row numbers: "01_02" for 0001-02, a number is 384 * step + column over the month's
steps in order (reference/data_pipeline.md section 2). The file was never seen where this was written, so numpy arrays,
tensors and lists are all read; anything else is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict

import numpy as np

from leapkit.core.errors import KitError
from leapkit.data.checkpoints import Names, read_object

REMEDY = "use the team's own file, or remove it: a seeded index of the same size is then drawn"
_KEY = re.compile(r"([0-9]{2})_(0[1-9]|1[0-2])")
_LARGEST = 1 << 30  # bytes; 48.6 million row numbers as numpy pickles them are half of it
_TYPES = ("i2", "i4", "i8", "u2", "u4", "u8")


class _Odd(Exception):
    """What the file holds is no index of rows; the reason never quotes the file."""


class _Array:
    """Stands for a numpy array in the making: `_reconstruct(...)`, then its state."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self) -> np.ndarray:
        _, shape, dtype, by_column, content = self.state
        kinds = type(shape), type(dtype), type(by_column), type(content)
        if kinds != (tuple, _Type, bool, bytes) or len(shape) != 1:
            raise _Odd("no plain array of numbers")
        found = np.frombuffer(content, dtype.value())
        if type(shape[0]) is not int or shape[0] != len(found):
            raise _Odd("an array whose shape is not that of its content")
        return found


class _Type:
    """Stands for a numpy dtype: its code, and the byte order from its state."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def value(self) -> np.dtype:
        if (
            type(self.code) is not str
            or self.code not in _TYPES
            or type(self.order) is not str
            or self.order not in "<|="
        ):
            raise _Odd("numbers of another type than little-endian integers")
        return np.dtype("<" + self.code)


def _names() -> Names:
    """What numpy pickles an array of whole numbers with, as harmless stand-ins; fresh, as a hostile file may spoil them."""
    found: Dict[Any, Any] = {
        ("numpy", "ndarray"): None,
        ("numpy", "dtype"): lambda code, *_: _Type(code),
        ("_codecs", "encode"): lambda text, codec: text.encode({"latin1": "latin1"}[codec]),
        ("__builtin__", "bytes"): lambda: b"",
    }  # how protocol 2 writes an empty array's content
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since numpy 2
        found[(module, "_reconstruct")] = lambda *_: _Array()
    return found


def read_index(path: Path) -> Dict[str, np.ndarray]:
    """{YYYY-MM: row numbers, int32, without repetition}. Raises KitError for anything else."""
    found = read_object(path, _names(), _LARGEST)
    try:
        if not isinstance(found, dict):
            raise _Odd("it is no dict")
        months = {
            month: _numbers(value, month)
            for month, value in ((_month(k), v) for k, v in dict.items(found))
        }
        if not months or len(months) != len(found):
            raise _Odd("it holds no month, or one twice")
    except _Odd as error:
        raise KitError(f"is no index of rows by month ({error})", path, REMEDY) from error
    except (AttributeError, TypeError, ValueError) as error:  # a state of another form than numpy's
        raise KitError(
            "is no index of rows by month (it holds something odd)", path, REMEDY
        ) from error
    return months


def _month(key: Any) -> str:
    match = _KEY.fullmatch(key) if type(key) is str else None
    if not match:
        raise _Odd("a key that is no month such as 01_02")
    return f"00{match[1]}-{match[2]}"


def _numbers(value: Any, month: str) -> np.ndarray:
    if type(value) is _Array:
        value = value.value()
    elif isinstance(value, (list, tuple)):
        # Looked at one by one: numpy would walk through lists in lists until memory ends.
        if not all(type(number) is int and 0 <= number < 2**31 for number in value):
            raise _Odd(f"{month} is a list of something else than row numbers")
        value = np.array(value, dtype=np.int64)
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "iu":
        raise _Odd(f"{month} holds no row numbers")
    if len(value) and not 0 <= int(value.min()) <= int(value.max()) < 2**31:
        raise _Odd(f"{month} holds impossible row numbers")
    numbers = value.astype(np.int32)
    if len(np.unique(numbers)) != len(numbers):
        raise _Odd(f"{month} names a row twice")
    return numbers
