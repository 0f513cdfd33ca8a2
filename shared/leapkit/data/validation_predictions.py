"""Validation predictions: (N, targets) float32, standardised, network order, in a .npy file."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterable

import numpy as np

from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY, rename_whole


class PredictionsWriter:
    """Writes predictions under a temporary name; without `keep` the file is removed at the end."""

    def __init__(self, path: Path, rows: int, targets: slice) -> None:
        self._path = path
        self._temporary = path.with_name(TEMPORARY + path.name)
        self._targets = targets
        self._shape = (rows, targets.stop - targets.start)
        self._added = 0

    def __enter__(self) -> PredictionsWriter:
        with explain_os_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._temporary.unlink()  # perhaps another name of a file that must stay as it is
            self._handle = open(self._temporary, "wb")
            # As np.save, whose own error does not say that the disk is full.
            np.lib.format.write_array_header_1_0(
                self._handle, {"descr": "<f4", "fortran_order": False, "shape": self._shape}
            )
        return self

    def add(self, block: np.ndarray) -> None:
        """Add the next rows: block (n, 368) float32."""
        self._added += len(block)
        with explain_os_errors(self._path):
            self._handle.write(np.ascontiguousarray(block[:, self._targets], dtype=np.float32).data)

    def keep(self) -> None:
        """Give the file its name, after its content is on disk.

        Raises ValueError if another number of rows was added.
        """
        if self._added != self._shape[0]:
            what = f"{self._added} of {self._shape[0]} rows of {self._path} were added"
            raise ValueError(what)
        with explain_os_errors(self._path):
            self._handle.flush()
            rename_whole(self._temporary, self._path)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._handle.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink()


def save(path: Path, rows: int, width: int, blocks: Iterable[np.ndarray]) -> None:
    """Write a whole file from blocks (n, width)."""
    with PredictionsWriter(path, rows, slice(0, width)) as out:
        for block in blocks:
            out.add(block)
        out.keep()


def read(path: Path) -> np.ndarray:
    """Return (N, targets) float32, mapped: read-only, loaded as it is used. Raises KitError."""
    with explain_os_errors(path):
        try:
            predictions: np.ndarray = np.load(str(path), mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            remedy = "remove it and run `make reproduce` again"
            raise KitError("is cut off, or not an array", path, remedy) from error
    return predictions


def row_slices(count: int, rows: int = 8192) -> Iterable[slice]:
    """Return slices of at most `rows` rows that together are all of `count`."""
    return (slice(start, min(start + rows, count)) for start in range(0, count, rows))
