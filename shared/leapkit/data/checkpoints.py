"""Read and write PyTorch checkpoints without executing them, on torch 1.10 as on today's.

torch.load unpickles, and unpickling runs code of the file's author (torch's own safe mode came with
1.13). Here `core.safe_pickle` reads the file, and this module adds the tensors: a persistent id
that is not a plain storage and a shape that does not fit its storage are refused. No file makes the
reader take much more memory than the file is long. Reading needs numpy only, so that the launcher
can check weights without torch.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

import numpy as np

from leapkit.core import safe_pickle
from leapkit.core.errors import KitError
from leapkit.core.files import atomic
from leapkit.core.safe_pickle import Archive, Kind, Names, Refused

if TYPE_CHECKING:
    import torch

REMEDY = "download the checkpoint again (`make fetch WHAT=weights`) or train it again"
OPCODES = safe_pickle.OPCODES | {"BINPERSID", "LONG1", "BINFLOAT"}
_CHECKPOINT = Kind("a checkpoint of tensors", safe_pickle.CHECKPOINT, OPCODES, REMEDY)
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class _StorageType:
    __slots__ = ("dtype",)  # no __dict__ that a BUILD opcode could write another dtype into
    dtype: str


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> np.ndarray:
    """Return a tensor as a read-only strided view of its storage, with every bound checked.

    No copy is made: a small file can rebuild one storage ten thousand times.
    """
    if (
        not isinstance(storage, np.ndarray)
        or not all(type(v) is int and v >= 0 for v in (offset,) + tuple(size) + tuple(stride))
        or len(size) != len(stride)
    ):
        raise Refused("a tensor with impossible shape, stride or storage")
    if len(size) > 8 or (
        0 not in size and offset + sum((n - 1) * s for n, s in zip(size, stride)) >= storage.size
    ):
        raise Refused("a tensor that reaches beyond its storage")
    # A stride of 0 would let a small file ask for all memory.
    if np.prod([float(n) for n in size] or [1.0]) > storage.size:
        raise Refused("a tensor larger than its storage")
    strides = tuple(s * storage.itemsize for s in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], tuple(size), strides, writeable=False)


def _rebuild_parameter(data: Any, *_: Any) -> np.ndarray:
    if not isinstance(data, np.ndarray):
        raise Refused("a parameter that is not a tensor")
    return data


def _tensor_names() -> Dict[safe_pickle.Name, Any]:
    """Return what the names that tensors are made of stand for.

    The objects are new: a hostile BUILD opcode can spoil only what is thrown away after the file.
    """
    names: Dict[safe_pickle.Name, Any] = {
        ("collections", "OrderedDict"): OrderedDict,  # a C type, which refuses new attributes
        ("torch._utils", "_rebuild_tensor_v2"): lambda *arguments: _rebuild_tensor(*arguments),
        ("torch._utils", "_rebuild_parameter"): lambda *arguments: _rebuild_parameter(*arguments),
    }
    for name, dtype in _DTYPES.items():
        names[("torch", name)] = _StorageType(dtype)
    return names


class _Storages:
    """The storages of one archive as arrays, each read once."""

    def __init__(self) -> None:
        self._arrays: Dict[str, np.ndarray] = {}

    def __call__(self, pid: Any, archive: Archive) -> np.ndarray:
        """pid = ("storage", type, key, device, number of items) -> (items,) array."""
        if not (
            isinstance(pid, tuple)
            and len(pid) == 5
            and pid[0] == "storage"
            and isinstance(pid[1], _StorageType)
            and isinstance(pid[2], str)
        ):
            raise Refused("a reference that is not a tensor's storage")
        _, kind, key, _, count = pid
        if key not in self._arrays:
            dtype = np.dtype(kind.dtype)
            content = archive.storage(key, count * dtype.itemsize)
            self._arrays[key] = np.frombuffer(content, dtype=dtype)
        return self._arrays[key]


def read_tensors(path: Path) -> OrderedDict[str, np.ndarray]:
    """Return {bare name: array} of a state_dict that torch.save wrote, without the prefix."""
    return read_state(path)[1]


def read_state(path: Path) -> Tuple[str, OrderedDict[str, np.ndarray]]:
    """Return (prefix, {bare name: array}) of a state_dict that torch.save wrote (torch >= 1.6).

    The order is that of the file. The prefix is the leading `module.` of nn.DataParallel if all
    names have it, else "". Raises KitError for what read_object refuses, and for anything but a
    state_dict of tensors.
    """
    state = read_object(path)
    # dict.items and not state.items, which the pickle may have written over.
    items = list(dict.items(state)) if isinstance(state, dict) else []
    if not items or not all(isinstance(k, str) and isinstance(v, np.ndarray) for k, v in items):
        raise KitError("does not hold a state_dict of tensors", path, REMEDY)
    prefix = "module." if all(name.startswith("module.") for name, _ in items) else ""
    return prefix, OrderedDict((name[len(prefix) :], value) for name, value in items)


def read_object(path: Path, kind: Kind = _CHECKPOINT, names: Optional[Names] = None) -> Any:
    """Return what torch.save was given: dicts, lists, numbers, text, tensors as arrays.

    names  (module, attribute) -> what stands for it, beside what tensors are made of

    Raises KitError for a missing or damaged file, the old format without a zip archive, and
    anything that is not on the closed lists. Nothing of the file is executed in any case.
    """
    with safe_pickle.explained(path, kind):
        return safe_pickle.read(path, kind, {**_tensor_names(), **(names or {})}, _Storages())


def load_into(network: torch.nn.Module, tensors: Mapping[str, np.ndarray], source: object) -> None:
    """Load strictly: all names, shapes and dtypes must fit.

    Raises KitError naming the first tensor that does not fit; nothing is then loaded.
    """
    import torch

    expected = network.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise KitError(f"the tensor {name} is missing", source, REMEDY)
        array = tensors[name]
        if tuple(array.shape) != tuple(tensor.shape):
            shapes = f"{tuple(array.shape)} instead of {tuple(tensor.shape)}"
            what = f"the tensor {name} has shape {shapes}: a checkpoint of another network or width"
            raise KitError(what, source, REMEDY)
        dtype = str(tensor.dtype).split(".")[-1]
        if str(array.dtype) != dtype:
            what = f"the tensor {name} is {array.dtype} instead of {dtype}"
            raise KitError(what, source, REMEDY)
        if not np.isfinite(array).all():
            raise KitError(f"the tensor {name} holds a NaN or an infinity", source, REMEDY)
    foreign = [name for name in tensors if name not in expected]
    if foreign:
        raise KitError(f"the tensor {foreign[0]} belongs to another network", source, REMEDY)
    network.load_state_dict(
        {name: torch.from_numpy(np.array(tensors[name])) for name in expected}, strict=True
    )


def save(network: torch.nn.Module, path: Path) -> None:
    """Write the bare state_dict atomically, as read_tensors and torch.load read it."""
    state = network.state_dict()
    write_tensors(
        path, OrderedDict((name, tensor.detach().cpu().clone()) for name, tensor in state.items())
    )


def write_tensors(path: Path, tensors: OrderedDict[str, torch.Tensor]) -> None:
    """Write tensors as torch.save does, atomically. Raises KitError when the disk is full."""
    import torch

    # Through memory: on a full disk torch's own writer aborts the process (torch 1.10).
    content = io.BytesIO()
    torch.save(tensors, content)
    with atomic(path) as temporary:
        temporary.write_bytes(content.getbuffer())
