"""The state of an unfinished training run in one file: tensors and JSON, no pickle that anybody must trust."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict

import numpy as np
import torch

from leapkit.core.errors import KitError
from leapkit.data.checkpoints import read_tensors, write_tensors

_TENSOR, _JSON = "__tensor__", "__json__"


def _take_tensors(value: Any, tensors: Dict[str, torch.Tensor]) -> Any:
    """`value` with every tensor replaced by its key in `tensors`; dicts become lists of pairs, keys keep their type."""
    if isinstance(value, torch.Tensor):
        key = "tensor.%d" % len(tensors)
        tensors[key] = value.detach().cpu().clone()
        return {_TENSOR: key}
    if isinstance(value, dict):
        return {"__pairs__": [[k, _take_tensors(v, tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_take_tensors(v, tensors) for v in value]
    return value


def _put_tensors(value: Any, tensors: Dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict) and _TENSOR in value:
        return torch.from_numpy(np.array(tensors[value[_TENSOR]]))
    if isinstance(value, dict):
        return {k: _put_tensors(v, tensors) for k, v in value["__pairs__"]}
    if isinstance(value, list):
        return [_put_tensors(v, tensors) for v in value]
    return value


def save(path: Path, value: Any) -> None:
    """Saves nested dicts and lists of tensors, numbers and strings, atomically."""
    tensors: OrderedDict[str, torch.Tensor] = OrderedDict()
    text = json.dumps(_take_tensors(value, tensors)).encode("utf-8")
    tensors[_JSON] = torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy())
    write_tensors(path, tensors)


def load(path: Path) -> Any:
    """What save() was given (tuples as lists). Raises KitError for a damaged file."""
    tensors = read_tensors(path)
    try:
        return _put_tensors(json.loads(tensors.pop(_JSON).tobytes().decode("utf-8")), tensors)
    except (KeyError, ValueError, TypeError) as error:
        raise KitError(
            f"is no training state ({error})", path, "remove it and run again"
        ) from error
