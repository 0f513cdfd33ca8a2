"""Write an emulator in a format, and read it as its users do: for benchmarks.exports.

Each writer takes the parts and a path, and returns what loads the file: a function of raw columns
(B, 556) float32 in Kaggle's order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

Predict = Callable[[Any], Any]
Reader = Callable[[], Predict]


def torchscript(parts: Any, path: Path) -> Reader:
    from leapkit.exports import contracts, physical, torchscript
    from leapkit.nets.mamba import scan_by_level

    network = physical.physical_network(
        parts, contracts.KAGGLE, scan=torchscript.scripted(scan_by_level)
    )
    torchscript.write(path, network, len(contracts.KAGGLE.inputs), {})
    return lambda: _of_tensors(torchscript.read(path))


def pt2(parts: Any, path: Path) -> Reader:
    from leapkit.exports import contracts, physical, programs

    programs.require_exporter()
    network = physical.physical_network(parts, contracts.KAGGLE)
    programs.write(path, network, len(contracts.KAGGLE.inputs), {})
    return lambda: _of_tensors(programs.read(path))


def onnx(parts: Any, path: Path) -> Reader:
    from leapkit.exports import contracts, onnx_files, physical

    onnx_files.require_possible(parts.file_bytes)
    network = physical.physical_network(parts, contracts.KAGGLE)
    onnx_files.write(path, network, len(contracts.KAGGLE.inputs), {})
    return lambda: _of_session(path)


def safetensors(parts: Any, path: Path) -> Reader:
    from leapkit.emulators import packed
    from leapkit.emulators.emulator import Emulator

    packed.write(path, parts, {})

    def read() -> Predict:
        emulator = Emulator(packed.read(path), "cpu")
        return lambda x: emulator.predict(x, check=False)

    return read


def _of_tensors(module: Any) -> Predict:
    import torch

    def predict(x: Any) -> Any:
        with torch.no_grad():
            return module(torch.from_numpy(x)).numpy()

    return predict


def _of_session(path: Path) -> Predict:
    """Return the network of an ONNX file in onnxruntime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


WRITERS: Dict[str, Callable[[Any, Path], Reader]] = {
    "torchscript": torchscript,
    "pt2": pt2,
    "onnx": onnx,
    "safetensors": safetensors,
}
