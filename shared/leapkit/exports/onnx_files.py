"""ONNX: a graph that onnxruntime and others run without torch.

The exporter is torch's older one, which traces (dynamo=False): it writes ONNX's own LSTM nodes, on
torch 2.13 in a tenth of the time of the newer one (dynamo=True), whose files also hold the paths of
this machine's Python. It is deprecated, hence the silenced warning.
"""

from __future__ import annotations

import importlib
import io
import json
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Mapping

import numpy as np
import torch
from torch import nn

from leapkit.core.errors import KitError
from leapkit.core.files import atomic, require_free
from leapkit.exports.torchscript import RECORD

OPSET = 17  # 2022: the first that has LayerNormalization
_ROWS = 3
_MOST_BYTES = (1 << 31) - (1 << 24)  # of one file: protobuf's limit


def require_possible(size: int) -> None:
    """Raise KitError if the package `onnx` is not installed, or weights are more than a file holds.

    size  bytes of the weights
    """
    if size > _MOST_BYTES:
        raise KitError(
            f"{size / 1e9:.1f} GB of weights are more than the 2 GB that one ONNX file holds",
            "FORMATS=onnx",
            "export the networks one by one, or FORMATS=torchscript,pt2,safetensors",
        )
    try:
        importlib.import_module("onnx")
    except ModuleNotFoundError as error:
        raise KitError(
            "the package `onnx` is not installed",
            "FORMATS=onnx",
            "use the modern stack (STACK=modern), whose environment holds it",
        ) from error


def write(path: Path, network: nn.Module, inputs: int, record: Mapping[str, str]) -> None:
    """Export a network and write it atomically; `record` is JSON in the metadata `leapkit.json`.

    Input `x` (rows, 557 or 556) float32, output `y` (rows, 368) float32.
    """
    onnx = importlib.import_module("onnx")
    content = io.BytesIO()
    # torch 2.5 and later have two exporters.
    legacy: Dict[str, Any] = {"dynamo": False} if hasattr(torch, "export") else {}
    exporter: Any = torch.onnx
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exporter.export(
            network,
            (torch.zeros(_ROWS, inputs),),
            content,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "rows"}, "y": {0: "rows"}},
            opset_version=OPSET,
            **legacy,
        )
    model = onnx.load_from_string(content.getvalue())
    entry = model.metadata_props.add()
    entry.key, entry.value = RECORD, json.dumps(dict(record), sort_keys=True)
    onnx.checker.check_model(model)
    serialised = model.SerializeToString(deterministic=True)
    require_free(path, len(serialised), path.name)
    with atomic(path) as temporary:
        temporary.write_bytes(serialised)


def reader(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the network of a file, run by onnxruntime, or by onnx itself, which is slower."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ModuleNotFoundError:
        return _run_by_onnx(path)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def _run_by_onnx(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the network of a file, run by onnx's reference.

    It keeps what every node gives until the end, so it gets a row at a time: a Mamba network of
    seven copies takes 2 GB for one.
    """
    evaluator = importlib.import_module("onnx.reference").ReferenceEvaluator(str(path))

    def predict(x: torch.Tensor) -> torch.Tensor:
        with np.errstate(over="ignore"):  # of the exponential in a sigmoid, which is then 0
            rows = [evaluator.run(None, {"x": row})[0] for row in np.split(x.numpy(), len(x))]
        return torch.from_numpy(np.concatenate(rows))

    return predict
