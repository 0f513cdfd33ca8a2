"""Step files -> standardised rows in memory, ready for a training loop.

One float32 copy of the rows that are used (3.7 kB each) and nothing else: every pair is read, standardised in float64
and cast once. `require_memory` refuses what would not fit instead of letting the machine swap.
"""
from __future__ import annotations

import os
from dataclasses import dataclass
from typing import List, Sequence

import numpy as np

from leapkit.climsim import StepReader
from leapkit.columns import INPUTS, TARGETS
from leapkit.errors import KitError
from leapkit.experiments import TrainingRows
from leapkit.progress import progress
from leapkit.statistics import Statistics
from leapkit.stepfiles import StepPair

_BYTES_PER_ROW = 4 * (len(INPUTS) + len(TARGETS))


@dataclass(frozen=True)
class Rows:
    """inputs (N, 556) and targets (N, 368), float32, standardised, network order."""

    inputs: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.inputs)


def chosen_rows(pairs: Sequence[StepPair], columns: int, rows: TrainingRows) -> List[np.ndarray]:
    """Which columns of each pair are used: a seeded share of each month's rows, in file order.

    Drawn per month from (seed, month) alone, so the choice does not depend on which other months there are.
    """
    if rows.fraction == 1:
        return [np.arange(columns) for _ in pairs]
    chosen: List[np.ndarray] = []
    for month in sorted({pair.month for pair in pairs}):
        steps = sum(pair.month == month for pair in pairs)
        total = steps * columns
        random = np.random.RandomState([rows.seed, int(month.replace("-", ""))])
        kept = np.sort(random.permutation(total)[:int(rows.fraction * total)])
        for step in range(steps):
            own = kept[(kept >= step * columns) & (kept < (step + 1) * columns)]
            chosen.append(own - step * columns)
    return chosen


def require_memory(count: int, purpose: str) -> None:
    """Raises KitError when `count` rows do not fit into the machine's free memory."""
    try:
        with open("/proc/meminfo") as handle:
            free = next(int(line.split()[1]) * 1024 for line in handle if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    need = count * _BYTES_PER_ROW
    if need > 0.9 * free:
        raise KitError("%s needs %.1f GB of memory and %.1f GB are free" % (purpose, need / 1e9, free / 1e9), "memory",
                       "use fewer months (split.json) or a larger machine")


def load(pairs: Sequence[StepPair], statistics: Statistics, rows: TrainingRows, purpose: str) -> Rows:
    """Reads the chosen rows of all pairs, in the order of the pairs. Raises KitError for a damaged file."""
    reader = StepReader()
    columns = reader.columns(pairs[0])
    chosen = chosen_rows(pairs, columns, rows)
    total = sum(map(len, chosen))
    require_memory(total, "the %s set of %d rows" % (purpose, total))
    inputs = np.empty((total, len(INPUTS)), dtype=np.float32)
    targets = np.empty((total, len(TARGETS)), dtype=np.float32)
    at = 0
    x, y = np.empty((columns, len(INPUTS))), np.empty((columns, len(TARGETS)))
    for pair, own in zip(progress(pairs, desc="reading the %s set" % purpose, unit="step"), chosen):
        reader.read(pair, x, y)
        inputs[at:at + len(own)] = statistics.train_inputs(x[own])
        targets[at:at + len(own)] = statistics.targets(y[own])
        at += len(own)
    return Rows(inputs, targets)
