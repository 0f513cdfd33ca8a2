"""From a checkpoint and the test set to a verified, receipted submission parquet.

Predictions are appended to a scratch file in whole batches, so that a killed run goes on where it was; the parquet is
written from that file, verified under a temporary name and renamed. The member gives it its receipt last of all.
"""
from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import numpy as np
import torch
from torch import nn

from leapkit import submission
from leapkit.columns import TARGETS
from leapkit.errors import KitError, explain_os_errors
from leapkit.files import atomic, require_free
from leapkit.prepared import TestSet
from leapkit.progress import progress
from leapkit.statistics import Statistics
from leapkit.training import predict

_ROW = 4 * len(TARGETS)
_SAVE_EVERY = 1 << 16  # rows between two points that a killed run can go on from


def predictions(network: nn.Module, test: TestSet, batch: int, scratch: Path, device: torch.device) -> np.ndarray:
    """(N, 368) float32 predictions, standardised, network order, as a read-only map of `scratch`.

    Goes on with what `scratch` holds already. The caller names it after everything that decides its content.
    """
    count = len(test.ids)
    require_free(scratch, count * _ROW, "the predictions")
    with explain_os_errors(scratch), open(scratch, "ab") as handle:
        done = handle.tell() // _ROW
        done = count if done >= count else done - done % batch  # the same batches whether interrupted or not
        handle.truncate(done * _ROW)
        since = 0
        with progress(total=count, initial=done, desc="predicting", unit="row") as bar:
            for block in predict(network, test.inputs[done:], batch, device):
                if not np.isfinite(block).all():
                    raise KitError("the network's output is NaN or infinite", "inference",
                                   "check the checkpoint and test.csv for odd values")
                handle.write(block.tobytes())
                bar.update(len(block))
                since += len(block)
                if since >= _SAVE_EVERY:
                    handle.flush()
                    os.fsync(handle.fileno())
                    since = 0
    return np.memmap(str(scratch), dtype=np.float32, mode="r").reshape(-1, len(TARGETS))


def write_submission(path: Path, z: np.ndarray, test: TestSet, statistics: Statistics) -> None:
    """Writes, verifies and renames a member's parquet from network output z (N, 368) float32."""
    def blocks() -> Iterator[np.ndarray]:
        for at in range(0, len(z), submission.ROW_GROUP):
            here = slice(at, at + submission.ROW_GROUP)
            yield statistics.raw(np.asarray(z[here]), np.asarray(test.q0002[here]))

    with atomic(path) as temporary:
        submission.write(temporary, test.ids, blocks())
        submission.verify(temporary, test.ids, test.q0002, name=path)
