"""Write an emulator in a format, and read it as its users do: for benchmarks.exports.

Each writer takes the parts and a path, and returns what loads the file: a function of raw columns
(B, 556) float32 in Kaggle's order, None if the file holds weights alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Optional

Predict = Callable[[Any], Any]
Reader = Callable[[], Optional[Predict]]


def torchscript(parts: Any, path: Path) -> Reader:
    from leapkit.exports import contracts, physical, torchscript

    network = physical.physical_network(parts, contracts.KAGGLE)
    torchscript.write(path, network, len(contracts.KAGGLE.inputs), {})
    return lambda: _of_tensors(torchscript.read(path))


def _of_tensors(module: Any) -> Predict:
    import torch

    def predict(x: Any) -> Any:
        with torch.no_grad():
            return module(torch.from_numpy(x)).numpy()

    return predict


WRITERS: Dict[str, Callable[[Any, Path], Reader]] = {"torchscript": torchscript}
