"""Read and write .safetensors: a length, JSON that names the tensors, their numbers. Nothing else.

The format is https://github.com/huggingface/safetensors; the header of a file that is read is held
to bounds, those of a checkpoint's table of contents unless others are given.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, Dict, List, Mapping, Tuple

import numpy as np

from leapkit.core import strict_json
from leapkit.core.errors import KitError, printable
from leapkit.core.pickle_limits import Kind, Refused
from leapkit.data.torch_pickles import StorageType

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bfloat16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_NAMES = {np.dtype(code).str: name for name, code in _TYPES.items() if name != "BF16"}


def is_safetensors(path: Path, head: bytes) -> bool:
    """Return whether a file of this name that begins with `head` has the format."""
    return path.suffix == ".safetensors" or head[8:9] == b"{"


def read(path: Path, kind: Kind) -> OrderedDict[str, np.ndarray]:
    """Return {name: array} in the order of the numbers.

    Raises KitError, Refused and OSError: call it inside safe_pickle.explained.
    """
    return read_all(path, kind)[1]


def read_all(path: Path, kind: Kind) -> Tuple[Dict[str, str], OrderedDict[str, np.ndarray]]:
    """Return the metadata, and {name: array} in the order of the numbers. Raises as `read` does."""
    with open(path, "rb") as file:
        table = _table(file, path, kind)
        numbers = file.read()
    metadata = _metadata(table)
    entries = sorted((_entry(name, entry) for name, entry in table.items()), key=lambda e: e[3])
    end = 0
    tensors: OrderedDict[str, np.ndarray] = OrderedDict()
    for name, storage, shape, begin in entries:
        if begin != end:
            raise Refused("tensors that overlap, or bytes of no tensor")
        end += math.prod(shape) * storage.itemsize
        if end <= len(numbers):
            tensors[name] = storage.array(numbers[begin:end]).reshape(shape)
    if end > len(numbers):
        raise KitError("is truncated", path, kind.remedy)
    if end < len(numbers):
        raise Refused("bytes of no tensor")
    return metadata, tensors


def read_metadata(path: Path, kind: Kind) -> Dict[str, str]:
    """Return the metadata of a file, without reading its numbers. Raises as `read` does."""
    with open(path, "rb") as file:
        return _metadata(_table(file, path, kind))


def write(file: IO[bytes], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write tensors in their order, and metadata. The same content has the same bytes."""
    table: Dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, array in tensors.items():
        begin, end = end, end + array.nbytes
        dtype = _NAMES[array.dtype.str]
        table[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end]}
    header = json.dumps(table, separators=(",", ":"), allow_nan=False).encode("utf-8")
    header += b" " * (-len(header) % 8)  # so that the numbers are aligned
    file.write(len(header).to_bytes(8, "little") + header)
    for array in tensors.values():
        file.write(np.ascontiguousarray(array).tobytes())


def _table(file: IO[bytes], path: Path, kind: Kind) -> Dict[str, Any]:
    length = int.from_bytes(file.read(8), "little")
    if length > kind.limits.pickle_bytes:
        raise Refused(f"a header of {length} bytes")
    header = file.read(length)
    if len(header) < length:
        raise KitError("is truncated", path, kind.remedy)
    try:
        table = strict_json.parse(header)
    except ValueError as error:
        raise Refused(f"a header that is no JSON ({error})") from error
    if not isinstance(table, dict):
        raise Refused("a header that is no table of tensors")
    return table


def _metadata(table: Dict[str, Any]) -> Dict[str, str]:
    """Return the texts of __metadata__, and take it out of the table."""
    metadata = table.pop("__metadata__", None)
    items = metadata.items() if isinstance(metadata, dict) else ()
    return {name: text for name, text in items if isinstance(text, str)}


def _entry(name: str, entry: Any) -> Tuple[str, StorageType, List[int], int]:
    """Return (name, type, shape, first byte) of a tensor. Raises Refused if they do not fit."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        storage = StorageType(_TYPES[dtype])
        are_sizes = all(type(n) is int and 0 <= n < 2**62 for n in (begin, end, *shape))
        if are_sizes and len(shape) <= 8 and math.prod(shape) * storage.itemsize == end - begin:
            return name, storage, shape, begin
    except (KeyError, TypeError, ValueError):
        pass
    raise Refused(f"the tensor {printable(name)} of impossible type, shape or place")
