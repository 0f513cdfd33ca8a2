"""Read and write PyTorch checkpoints without executing them, on torch 1.10 as on today's.

torch.load unpickles, and unpickling runs code of the file's author (torch's own safe mode came with
1.13). A checkpoint may be in the zip format of torch.save (data.torch_pickles), in its old format
(data.legacy_checkpoints) or in safetensors' (data.safetensors): its content decides, and a closed
list of names is all that is known. Reading needs numpy only, so that the launcher can check weights
without torch.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Mapping, Tuple

import numpy as np

from leapkit.core import pickle_limits, safe_pickle
from leapkit.core.errors import KitError
from leapkit.core.files import atomic
from leapkit.core.pickle_limits import Kind, Refused
from leapkit.data import legacy_checkpoints, safetensors
from leapkit.data.torch_pickles import OPCODES, read_object

if TYPE_CHECKING:
    import torch

REMEDY = "download the checkpoint again (`make fetch WHAT=weights`) or train it again"
_CONVERT = (
    f"{REMEDY}; of a whole network or a trainer's state, save the tensors alone where its code is: "
    "torch.save(network.state_dict(), path)"
)
_CHECKPOINT = Kind("a checkpoint of tensors", pickle_limits.CHECKPOINT, OPCODES, _CONVERT)
# Where scripts put the state_dict beside the optimiser's, and what wrappers put before its names:
# nn.DataParallel, which the published files are told apart by, and torch.compile.
_WRAPPERS = ("model", "state_dict", "model_state_dict")
_PARALLEL, _COMPILED = "module.", "_orig_mod."


def read_tensors(path: Path) -> OrderedDict[str, np.ndarray]:
    """Return {bare name: array} of a checkpoint, without the prefix."""
    return read_state(path)[1]


def read_state(path: Path) -> Tuple[str, OrderedDict[str, np.ndarray]]:
    """Return (prefix, {bare name: array}) of a checkpoint, whichever of the forms it has.

    The order is that of the file; float16 and bfloat16 are read as the same numbers in float32.
    The prefix is the leading `module.` of nn.DataParallel if all names have it, else "";
    torch.compile's `_orig_mod.` before or after it is dropped. Raises KitError for a missing,
    damaged or hostile file, and for anything but a state_dict of tensors, alone or in a dict under
    a usual name.
    """
    with safe_pickle.explained(path, _CHECKPOINT):
        items = _state_dict(_read_any_form(path))
    prefix = ""
    for wrapper in (_COMPILED, _PARALLEL, _COMPILED):
        if all(name.startswith(wrapper) for name, _ in items):
            items = [(name[len(wrapper) :], value) for name, value in items]
            prefix = wrapper if wrapper == _PARALLEL else prefix
    return prefix, OrderedDict(items)


def _read_any_form(path: Path) -> Any:
    with open(path, "rb") as file:
        head = file.read(len(legacy_checkpoints.MAGIC))
    if head == legacy_checkpoints.MAGIC:
        return legacy_checkpoints.read_object(path, _CHECKPOINT)
    if safetensors.is_safetensors(path, head):
        return safetensors.read(path, _CHECKPOINT)
    return read_object(path, _CHECKPOINT)


def _state_dict(value: Any) -> List[Tuple[str, np.ndarray]]:
    """Return the items of the one state_dict in a file. Raises Refused if it has none, or two."""
    # dict.items and not value.items, which the pickle may have written over.
    items = list(dict.items(value)) if isinstance(value, dict) else []
    if _are_tensors(items):
        return items
    wrapped = [list(dict.items(v)) for k, v in items if k in _WRAPPERS and isinstance(v, dict)]
    states = [state for state in wrapped if _are_tensors(state)]
    if len(states) != 1:
        number = "several state_dicts" if states else "something else than a state_dict"
        raise Refused(f"{number} of tensors")
    return states[0]


def _are_tensors(items: List[Tuple[Any, Any]]) -> bool:
    return bool(items) and all(
        isinstance(name, str) and isinstance(value, np.ndarray) for name, value in items
    )


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
