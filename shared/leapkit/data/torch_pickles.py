"""Read what torch.save wrote without executing it: dicts, lists, numbers, text, tensors as arrays.

`core.safe_pickle` reads the pickle, and this module adds the tensors: a persistent id that is not a
plain storage and a shape that does not fit its storage are refused. No file makes the reader take
much more memory than the file is long. Needs numpy only, so that the launcher can check weights
without torch.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

import numpy as np

from leapkit.core import pickle_limits, safe_pickle
from leapkit.core.pickle_limits import Kind, Refused
from leapkit.core.safe_pickle import Names
from leapkit.core.torch_archive import Archive

OPCODES = pickle_limits.OPCODES | {"BINPERSID", "LONG1", "BINFLOAT"}
# {storage: dtype in the file}; bfloat16, which numpy has not, is the upper half of a float32
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def read_object(path: Path, kind: Kind, names: Optional[Names] = None) -> Any:
    """Return what torch.save was given, from its zip format (torch >= 1.6).

    names  (module, attribute) -> what stands for it, beside what tensors are made of

    Raises KitError for a missing or damaged file, and anything that is not on the closed lists.
    Nothing of the file is executed in any case.
    """
    with safe_pickle.explained(path, kind):
        return safe_pickle.read(path, kind, {**tensor_names(), **(names or {})}, _Storages())


@dataclass(frozen=True)
class StorageType:
    """The type of a storage's numbers."""

    __slots__ = ("dtype",)  # no __dict__ that a BUILD opcode could write another dtype into
    dtype: str

    @property
    def itemsize(self) -> int:
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize

    def array(self, content: bytes) -> np.ndarray:
        """Return the numbers; those of 16 bits as the float32 numbers that they are exactly."""
        if self.dtype == "bfloat16":
            halves = np.frombuffer(content, dtype="<u2").astype("<u4")
            halves <<= 16
            return halves.view("<f4")
        numbers = np.frombuffer(content, dtype=self.dtype)
        return numbers.astype("<f4") if self.dtype == "<f2" else numbers


class StorageReference(NamedTuple):
    """What a persistent id says of a storage: its type, its key in the file, its length."""

    type: StorageType
    key: str
    items: int


def storage_reference(pid: Any, length: int) -> StorageReference:
    """Return what ("storage", type, key, device, number of items, ...) says.

    length  how many parts the id has in this format
    """
    if not (
        isinstance(pid, tuple)
        and len(pid) == length
        and pid[0] == "storage"
        and isinstance(pid[1], StorageType)
        and type(pid[2]) is str
        and type(pid[4]) is int
        and pid[4] >= 0
    ):
        raise Refused("a reference that is not a tensor's storage")
    return StorageReference(pid[1], pid[2], pid[4])


class _Storages:
    """The storages of one archive as arrays, each read once."""

    def __init__(self) -> None:
        self._arrays: Dict[str, np.ndarray] = {}

    def __call__(self, pid: Any, archive: Archive) -> np.ndarray:
        storage = storage_reference(pid, 5)
        if storage.key not in self._arrays:
            content = archive.storage(storage.key, storage.items * storage.type.itemsize)
            self._arrays[storage.key] = storage.type.array(content)
        return self._arrays[storage.key]


def tensor_names() -> Dict[safe_pickle.Name, Any]:
    """Return what the names that tensors are made of stand for.

    The objects are new: a hostile BUILD opcode can spoil only what is thrown away after the file.
    """
    names: Dict[safe_pickle.Name, Any] = {
        ("collections", "OrderedDict"): lambda *arguments: _ordered_dict(*arguments),
        ("torch._utils", "_rebuild_tensor_v2"): lambda *arguments: _rebuild_tensor(*arguments),
        ("torch._utils", "_rebuild_parameter"): lambda *arguments: _rebuild_parameter(*arguments),
    }
    for name, dtype in _DTYPES.items():
        names[("torch", name)] = StorageType(dtype)
    return names


def _ordered_dict(*items: Any) -> OrderedDict[Any, Any]:
    """Return an empty dict, which the pickle then fills: a copy of another costs what it likes."""
    if items:
        raise Refused("an OrderedDict that copies another object")
    return OrderedDict()


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> np.ndarray:
    """Return a tensor as a read-only strided view of its storage, with every bound checked.

    No copy is made: a small file can rebuild one storage ten thousand times.
    """
    if (
        not isinstance(storage, np.ndarray)
        or not (type(size) is tuple and type(stride) is tuple and len(size) == len(stride) <= 8)
        or not all(type(v) is int and 0 <= v < 2**62 for v in (offset, *size, *stride))
    ):
        raise Refused("a tensor with impossible shape, stride or storage")
    if 0 not in size and offset + sum((n - 1) * s for n, s in zip(size, stride)) >= storage.size:
        raise Refused("a tensor that reaches beyond its storage")
    # A stride of 0 would let a small file ask for all memory.
    if np.prod([float(n) for n in size] or [1.0]) > storage.size:
        raise Refused("a tensor larger than its storage")
    strides = tuple(s * storage.itemsize for s in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False)


def _rebuild_parameter(data: Any, *_: Any) -> np.ndarray:
    if not isinstance(data, np.ndarray):
        raise Refused("a parameter that is not a tensor")
    return data
