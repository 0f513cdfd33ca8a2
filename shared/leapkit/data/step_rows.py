"""Selects training rows from step files and reads them, standardised, one pair at a time.

Nothing is stored: a pair's rows are read, standardised in float64 and cast once at every use. A
converted copy would have to be read faster than the step files are (`make bench`) to pay for 600 GB
more on disk, which could also be stale.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Dict, List, Mapping, Optional, Sequence

import numpy as np

from leapkit.core.errors import KitError
from leapkit.core.recipes import RowSelection
from leapkit.core.step_files import StepPair, steps_of
from leapkit.data.row_index import REMEDY
from leapkit.data.scaling import Scaling
from leapkit.data.step_file import lowest_precision
from leapkit.data.step_reader import StepReader, grid_columns

MonthIndex = Mapping[str, np.ndarray]  # month -> row numbers, 384 * step + column


class StepRows:
    """The selected rows of step pairs, pair by pair, for any number of threads.

    counts  (P,) selected rows of each pair
    """

    def __init__(
        self,
        pairs: Sequence[StepPair],
        scaling: Scaling,
        rows: Optional[RowSelection] = None,
        index: Optional[MonthIndex] = None,
        accept_float32: bool = False,
    ) -> None:
        self.pairs = pairs
        self.scaling = scaling
        self._selection = rows or RowSelection()
        self._index = index or {}
        self._columns = grid_columns(pairs[0])
        self._selected = selected_rows(pairs, self._columns, self._selection, self._index)
        self.counts = (
            np.full(len(pairs), self._columns)
            if self._selected is None
            else self._selected.sum(axis=1)
        )
        self._accept_float32 = accept_float32
        self._readers: List[StepReader] = []  # one per thread
        self._thread = threading.local()

    def read(self, pair: int, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Write a pair's rows into inputs (n, 556) and targets (n, 368).

        float32, standardised, network order. Raises KitError for a damaged file.
        """
        if not hasattr(self._thread, "reader"):
            self._thread.reader = StepReader(self._accept_float32)
            self._readers.append(self._thread.reader)
        x, y = self._thread.reader.levels(self.pairs[pair], self._columns)
        if self._selected is not None:
            x, y = x[:, self._selected[pair]], y[:, self._selected[pair]]
        self.scaling.standardise_by_level(x, y, inputs, targets)

    @property
    def precision(self) -> str:
        """What the files read so far hold: float32 if one of them does, else float64."""
        return lowest_precision(reader.precision for reader in self._readers)

    def used(self) -> Dict[str, str]:
        """Return what of each month is used, for people and receipts.

        {'0008-01': '744 of 2232 steps, 65 % of the rows by seed 1103'}
        """
        texts = {}
        for month, steps in sorted(Counter(pair.month for pair in self.pairs).items()):
            texts[month] = f"{steps} of {steps_of(month)} steps"
            if self._selection.fraction != 1:
                by = f"seed {self._selection.seed}"
                if uses_index(month, steps, self._index):
                    by = "the team's index"
                texts[month] += f", {100 * self._selection.fraction:g} % of the rows by {by}"
        return texts


def selected_rows(
    pairs: Sequence[StepPair], columns: int, rows: RowSelection, index: MonthIndex
) -> Optional[np.ndarray]:
    """Return (P, columns) bool: a share of each month's rows, without replacement; None for all.

    The team's own index is used for whole months, whose rows it numbers. For the others as many
    rows as it would have are drawn from (seed, month) alone, so that the selection does not depend
    on which other months exist (docs/reference/data_pipeline.md, "Row index"). Raises KitError if
    an index does not fit a month.
    """
    if rows.fraction == 1:
        return None
    selected = np.zeros((len(pairs), columns), dtype=bool)
    months = np.array([pair.month for pair in pairs])
    for month in sorted(set(months.tolist())):
        month_pairs = np.flatnonzero(months == month)
        total = len(month_pairs) * columns
        mask = np.zeros(total, dtype=bool)
        if uses_index(month, len(month_pairs), index):
            mask[_checked(index[month], total, month)] = True
        else:
            random = np.random.RandomState([rows.seed, int(month.replace("-", ""))])
            mask[random.permutation(total)[: int(rows.fraction * total)]] = True
        selected[month_pairs] = mask.reshape(len(month_pairs), columns)
    return selected


def uses_index(month: str, steps: int, index: MonthIndex) -> bool:
    return month in index and steps == steps_of(month)


def _checked(numbers: np.ndarray, total: int, month: str) -> np.ndarray:
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < total:
        raise KitError(f"names a row beyond the {total} of {month}", "v3_index.pt", REMEDY)
    return numbers
