"""From checkpoints and the test set to a verified, receipted submission parquet.

Predictions are appended to a scratch file in whole stretches, so that a killed run goes on where it was; the parquet is
written from that file, verified under a temporary name and renamed. The member gives it its receipt last of all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence, Union

import numpy as np
import torch
from torch import nn

from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import atomic, require_free
from leapkit.data import checkpoints, submission
from leapkit.data.inference_set import InferenceSet, LazyRows
from leapkit.data.progress import progress
from leapkit.data.scaling import Scaling

_ROW = 4 * len(TARGETS)
_STRETCH = 1 << 16  # rows, on a GPU: 240 MB of inputs and predictions


@dataclass(frozen=True)
class Weights:
    """A checkpoint and the targets (network order) that are taken from its predictions."""

    checkpoint: Path
    columns: slice


def predict_parts(
    network: nn.Module,
    parts: Sequence[Weights],
    inputs: Union[np.ndarray, LazyRows],
    batch: int,
    device: torch.device,
    start: int = 0,
) -> Iterator[np.ndarray]:
    """Yields (n, 368) float32 predictions of the rows from `start` on; every part's network fills its own columns.

    One pass over the inputs, one network in memory: at each stretch of rows its weights are exchanged, seven times for
    seven checkpoints, which costs what reading them does. Batches are those of seven separate passes.
    """
    # On a CPU a thousand rows take so long that reading weights is nothing beside it, and a point to go on from is welcome.
    stretch = batch * max(1, (1024 if device.type == "cpu" else _STRETCH) // batch)
    for at in range(start, len(inputs), stretch):
        here = np.array(inputs[at : at + stretch])
        filled = np.empty((len(here), len(TARGETS)), dtype=np.float32)
        for part in parts:
            if at == start or len(parts) > 1:
                load(network, part.checkpoint)
            row = 0
            for block in predict(network, here, batch, device):
                filled[row : row + len(block), part.columns] = block[:, part.columns]
                row += len(block)
        yield filled


def predict(
    network: nn.Module, inputs: np.ndarray, batch: int, device: torch.device
) -> Iterator[np.ndarray]:
    """Yields (n, 368) float32 predictions, standardised, network order, `batch` rows at a time, in order."""
    network.eval()
    with torch.no_grad():
        for at in range(0, len(inputs), batch):
            # A copy: memory-mapped inputs are read only, and torch wants memory that it may own.
            block = torch.from_numpy(np.array(inputs[at : at + batch])).to(device)
            yield network(block).float().cpu().numpy()


def load(network: nn.Module, checkpoint: Path) -> str:
    """Strict; returns the prefix of the tensors' names in the file.

    Raises KitError for a checkpoint that is missing, damaged, hostile or another network's.
    """
    prefix, tensors = checkpoints.read_state(checkpoint)
    checkpoints.load_into(network, tensors, checkpoint)
    return prefix


def predictions(
    network: nn.Module,
    parts: Sequence[Weights],
    test: InferenceSet,
    batch: int,
    scratch: Path,
    device: torch.device,
) -> np.ndarray:
    """(N, 368) float32 predictions, standardised, network order, as a read-only map of `scratch`.

    Goes on with what `scratch` holds already. The caller names it after everything that decides its content.
    """
    count = len(test.ids)
    require_free(scratch, count * _ROW, "the predictions")
    with explain_os_errors(scratch), open(scratch, "ab") as handle:
        done = handle.tell() // _ROW
        done = (
            count if done >= count else done - done % batch
        )  # the same batches whether interrupted or not
        handle.truncate(done * _ROW)
        with progress(total=count, initial=done, desc="predicting", unit="row") as bar:
            for block in predict_parts(network, parts, test.inputs, batch, device, done):
                if not np.isfinite(block).all():
                    raise KitError(
                        "the network's output is NaN or infinite",
                        "inference",
                        "check the checkpoint and test.csv for odd values",
                    )
                handle.write(block.tobytes())
                handle.flush()
                os.fsync(handle.fileno())
                bar.update(len(block))
    return np.memmap(str(scratch), dtype=np.float32, mode="r").reshape(-1, len(TARGETS))


def write_submission(path: Path, z: np.ndarray, test: InferenceSet, statistics: Scaling) -> None:
    """Writes, verifies and renames a member's parquet from network output z (N, 368) float32."""

    def blocks() -> Iterator[np.ndarray]:
        for at in range(0, len(z), submission.ROW_GROUP):
            here = slice(at, at + submission.ROW_GROUP)
            yield statistics.raw(np.asarray(z[here]), np.asarray(test.q0002[here]))

    with atomic(path) as temporary:
        submission.write(temporary, test.ids, blocks())
        submission.verify(temporary, test.ids, test.q0002, name=path)
