"""Validation predictions: (N, targets) float32, standardised, network order, in a .npy file."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Iterable, Optional, Tuple

import numpy as np

from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY, rename_whole
from leapkit.core.hash_index import HashIndex


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


class OpenedPredictions:
    """The predictions (N, width) of a file that is opened once, and read a slice at a time.

    It is not mapped: the pages of a map would count as memory. Raises KitError if the file holds no
    such array of float32.
    """

    def __init__(self, path: Path, remedy: str) -> None:
        self._path = path
        self._remedy = remedy
        with explain_os_errors(path, remedy):
            self._file = open(path, "rb", buffering=0)
            size = os.fstat(self._file.fileno()).st_size
            try:
                version = np.lib.format.read_magic(self._file)
                shape, by_column, dtype = np.lib.format.read_array_header_1_0(self._file)
            except (ValueError, EOFError) as error:
                raise KitError("is cut off, or not an array", path, remedy) from error
        self._offset = self._file.tell()
        if version != (1, 0) or len(shape) != 2 or by_column or dtype != np.float32:
            raise KitError("is not an array (rows, targets) of float32", path, remedy)
        self.shape: Tuple[int, int] = shape
        if size != self._offset + 4 * shape[0] * shape[1]:
            raise KitError(f"is cut off, or has more than its {shape[0]} rows", path, remedy)

    def digest(self, index: HashIndex) -> str:
        """Return the sha256 of the file that was opened."""
        return index.of_open(self._file.fileno(), self._path)

    def read(self, rows: slice, out: Optional[np.ndarray] = None) -> np.ndarray:
        """Return (n, width) float32, in `out` if it is given. Threads may read at once."""
        width = self.shape[1]
        block = np.empty((rows.stop - rows.start, width), np.float32) if out is None else out
        start = self._offset + 4 * width * rows.start
        with explain_os_errors(self._path):
            count = os.preadv(self._file.fileno(), [memoryview(block).cast("B")], start)  # type: ignore[arg-type]
        if count != block.nbytes:
            raise KitError("was cut off while it was read", self._path, self._remedy)
        return block


def row_slices(count: int, rows: int = 8192) -> Iterable[slice]:
    """Return slices of at most `rows` rows that together are all of `count`."""
    return (slice(start, min(start + rows, count)) for start in range(0, count, rows))
