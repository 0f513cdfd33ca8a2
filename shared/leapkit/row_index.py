"""The team's choice of rows for adam's v3 training set (v3_index.pt), read without executing what it contains.

A dict saved by torch.save, month -> row numbers: "01_02" for 0001-02, a number is 384 * step + column over the month's
steps in order (reference/data_pipeline.md section 2). The file was never seen where this was written, so numpy arrays,
tensors and lists are all read; anything else is refused.
"""
from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np

from leapkit.checkpoints import read_object
from leapkit.errors import KitError

REMEDY = "use the team's own file, or remove it: a seeded index of the same size is then drawn"
_KEY = re.compile(r"^(\d{2})_(\d{2})$")
_LARGEST = 1 << 30  # 48.6 million row numbers as numpy pickles them: half a gigabyte


class _Array:
    """Stands for a numpy array in the making: `_reconstruct(...)`, then its state."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self) -> np.ndarray:
        _, shape, dtype, fortran, content = self.state
        if type(dtype) is not _Type or type(content) is not bytes or len(shape) != 1 or fortran not in (True, False):
            raise ValueError("no plain array of numbers")
        return np.frombuffer(content, dtype.value()).reshape(shape)


class _Type:
    """Stands for a numpy dtype: its code, and the byte order from its state."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_: Any) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def value(self) -> np.dtype:
        if self.code not in ("i2", "i4", "i8", "u2", "u4", "u8") or self.order not in ("<", "|", "="):
            raise ValueError("numbers of the type %s%s" % (self.order, self.code))
        return np.dtype("<" + self.code)


def _names() -> Dict[Tuple[str, str], Any]:
    """What numpy pickles an array with, as harmless stand-ins (fresh: a hostile file can spoil only these)."""
    found: Dict[Tuple[str, str], Any] = {("numpy", "ndarray"): None, ("numpy", "dtype"): lambda *a: _Type(*a[:1]),
                                         ("_codecs", "encode"): _encode}
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since numpy 2
        found[(module, "_reconstruct")] = lambda *_: _Array()
    return found


def _encode(text: str, codec: str) -> bytes:
    if codec != "latin1":
        raise ValueError("an unknown text codec")
    return text.encode("latin1")


def read_index(path: Path) -> Dict[str, np.ndarray]:
    """{YYYY-MM: row numbers, int32, without repetition}. Raises KitError for anything else."""
    found = read_object(path, _names(), _LARGEST)
    months: Dict[str, np.ndarray] = {}
    try:
        for key, value in dict.items(found):
            year, month = _KEY.match(key).groups()  # type: ignore[union-attr]
            numbers = value.value() if type(value) is _Array else np.asarray(value)
            if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
                raise ValueError("%s holds no row numbers" % key)
            if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < 2 ** 31:
                raise ValueError("%s holds impossible row numbers" % key)
            numbers = numbers.astype(np.int32)
            if len(np.unique(numbers)) != len(numbers):
                raise ValueError("%s names a row twice" % key)
            months["00%s-%s" % (year, month)] = numbers
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise KitError("is no index of rows by month (%s)" % error, path, REMEDY) from error
    if not months:
        raise KitError("holds no month", path, REMEDY)
    return months
