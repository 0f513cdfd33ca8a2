"""Validation rows as the network sees them, step by step: predictions, blend, inputs and truth."""

from __future__ import annotations

from typing import Dict, Iterator, NamedTuple, Sequence

import numpy as np

from blend.gram import time_folds
from blend.validation import ValidationPredictions, rows_of_steps
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.step_files import StepPair
from leapkit.data.step_rows import StepRows
from stacking.units import Unit

POOL = 24  # steps that are in memory and mixed together: 0.25 GB of sixteen networks


class Rows(NamedTuple):
    """Some rows: standardised, network order, float32.

    members (n, M, 368), blend (n, 368), inputs (n, 556), truth (n, 368)
    """

    members: np.ndarray
    blend: np.ndarray
    inputs: np.ndarray
    truth: np.ndarray

    def taken(self, rows: np.ndarray) -> Rows:
        return Rows(*(part[rows] for part in self))


class ValidationRows:
    """The rows of the validation steps, each with its fold.

    weights  (M, 368) float64, Kaggle order: the blend's
    folds    the fold of every step: its month, or a run of steps if there are few months
    Raises KitError if a network has another number of rows.
    """

    def __init__(
        self,
        pairs: Sequence[StepPair],
        members: Sequence[ValidationPredictions],
        weights: np.ndarray,
        unit: Unit,
    ) -> None:
        self._places = [rows for _, rows in rows_of_steps(pairs, members)]
        self._members = members
        self._weights = weights
        self.unit = unit
        # Step files in float32 were accepted, and recorded, where the members trained.
        self._steps = StepRows(pairs, unit.scaling, accept_float32=True)
        self.folds = time_folds([pair.month for pair in pairs])
        self._kept: Dict[int, Rows] = {}

    def __len__(self) -> int:
        return int(self._steps.counts.sum())

    @property
    def names(self) -> Sequence[str]:
        """The names of the folds, in order of time."""
        return list(dict.fromkeys(self.folds))

    def steps_of(self, fold: str, others: bool = False) -> Sequence[int]:
        """Return the steps of a fold, or those of all others."""
        return [step for step, name in enumerate(self.folds) if (name == fold) != others]

    def place(self, step: int) -> slice:
        """Return where a step's rows are among all."""
        return self._places[step]

    def read(self, step: int) -> Rows:
        """Return the rows of a step. A world of few steps is kept in memory."""
        if step in self._kept:
            return self._kept[step]
        place = self._places[step]
        count = place.stop - place.start
        members = np.empty((count, len(self._members), len(TARGETS)), np.float32)
        blend = np.zeros((count, len(TARGETS)))
        for k, member in enumerate(self._members):
            weighted = member.weighted(place)
            blend += self._weights[k] * weighted
            members[:, k] = self.unit.of_weighted(weighted)
        inputs = np.empty((count, len(INPUTS)), np.float32)
        truth = np.empty((count, len(TARGETS)), np.float32)
        self._steps.read(step, inputs, truth)
        rows = Rows(members, self.unit.of_weighted(blend), inputs, truth)
        if len(self.folds) <= POOL:
            self._kept[step] = rows
        return rows

    def batches(self, steps: Sequence[int], batch: int, seed: int, epoch: int) -> Iterator[Rows]:
        """Yield all rows of some steps once, shuffled: a function of (seed, epoch).

        Steps are permuted, and the rows of POOL of them are mixed. Batches of a pool are as equal
        as they can be, of `batch` rows or a little more.
        """
        random = np.random.RandomState([seed, epoch])
        order = random.permutation(np.asarray(steps))
        for start in range(0, len(order), POOL):
            read = [self.read(int(step)) for step in order[start : start + POOL]]
            pool = Rows(*(np.concatenate(parts) for parts in zip(*read)))
            rows = random.permutation(len(pool.truth))
            for chosen in np.array_split(rows, max(1, len(rows) // batch)):
                yield pool.taken(chosen)
