"""What a source of columns is: rows for the networks, and blocks of a data set for the product.

A block is read twice: before the networks, and when the product is made of their results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Dict, Iterator, Optional, Tuple

import numpy as np

from leapkit.core.columns import INPUTS
from leapkit.emulators import datasets

if TYPE_CHECKING:
    import xarray

ROWS_AT_A_TIME = 1 << 10  # of a source, about
MOST_ROWS = 1 << 17  # of a block


class BlockRows:
    """Rows that are read when they are asked for, block by block; the last block is kept.

    count      all rows
    per_block  rows of each block but the last
    load       returns a block's rows, (n, 556) float64 raw, Kaggle order
    """

    def __init__(self, count: int, per_block: int, load: Callable[[int], np.ndarray]) -> None:
        self._count = count
        self._per_block = per_block
        self._load = load
        self._last: Tuple[Optional[int], np.ndarray] = (None, np.empty((0, len(INPUTS))))

    def __len__(self) -> int:
        return self._count

    def block(self, number: int) -> np.ndarray:
        """Return the rows of a block."""
        if self._last[0] != number:
            self._last = (number, self._load(number))
        return self._last[1]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return (stop - start, 556) float64 raw, Kaggle order."""
        first, last = start // self._per_block, -(-stop // self._per_block)
        rows = np.concatenate([self.block(number) for number in range(first, last)])
        return rows[start - first * self._per_block : stop - first * self._per_block]


class Source:
    """Columns that lie along a dimension of a data set.

    dimension  its name
    size       its length
    rows       all columns as rows, in the order of the dimension
    """

    dimension: str
    size: int
    rows: BlockRows

    def blocks(self) -> Iterator[xarray.Dataset]:
        """Yield the inputs of some columns at a time, in the order of the rows."""
        raise NotImplementedError


def outputs(source: Source, y: np.ndarray, attributes: Dict[str, str]) -> Iterator[xarray.Dataset]:
    """Yield the predictions of each block of a source, with its coordinates.

    y  (N, 368) float64 raw, Kaggle order, of the source's rows
    """
    done = 0

    def following(x: np.ndarray) -> np.ndarray:
        nonlocal done
        done += len(x)
        return np.asarray(y[done - len(x) : done])

    for block in source.blocks():
        yield datasets.mapped(block, following, MOST_ROWS, attributes)
