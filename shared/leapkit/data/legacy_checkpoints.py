"""Read the format of torch.save before torch 1.6, which it still writes if asked, safely.

It is five pickles after one another, then the storages: a magic number, a version, facts about the
machine, the object, the storages' keys; of each storage its length (int64) and its numbers.
"""

from __future__ import annotations

import pickletools
import struct
from pathlib import Path
from typing import Any, BinaryIO, Dict

import numpy as np

from leapkit.core import safe_pickle
from leapkit.core.errors import KitError
from leapkit.core.pickle_limits import Kind, Refused
from leapkit.core.pickle_rehearsal import PickledBytes
from leapkit.data.torch_pickles import StorageReference, storage_reference, tensor_names

MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # pickled 0x1950A86A20F9469CFC6C
_VERSION = 1001


def read_object(path: Path, kind: Kind) -> Any:
    """Return what torch.save was given, as torch_pickles.read_object does.

    Raises KitError, Refused, and whatever malformed bytes lead to: call it inside
    safe_pickle.explained.
    """
    with open(path, "rb") as file:
        pickles = PickledBytes(file.read(kind.limits.pickle_bytes))
        storages = _Storages(path.stat().st_size)
        magic, version, machine, value, keys = (
            safe_pickle.load(_one_pickle(pickles), kind, tensor_names(), storages) for _ in range(5)
        )
        if (magic, version) != (0x1950A86A20F9469CFC6C, _VERSION):
            raise Refused("another version of the old format")
        if not isinstance(machine, dict) or dict.get(machine, "little_endian") is not True:
            raise Refused("the numbers of a big-endian machine")
        file.seek(pickles.tell())
        if not storages.fill(file, keys):
            raise KitError("is truncated", path, kind.remedy)
    return value


def _one_pickle(pickles: PickledBytes) -> bytes:
    """Return the bytes of the next pickle, up to its STOP."""
    start = pickles.tell()
    for _ in pickletools.genops(pickles):
        pass
    return pickles.getvalue()[start : pickles.tell()]


class _Storages:
    """The storages that the object refers to: arrays at once, their numbers later."""

    def __init__(self, file_size: int) -> None:
        self._bytes_left = file_size
        self._arrays: Dict[str, np.ndarray] = {}
        self._references: Dict[str, StorageReference] = {}

    def __call__(self, pid: Any) -> np.ndarray:
        storage = storage_reference(pid, 6)
        if pid[5] is not None:
            raise Refused("a storage that is a part of another")
        if storage.key not in self._arrays:
            self._bytes_left -= storage.items * storage.type.itemsize
            if self._bytes_left < 0:
                raise Refused("storages that together are longer than the file")
            dtype = storage.type.array(b"").dtype
            self._arrays[storage.key] = np.empty(storage.items, dtype)
            self._references[storage.key] = storage
        return self._arrays[storage.key]

    def fill(self, file: BinaryIO, keys: Any) -> bool:
        """Read the numbers of all storages, in the order of the keys; return whether all exist."""
        if type(keys) is not list or sorted(keys) != sorted(self._references):
            raise Refused("other storages than it refers to")
        for key in keys:
            storage = self._references[key]
            length = file.read(8)
            if len(length) == 8 and struct.unpack("<q", length)[0] != storage.items:
                raise Refused("a storage whose size is not what the file says")
            content = file.read(storage.items * storage.type.itemsize)
            if len(content) < storage.items * storage.type.itemsize:
                return False
            self._arrays[key][...] = storage.type.array(content)
        return True
