"""Reads PyTorch checkpoints without executing what they contain, on torch 1.10 as on today's.

torch.load unpickles, and unpickling runs code of the file's author (torch's own safe mode came with 1.13). Here the
pickle inside the zip archive is interpreted with a closed list of harmless opcodes and names; every other one, every
persistent id that is no plain tensor storage, every shape that does not fit its storage ends in a KitError, and no
file makes the reader take much more memory than the file is long.
Needs numpy only, so a launcher can check weights without torch.
"""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

import numpy as np

from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import atomic
from leapkit.core.opcodes import forbidden

if TYPE_CHECKING:
    import torch

Names = Mapping[Tuple[str, str], Any]  # (module, name) in a pickle -> what stands for it here
REMEDY = "download the checkpoint again or train it again"
_LARGEST_PICKLE = 1 << 20  # names and shapes of a state_dict: some kilobytes
# What torch.save (pickle protocol 2) makes a state_dict of.
_OPCODES = frozenset(
    (
        "PROTO",
        "STOP",
        "MARK",
        "GLOBAL",
        "REDUCE",
        "BUILD",
        "BINPERSID",
        "BINPUT",
        "LONG_BINPUT",
        "BINGET",
        "LONG_BINGET",
        "EMPTY_TUPLE",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "EMPTY_LIST",
        "APPEND",
        "APPENDS",
        "EMPTY_DICT",
        "SETITEM",
        "SETITEMS",
        "BINUNICODE",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "BINFLOAT",
        "NEWTRUE",
        "NEWFALSE",
        "NONE",
    )
)
_STORAGES = {
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


class _Refused(Exception):
    """What the file asks for is on no list."""


@dataclass(frozen=True)
class _StorageType:
    __slots__ = ("dtype",)  # no __dict__ that a BUILD opcode could write another dtype into
    dtype: str


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> np.ndarray:
    """A tensor as a read-only strided view of its storage, with every bound checked.

    No copy: a small file can rebuild one storage ten thousand times.
    """
    if (
        not isinstance(storage, np.ndarray)
        or not all(type(v) is int and v >= 0 for v in (offset,) + tuple(size) + tuple(stride))
        or len(size) != len(stride)
    ):
        raise _Refused("a tensor with impossible shape, stride or storage")
    if len(size) > 8 or (
        0 not in size and offset + sum((n - 1) * s for n, s in zip(size, stride)) >= storage.size
    ):
        raise _Refused("a tensor that reaches beyond its storage")
    if np.prod([float(n) for n in size] or [1.0]) > storage.size:
        raise _Refused(
            "a tensor larger than its storage"
        )  # stride 0 would let a small file ask for all memory
    strides = tuple(s * storage.itemsize for s in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], tuple(size), strides, writeable=False)


def _rebuild_parameter(data: Any, *_: Any) -> np.ndarray:
    if not isinstance(data, np.ndarray):
        raise _Refused("a parameter that is no tensor")
    return data


def _allowed() -> Dict[Tuple[str, str], Any]:
    """The closed list, made of fresh objects: a hostile BUILD opcode can spoil only what is thrown away."""
    names: Dict[Tuple[str, str], Any] = {
        ("collections", "OrderedDict"): OrderedDict,  # a C type, which refuses new attributes
        ("torch._utils", "_rebuild_tensor_v2"): lambda *parts: _rebuild_tensor(*parts),
        ("torch._utils", "_rebuild_parameter"): lambda *parts: _rebuild_parameter(*parts),
    }
    for name, dtype in _STORAGES.items():
        names[("torch", name)] = _StorageType(dtype)
    return names


class _Interpreter(pickle.Unpickler):
    """An unpickler that knows a closed list and the archive's storages, nothing else."""

    def __init__(self, archive: zipfile.ZipFile, root: str, names: Names, largest: int) -> None:
        entry = archive.getinfo(root + "data.pkl")
        if (
            entry.compress_type != zipfile.ZIP_STORED
        ):  # torch.save never does; a few bytes could unpack to gigabytes
            raise _Refused("a compressed table of contents")
        if entry.file_size > largest:
            raise _Refused("a table of contents of %d bytes" % entry.file_size)
        pickled = archive.read(entry)
        reason = forbidden(pickled, _OPCODES)
        if reason:
            raise _Refused(reason)
        super().__init__(io.BytesIO(pickled))
        self._archive, self._root = archive, root
        self._left = os.path.getsize(str(archive.filename))
        self._storages: Dict[str, np.ndarray] = {}
        self._allowed = {**_allowed(), **names}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[(module, name)]
        except KeyError:
            raise _Refused(
                f"the name {module}.{name}, which a checkpoint of tensors has no use for"
            ) from None

    def persistent_load(self, pid: Any) -> np.ndarray:
        if not (
            isinstance(pid, tuple)
            and len(pid) == 5
            and pid[0] == "storage"
            and isinstance(pid[1], _StorageType)
            and isinstance(pid[2], str)
        ):
            raise _Refused("a reference that is no tensor storage")
        _, kind, key, _, count = pid
        if key not in self._storages:
            entry = self._archive.getinfo(f"{self._root}data/{key}")
            dtype = np.dtype(kind.dtype)
            if (
                entry.compress_type != zipfile.ZIP_STORED
                or entry.file_size != count * dtype.itemsize
            ):
                raise _Refused("a storage whose size is not what the file says")
            self._left -= entry.file_size
            if self._left < 0:  # entries that share their bytes
                raise _Refused("storages that together are longer than the file")
            self._storages[key] = np.frombuffer(self._archive.read(entry), dtype=dtype)
        return self._storages[key]


def read_tensors(path: Path) -> OrderedDict[str, np.ndarray]:
    """{bare name: array} of a state_dict saved by torch.save: read_state without the prefix."""
    return read_state(path)[1]


def read_state(path: Path) -> Tuple[str, OrderedDict[str, np.ndarray]]:
    """(prefix, {bare name: array}) of a state_dict saved by torch.save (zip format, torch >= 1.6), in saved order.

    The prefix is the leading `module.` of nn.DataParallel where all names have it, and "" else.
    Raises KitError for what read_object refuses, and for anything but a state_dict of tensors.
    """
    state = read_object(path)
    # dict.items and not state.items, which the pickle may have written over.
    items = list(dict.items(state)) if isinstance(state, dict) else []
    if not items or not all(isinstance(k, str) and isinstance(v, np.ndarray) for k, v in items):
        raise KitError("does not hold a state_dict of tensors", path, REMEDY)
    prefix = "module." if all(name.startswith("module.") for name, _ in items) else ""
    return prefix, OrderedDict((name[len(prefix) :], value) for name, value in items)


def read_object(path: Path, names: Optional[Names] = None, largest: int = _LARGEST_PICKLE) -> Any:
    """What torch.save was given, tensors as arrays: dicts, lists, numbers, text and what `names` adds to the closed list.

    largest  bytes of the pickle that holds it (not of the tensors)
    Raises KitError for a missing or damaged file, the old non-zip format, and anything that is not plain tensors;
    nothing of the file is executed in any case.
    """
    with explain_os_errors(path, REMEDY):
        try:
            with zipfile.ZipFile(str(path)) as archive:
                roots = [
                    n[: -len("data.pkl")] for n in archive.namelist() if n.endswith("data.pkl")
                ]
                if len(roots) != 1:
                    raise KitError(
                        "is no PyTorch checkpoint (no data.pkl in the archive)", path, REMEDY
                    )
                order = f"{roots[0]}byteorder"
                if order in archive.namelist():
                    with archive.open(order) as entry:  # not read whole: it may unpack to gigabytes
                        if entry.read(8) != b"little":
                            raise KitError("was saved on a big-endian machine", path, REMEDY)
                return _Interpreter(archive, roots[0], names or {}, largest).load()
        except zipfile.BadZipFile as error:
            raise KitError(
                "is truncated, or no PyTorch checkpoint in zip format", path, REMEDY
            ) from error
        except _Refused as error:
            raise KitError(
                f"refused, nothing was executed: it asks for {error}",
                path,
                "use a checkpoint from the source that the README names",
            ) from error
        except KitError:
            raise
        except OSError:
            raise
        except Exception as error:  # whatever else malformed bytes make an unpickler say
            raise KitError(f"is damaged ({type(error).__name__}: {error})", path, REMEDY) from error


def load_into(network: torch.nn.Module, tensors: Mapping[str, np.ndarray], source: object) -> None:
    """Strict load: every name, shape and dtype must fit. Raises KitError naming the first that does not."""
    import torch

    own = network.state_dict()
    for name, tensor in own.items():
        if name not in tensors:
            raise KitError(f"the tensor {name} is missing", source, REMEDY)
        found, wanted = tuple(tensors[name].shape), tuple(tensor.shape)
        if found != wanted:
            raise KitError(
                f"the tensor {name} has shape {found} instead of {wanted}: a checkpoint of another network or width",
                source,
                REMEDY,
            )
        types = str(tensors[name].dtype), str(tensor.dtype).split(".")[-1]
        if types[0] != types[1]:
            raise KitError("the tensor %s is %s instead of %s" % ((name,) + types), source, REMEDY)
        if not np.isfinite(tensors[name]).all():
            raise KitError(f"the tensor {name} holds a NaN or an infinity", source, REMEDY)
    extra = [name for name in tensors if name not in own]
    if extra:
        raise KitError(f"the tensor {extra[0]} belongs to another network", source, REMEDY)
    network.load_state_dict(
        {name: torch.from_numpy(np.array(tensors[name])) for name in own}, strict=True
    )


def save(network: torch.nn.Module, path: Path) -> None:
    """Saves the bare state_dict atomically, on the CPU, readable by read_tensors and by torch.load."""
    write_tensors(
        path,
        OrderedDict(
            (name, tensor.detach().cpu().clone()) for name, tensor in network.state_dict().items()
        ),
    )


def write_tensors(path: Path, tensors: OrderedDict[str, torch.Tensor]) -> None:
    """torch.save, atomically. Raises KitError when the disk is full."""
    import torch

    # Through memory: on a full disk torch's own writer of files aborts the process (1.10) or speaks of iostreams (2.13).
    content = io.BytesIO()
    torch.save(tensors, content)
    with atomic(path) as temporary:
        temporary.write_bytes(content.getbuffer())
