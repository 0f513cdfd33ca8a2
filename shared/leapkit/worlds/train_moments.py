"""Both families' moments of train.csv, from chunks of its rows that any worker may measure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, Iterable, Iterator, List

import numpy as np

from leapkit.core.columns import INPUTS, TARGETS
from leapkit.data.moments import Moments, moments_of
from leapkit.data.scaling import CHUNK_ROWS, FAMILIES

VARIABLES = len(INPUTS) + len(TARGETS)


@dataclass(frozen=True)
class TrainMoments:
    """Both families' moments of the rows of train.csv so far: each chunk's, merged in file order.

    A chunk's moments depend on its rows alone. So the result is the same to the last bit for any
    number of workers, whichever ends first and wherever the work was interrupted.
    """

    families: Dict[str, Moments] = field(
        default_factory=lambda: {name: Moments(VARIABLES) for name in FAMILIES}
    )

    def updated_with(self, chunk: Moments) -> TrainMoments:
        """Return a copy that includes the next chunk, for each family that takes these rows.

        A chunk has CHUNK_ROWS rows, fewer only at the end of the file.
        """
        families = {}
        for name, moments in self.families.items():
            takes = moments.count + chunk.count <= (FAMILIES[name].first_rows or math.inf)
            families[name] = moments.merged(chunk) if takes else moments
        return TrainMoments(families)


def chunk_moments(rows: np.ndarray) -> Moments:
    """Return the moments of one chunk (n, 924).

    The rows are brought one after the other in memory, as the order of the sums follows it.
    """
    return moments_of([np.ascontiguousarray(rows, dtype=np.float64)], VARIABLES)


def iter_row_chunks(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the rows of (n, columns) blocks, CHUNK_ROWS at a time, at the end fewer."""
    pending: List[np.ndarray] = []
    for block in blocks:
        pending.append(block)
        if sum(map(len, pending)) >= CHUNK_ROWS:
            rows = np.concatenate(pending)
            whole = len(rows) - len(rows) % CHUNK_ROWS
            for start in range(0, whole, CHUNK_ROWS):
                yield rows[start : start + CHUNK_ROWS]
            pending = [rows[whole:]]
    rest = [block for block in pending if len(block)]
    if rest:
        yield np.concatenate(rest)
