"""From checkpoints and the test set to predictions and a verified submission parquet.

Predictions are appended to a scratch file in whole chunks, so that a killed run continues where it
was. The parquet is written from that file, verified under a temporary name and renamed.
leapkit.run.prediction writes its receipt.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Generator, Iterator, Sequence, Union

import numpy as np
import torch
from torch import nn

from leapkit.core import pauses
from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import atomic, require_free, sha256, sync
from leapkit.core.layout import progress_path
from leapkit.data import checkpoints, submission
from leapkit.data.inference_set import InferenceSet, LazyRows
from leapkit.data.progress import progress
from leapkit.data.scaling import Scaling
from leapkit.run.batches import Outputs, Tensors, on_device

_ROW_BYTES = 4 * len(TARGETS)
# Rows of a chunk. On a GPU: 240 MB of inputs and predictions. On a CPU a thousand rows take so long
# that reading weights costs nothing beside them, and a killed run loses little.
_GPU_CHUNK = 1 << 16
_CPU_CHUNK = 1 << 10


@dataclass(frozen=True)
class GroupCheckpoint:
    """A checkpoint, and the targets (network order) that are taken from its predictions."""

    path: Path
    targets: slice


def predict_chunks(
    network: nn.Module,
    group_checkpoints: Sequence[GroupCheckpoint],
    inputs: Union[np.ndarray, LazyRows],
    batch: int,
    device: torch.device,
    start: int = 0,
) -> Iterator[np.ndarray]:
    """Yield (n, 368) float32 predictions of the rows from `start` on, standardised, network order.

    For each chunk, each group's checkpoint is loaded in turn into the one network, and only that
    group's targets are kept. So the inputs are read once and one network is in memory; a GPU keeps
    the weights of all, as reading them would take longer than its passes. Batches are those of
    seven separate passes.
    """
    largest = _CPU_CHUNK if device.type == "cpu" else _GPU_CHUNK
    on_gpu: Dict[Path, Dict[str, torch.Tensor]] = {}
    chunk_rows = batch * max(1, largest // batch)
    for first in range(start, len(inputs), chunk_rows):
        chunk = np.array(inputs[first : first + chunk_rows])
        predictions = np.empty((len(chunk), len(TARGETS)), dtype=np.float32)
        for checkpoint in group_checkpoints:
            if checkpoint.path in on_gpu:
                network.load_state_dict(on_gpu[checkpoint.path])
            elif first == start or len(group_checkpoints) > 1:
                load(network, checkpoint.path)
                if device.type != "cpu" and len(group_checkpoints) > 1:
                    state = network.state_dict()
                    on_gpu[checkpoint.path] = {name: state[name].clone() for name in state}
            row = 0
            for block in predict(network, chunk, batch, device):
                rows = slice(row, row + len(block))
                predictions[rows, checkpoint.targets] = block[:, checkpoint.targets]
                row += len(block)
        yield predictions


def predict(
    network: nn.Module, inputs: np.ndarray, batch: int, device: torch.device
) -> Iterator[np.ndarray]:
    """Yield predictions in order, `batch` rows at a time.

    inputs  (N, 556) float32, standardised, network order
    yields  (n, 368) float32, standardised, network order
    """
    network.eval()
    outputs = Outputs(device)
    batches = on_device(_host_batches(inputs, batch), device)
    with contextlib.closing(batches), torch.no_grad():
        passes = (outputs.begin(network(x).float()) for (x,) in batches)
        for arrived in outputs.one_behind(passes):
            yield arrived()


def _host_batches(inputs: np.ndarray, batch: int) -> Generator[Tensors, None, None]:
    for start in range(0, len(inputs), batch):
        # A copy: memory-mapped inputs are read-only, and torch wants memory that it may write to.
        yield (torch.from_numpy(np.array(inputs[start : start + batch])),)


def load(network: nn.Module, checkpoint: Path) -> str:
    """Load a checkpoint into `network`; return the prefix of its tensors' names: `module.` or "".

    Raises KitError if the file is damaged, hostile, or of another network.
    """
    prefix, tensors = checkpoints.read_state(checkpoint)
    checkpoints.load_into(network, tensors, checkpoint)
    return prefix


def predictions(
    network: nn.Module,
    group_checkpoints: Sequence[GroupCheckpoint],
    test_set: InferenceSet,
    batch: int,
    scratch: Path,
    device: torch.device,
) -> np.ndarray:
    """Return the predictions of the test set as a read-only map of the file `scratch`.

    They are (N, 368) float32, standardised, network order.

    Continues after the whole batches that `scratch` already holds. The caller names that file after
    everything that decides its content. Raises KitError if the disk is full or an output is not
    finite.
    """
    count = len(test_set.ids)
    require_free(scratch, count * _ROW_BYTES, "the predictions")
    with explain_os_errors(scratch), open(scratch, "ab") as handle:
        done = _whole_batches(handle.tell() // _ROW_BYTES, count, batch)
        handle.truncate(done * _ROW_BYTES)
        with progress(
            record=progress_path(scratch),
            total=count,
            initial=done,
            desc="predicting",
            unit="row",
        ) as bar:
            for chunk in predict_chunks(
                network, group_checkpoints, test_set.inputs, batch, device, done
            ):
                if not np.isfinite(chunk).all():
                    raise KitError(
                        "the network's output is NaN or infinite",
                        "inference",
                        "check the checkpoint, and test.csv for unusual values",
                    )
                handle.write(chunk.tobytes())
                handle.flush()
                sync(handle.fileno())
                bar.update(len(chunk))
                if pauses.requested():
                    raise pauses.Paused
    return np.memmap(str(scratch), dtype=np.float32, mode="r").reshape(-1, len(TARGETS))


def _whole_batches(rows: int, count: int, batch: int) -> int:
    """Return how many of the rows in a scratch file count as predicted.

    Half a batch does not: the batches are then the same whether the run was interrupted or not.
    """
    return count if rows >= count else rows - rows % batch


def write_submission(path: Path, z: np.ndarray, test_set: InferenceSet, scaling: Scaling) -> str:
    """Write, verify and rename an experiment's parquet; return the sha256 of what was verified.

    z  (N, 368) float32 network output, standardised, network order
    """

    def raw_chunks() -> Iterator[np.ndarray]:
        for start in range(0, len(z), submission.ROW_GROUP):
            rows = slice(start, start + submission.ROW_GROUP)
            yield scaling.raw(np.asarray(z[rows]), np.asarray(test_set.q0002[rows]))

    with atomic(path) as temporary:
        submission.write(temporary, test_set.ids, raw_chunks())
        submission.verify(temporary, test_set.ids, test_set.q0002, name=path)
        return sha256(temporary)
