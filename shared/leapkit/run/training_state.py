"""The state of an unfinished training run in one file: tensors and JSON, no pickle to trust."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict

import numpy as np
import torch

from leapkit.core.errors import KitError
from leapkit.data.checkpoints import read_tensors, write_tensors

_TENSOR = "__tensor__"  # marks the place of a tensor in the JSON text
_PAIRS = "__pairs__"  # marks a dict: JSON would turn its keys into strings
_JSON = "__json__"  # the name of the JSON text among the file's tensors


def save(path: Path, value: Any) -> None:
    """Write nested dicts and lists of tensors, numbers and strings, atomically."""
    tensors: OrderedDict[str, torch.Tensor] = OrderedDict()
    text = json.dumps(_take_tensors(value, tensors)).encode("utf-8")
    tensors[_JSON] = torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy())
    write_tensors(path, tensors)


def load(path: Path) -> Any:
    """Return what save() was given, tuples as lists. Raises KitError for a damaged file."""
    tensors = read_tensors(path)
    try:
        return _put_tensors(json.loads(tensors.pop(_JSON).tobytes().decode("utf-8")), tensors)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise KitError(
            f"is not a training state ({error})", path, "remove it and run again"
        ) from error


def _take_tensors(value: Any, tensors: Dict[str, torch.Tensor]) -> Any:
    """Return `value` as JSON can hold it, and move its tensors into `tensors`.

    A tensor is replaced by its key there. A dict becomes a list of pairs, so that its keys keep
    their type.
    """
    if isinstance(value, torch.Tensor):
        key = f"tensor.{len(tensors)}"
        tensors[key] = value.detach().cpu().clone()
        return {_TENSOR: key}
    if isinstance(value, dict):
        return {_PAIRS: [[k, _take_tensors(v, tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_take_tensors(v, tensors) for v in value]
    return value


def _put_tensors(value: Any, tensors: Dict[str, np.ndarray]) -> Any:
    """Undo _take_tensors."""
    if isinstance(value, dict) and _TENSOR in value:
        return torch.from_numpy(np.array(tensors[value[_TENSOR]]))
    if isinstance(value, dict):
        return {k: _put_tensors(v, tensors) for k, v in value[_PAIRS]}
    if isinstance(value, list):
        return [_put_tensors(v, tensors) for v in value]
    return value
