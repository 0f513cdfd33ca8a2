"""Read the team's choice of rows for adam's v3 training set (v3_index.pt) without executing it.

A dict that torch.save wrote, month -> row numbers: "01_02" for 0001-02; a number is
384 * step + column over the month's steps in order (docs/reference/data_pipeline.md, "Row index").
The file was never seen where this was written, so numpy arrays, tensors and lists are all read;
anything else is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict

import numpy as np

from leapkit.core import pickle_limits, safe_pickle
from leapkit.core.pickle_limits import Kind, Refused
from leapkit.core.safe_pickle import encoded_bytes, is_call, require_call
from leapkit.data.torch_pickles import OPCODES, read_object

REMEDY = "use the team's own file, or remove it: a seeded index of the same size is then drawn"
_INDEX = Kind("an index of rows by month", pickle_limits.ROW_INDEX, OPCODES, REMEDY)
_KEY = re.compile(r"([0-9]{2})_(0[1-9]|1[0-2])")
_CODES = ("i2", "i4", "i8", "u2", "u4", "u8")
# What numpy pickles an array of whole numbers with.
_NAMES = (
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("__builtin__", "bytes"),  # the content of an empty array
    ("numpy.core.multiarray", "_reconstruct"),  # before numpy 2
    ("numpy._core.multiarray", "_reconstruct"),
)


def read_index(path: Path) -> Dict[str, np.ndarray]:
    """Return {YYYY-MM: row numbers, int32, without repetition}.

    Raises KitError for a missing or damaged file and for anything else than such an index.
    """
    with safe_pickle.explained(path, _INDEX):
        index = read_object(path, _INDEX, safe_pickle.recorders(_NAMES))
        if not isinstance(index, dict):
            raise Refused("something else than a dict")
        # dict.items and not index.items, which the pickle may have written over.
        months: Dict[str, np.ndarray] = {}
        rows_left = path.stat().st_size  # a row takes bytes, unless months share them
        for key, value in dict.items(index):
            month = _month(key)
            months[month] = _numbers(value, month)
            rows_left -= len(months[month])
            if rows_left < 0:
                raise Refused("more rows than bytes")
        if not months or len(months) != len(index):
            raise Refused("no month, or one twice")
    return months


def _month(key: Any) -> str:
    match = _KEY.fullmatch(key) if type(key) is str else None
    if not match:
        raise Refused("a key that is not a month such as 01_02")
    return f"00{match[1]}-{match[2]}"


def _numbers(value: Any, month: str) -> np.ndarray:
    if is_call(value, "_reconstruct"):
        value = _array(value.state)
    elif isinstance(value, (list, tuple)):
        # Checked one by one: numpy would walk through lists in lists until memory ends.
        if not all(type(number) is int and 0 <= number < 2**31 for number in value):
            raise Refused(f"a list of something else than row numbers for {month}")
        value = np.array(value, dtype=np.int64)
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "iu":
        raise Refused(f"no row numbers for {month}")
    if len(value) and not 0 <= int(value.min()) <= int(value.max()) < 2**31:
        raise Refused(f"impossible row numbers for {month}")
    numbers = value.astype(np.int32)
    in_order = np.sort(numbers)  # ten times as fast as np.unique of numpy 2.3
    if (in_order[1:] == in_order[:-1]).any():
        raise Refused(f"a row twice for {month}")
    return numbers


def _array(state: Any) -> np.ndarray:
    """Return the array of whole numbers whose pickled state this is."""
    _, shape, dtype, by_column, content = state
    if type(shape) is not tuple or len(shape) != 1 or type(by_column) is not bool:
        raise Refused("an array that is not a plain row of numbers")
    numbers = np.frombuffer(_content(content), _dtype(dtype))
    if type(shape[0]) is not int or shape[0] != len(numbers):
        raise Refused("an array whose shape is not that of its content")
    return numbers


def _content(value: Any) -> bytes:
    return b"" if is_call(value, "bytes") and not value.arguments else encoded_bytes(value)


def _dtype(value: Any) -> np.dtype:
    """Return the recorded dtype: its code is an argument, its byte order part of its state."""
    call = require_call(value, "dtype")
    code = call.arguments[0]
    order = call.state[1]
    if type(code) is not str or code not in _CODES or type(order) is not str or order not in "<|=":
        raise Refused("numbers of another type than little-endian integers")
    return np.dtype("<" + code)
