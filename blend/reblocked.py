"""A stream of rows in blocks of any size, taken in other sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, List, Sequence, Tuple

import numpy as np

from leapkit.core.errors import KitError
from leapkit.data.csv_checks import REMEDY
from leapkit.data.id_checker import require_ids


class Reblocked:
    """Re-blocks a stream of (ids, values).

    `take(ids)` returns exactly the rows of `ids` and checks their order.

    path  the file that the stream comes from, for error messages
    """

    def __init__(self, path: Path, blocks: Iterable[Tuple[List[str], np.ndarray]]) -> None:
        self._path = path
        self._blocks = iter(blocks)
        self._ids: List[str] = []
        self._values = np.empty((0, 0))

    def take(self, ids: Sequence[str]) -> np.ndarray:
        """Return (n, values) of the next n rows. Raises KitError unless they have these ids."""
        taken: List[np.ndarray] = []
        start = 0
        while start < len(ids):
            if not self._ids:
                self._ids, self._values = next(self._blocks, ([], self._values))
                if not self._ids:
                    raise KitError("has fewer rows than sample_submission.csv", self._path, REMEDY)
            count = min(len(ids) - start, len(self._ids))
            expected = list(ids[start : start + count])
            require_ids(self._ids[:count], expected, start, self._path, REMEDY)
            taken.append(self._values[:count])
            self._ids = self._ids[count:]
            self._values = self._values[count:]
            start += count
        return np.concatenate(taken)
