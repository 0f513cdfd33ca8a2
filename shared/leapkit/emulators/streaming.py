"""Predictions of any number of rows into a scratch file: in bounded memory, continued after a stop.

Rows go through the network in whole batches across the borders of files, as those of test.csv do
(leapkit.run.inference), so that the same columns get the same bits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import numpy as np

from leapkit.core import pauses
from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import sync
from leapkit.core.layout import progress_path
from leapkit.data.progress import progress
from leapkit.emulators.sources import BlockRows

ROW_BYTES = 8 * len(TARGETS)
Predict = Callable[[np.ndarray], np.ndarray]  # (n, 556) raw float64 -> (n, 368) raw float64


def predictions(rows: BlockRows, predict: Predict, scratch: Path, chunk: int) -> np.ndarray:
    """Return the predictions as a read-only map of the file `scratch`, (N, 368) float64, raw.

    chunk  rows that are read and written at a time: a multiple of the batch
    Continues after the whole chunks that `scratch` holds. The caller names that file after all that
    decides its content. Raises KitError if the disk is full, an input cannot be read or an output
    is not finite, and Paused if a pause was asked for.
    """
    count = len(rows)
    with explain_os_errors(scratch), open(scratch, "ab") as handle:
        done = handle.tell() // ROW_BYTES
        done = count if done >= count else done - done % chunk
        handle.truncate(done * ROW_BYTES)
        with progress(
            record=progress_path(scratch),
            total=count,
            initial=done,
            desc="predicting",
            unit="row",
        ) as bar:
            for start in range(done, count, chunk):
                stop = min(start + chunk, count)
                y = predict(rows.read(start, stop))
                _require_finite(y, start)
                handle.write(np.ascontiguousarray(y, dtype=np.float64).data)
                handle.flush()
                sync(handle.fileno())
                bar.update(stop - start)
                if pauses.requested() and stop < count:
                    raise pauses.Paused
    shape = (count, len(TARGETS))
    return np.memmap(str(scratch), dtype=np.float64, mode="r", shape=shape)


def _require_finite(y: np.ndarray, start: int) -> None:
    if not np.isfinite(y).all():
        row = start + int(np.argwhere(~np.isfinite(y))[0][0])
        raise KitError(
            f"the prediction of row {row} is NaN or infinite",
            "prediction",
            "check the checkpoint, and that row of the inputs for unusual values",
        )
