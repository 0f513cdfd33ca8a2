"""Out-of-fold predictions: (N, columns) float32, standardised, network order, as .npy, written as a stream."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterable

import numpy as np

from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY, rename_whole


class PredictionsWriter:
    """Predictions on their way to a file: under a temporary name until they are kept, gone when they are not."""

    def __init__(self, path: Path, rows: int, columns: slice) -> None:
        self._path, self._temporary = path, path.with_name(TEMPORARY + path.name)
        self._shape, self._columns, self._added = (rows, columns.stop - columns.start), columns, 0

    def __enter__(self) -> PredictionsWriter:
        with explain_os_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._temporary.unlink()  # perhaps another name of a file that must stay as it is
            self._handle = open(self._temporary, "wb")
            # As np.save, whose own write does not say that it was the disk that is full.
            np.lib.format.write_array_header_1_0(
                self._handle, {"descr": "<f4", "fortran_order": False, "shape": self._shape}
            )
        return self

    def add(self, block: np.ndarray) -> None:
        """block (n, 368) float32: the next rows."""
        self._added += len(block)
        with explain_os_errors(self._path):
            self._handle.write(np.ascontiguousarray(block[:, self._columns], dtype=np.float32).data)

    def keep(self) -> None:
        """Gives what was added its name, on disk before the name is. Raises ValueError for another number of rows."""
        if self._added != self._shape[0]:
            raise ValueError(
                "%d of %d rows of %s were added" % (self._added, self._shape[0], self._path)
            )
        with explain_os_errors(self._path):
            self._handle.flush()
            rename_whole(self._temporary, self._path)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._handle.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink()


def save(path: Path, rows: int, width: int, blocks: Iterable[np.ndarray]) -> None:
    """All at once from blocks (n, width)."""
    with PredictionsWriter(path, rows, slice(0, width)) as out:
        for block in blocks:
            out.add(block)
        out.keep()


def read(path: Path) -> np.ndarray:
    """(N, columns) float32, mapped: read only and as it is needed."""
    with explain_os_errors(path):
        try:
            found: np.ndarray = np.load(str(path), mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise KitError(
                "is cut off, or no array", path, "remove it and run `make reproduce` again"
            ) from error
    return found


def stretches(count: int, rows: int = 8192) -> Iterable[slice]:
    """Slices of so many rows that together are all of `count`."""
    return (slice(at, min(at + rows, count)) for at in range(0, count, rows))
