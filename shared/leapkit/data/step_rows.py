"""Which rows of the step files are learned from, and each pair's of them as a network wants them.

Nothing is kept: a pair's rows are read, standardised in float64 and cast once whenever they are asked for. Reading the
step files is as fast as reading a converted copy of them from disk would have to be to pay (`make bench`), and there is
no second copy of 600 GB to make, to keep and to find stale.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Dict, Mapping, Optional, Sequence

import numpy as np

from leapkit.core.errors import KitError
from leapkit.core.recipes import RowSelection
from leapkit.core.step_files import StepPair, steps_of
from leapkit.data.scaling import Scaling
from leapkit.data.step_reader import StepReader, grid_columns

MonthIndex = Mapping[str, np.ndarray]  # month -> rows of its array, 384 * step + column


class StepRows:
    """The chosen rows of step pairs, pair by pair, from any number of threads.

    counts  (P,) chosen rows of each pair
    """

    def __init__(
        self,
        pairs: Sequence[StepPair],
        statistics: Scaling,
        rows: Optional[RowSelection] = None,
        index: Optional[MonthIndex] = None,
    ) -> None:
        self.pairs, self.statistics, self._rows, self._index = (
            pairs,
            statistics,
            rows or RowSelection(),
            index or {},
        )
        self._columns = grid_columns(pairs[0])
        self._chosen = chosen_rows(pairs, self._columns, self._rows, self._index)
        self.counts = (
            np.full(len(pairs), self._columns) if self._chosen is None else self._chosen.sum(axis=1)
        )
        self._thread = threading.local()

    def read(self, pair: int, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Writes a pair's rows into inputs (n, 556) and targets (n, 368): float32, standardised, network order.

        Raises KitError for a damaged file.
        """
        if not hasattr(self._thread, "reader"):
            self._thread.reader = StepReader()
        x, y = self._thread.reader.levels(self.pairs[pair], self._columns)
        if self._chosen is not None:
            x, y = x[:, self._chosen[pair]], y[:, self._chosen[pair]]
        self.statistics.levels(x, y, inputs, targets)

    def used(self) -> Dict[str, str]:
        """What of which month, for people and receipts: {'0008-01': '744 of 2232 steps, 65 % of the rows by seed 1103'}."""
        found = {}
        for month, steps in sorted(Counter(pair.month for pair in self.pairs).items()):
            how = (
                ""
                if self._rows.fraction == 1
                else ", {:g} % of the rows by {}".format(
                    100 * self._rows.fraction,
                    "the team's index"
                    if uses_index(month, steps, self._index)
                    else "seed %d" % self._rows.seed,
                )
            )
            found[month] = "%d of %d steps%s" % (steps, steps_of(month), how)
        return found


def chosen_rows(
    pairs: Sequence[StepPair], columns: int, rows: RowSelection, index: MonthIndex
) -> Optional[np.ndarray]:
    """(P, columns) bool: a share of each month's rows, without replacement; None where all are taken.

    The team's own index is used for the months that are whole (it numbers the rows of whole months); for the others as
    many rows as it would have are drawn from (seed, month) alone, so that the choice does not depend on which other
    months there are. Raises KitError where an index does not fit a month.
    """
    if rows.fraction == 1:
        return None
    chosen = np.zeros((len(pairs), columns), dtype=bool)
    months = np.array([pair.month for pair in pairs])
    for month in sorted(set(months.tolist())):
        own = np.flatnonzero(months == month)
        mask, total = np.zeros(len(own) * columns, dtype=bool), len(own) * columns
        if uses_index(month, len(own), index):
            mask[_checked(index[month], total, month)] = True
        else:
            random = np.random.RandomState([rows.seed, int(month.replace("-", ""))])
            mask[random.permutation(total)[: int(rows.fraction * total)]] = True
        chosen[own] = mask.reshape(len(own), columns)
    return chosen


def uses_index(month: str, steps: int, index: MonthIndex) -> bool:
    return month in index and steps == steps_of(month)


def _checked(numbers: np.ndarray, total: int, month: str) -> np.ndarray:
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < total:
        raise KitError(
            "names a row beyond the %d of %s" % (total, month),
            "v3_index.pt",
            "use the team's own file, or remove it: a seeded index of the same size is then drawn",
        )
    return numbers
