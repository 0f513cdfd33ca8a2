"""`.pt2`: torch.export's program with any number of rows, the form that follows TorchScript.

It is bound to the CPU; torch.export.passes.move_to_device_pass puts it on a GPU. A Mamba layer has
its loop unrolled, which takes torch minutes.
"""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any, Mapping

import torch
from torch import nn

from leapkit.core.errors import KitError
from leapkit.core.files import atomic, require_free
from leapkit.exports.torchscript import RECORD

_ROWS = 3


def require_exporter() -> None:
    """Raise KitError if this torch has no torch.export with dynamic shapes."""
    if not hasattr(torch, "export"):
        raise KitError(
            f"torch {torch.__version__} has no torch.export",
            "FORMATS=pt2",
            "export it on the modern stack (STACK=modern), which reads the same weights",
        )


def write(path: Path, network: nn.Module, inputs: int, record: Mapping[str, str]) -> None:
    """Export a network and write it atomically; `record` is JSON in the file `leapkit.json`."""
    exporter: Any = torch.export
    rows = exporter.Dim("rows", min=1)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own parts about each other
        program = exporter.export(
            network, (torch.zeros(_ROWS, inputs),), dynamic_shapes={"x": {0: rows}}, strict=False
        )
        _forget_sources(program)
        content = io.BytesIO()
        text = json.dumps(dict(record), indent=1, sort_keys=True)
        exporter.save(program, content, extra_files={RECORD: text})
    require_free(path, len(content.getbuffer()), path.name)
    with atomic(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _forget_sources(program: Any) -> None:
    """Take away the source lines of each operation: they name the files of this machine."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if hasattr(module, "graph") else ():
            node.meta.pop("stack_trace", None)


def read(path: Path) -> nn.Module:
    """Return the network of a file, on the CPU."""
    exporter: Any = torch.export
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network: nn.Module = exporter.load(str(path)).module()
    return network
