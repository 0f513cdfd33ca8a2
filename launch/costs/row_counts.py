"""How many rows a world has, from the names and sizes of its files: for estimates of time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

from leapkit.core import sample_world
from leapkit.core.errors import KitError
from leapkit.core.layout import RawData
from leapkit.core.recipes import RowSelection
from leapkit.core.splits import Split
from leapkit.core.step_files import COLUMNS, MonthListing, read_month

_HEAD = 1 << 20  # bytes of a CSV file whose lines say how long the others are


@dataclass(frozen=True)
class RowCounts:
    """The rows of a world.

    training    {month: rows that train}
    validation  rows
    test        rows of test.csv, within a few percent
    """

    training: Mapping[str, int]
    validation: int
    test: int

    def selected(self, selection: RowSelection) -> int:
        """Return how many training rows a recipe selects. A file that names them counts nothing."""
        months = (n for month, n in self.training.items() if month >= selection.first_month)
        return int(selection.fraction * sum(months))


def read_months(raw: RawData) -> List[MonthListing]:
    """Return what the months of training and validation hold, in order; nothing without step files.

    The experiments that need them say so.
    """
    try:
        split = raw.split()
        return [read_month(raw.steps / name) for name in sorted({*split.train, *split.validation})]
    except KitError:
        return []


def of_world(raw: RawData, months: Sequence[MonthListing]) -> RowCounts:
    """Return the rows of the user's world.

    months  by `read_months`; none for a run that does not train
    """
    steps = {month.name: len(month.pairs) for month in months}
    training, validation = _split(raw.split(), steps) if months else ({}, 0)
    return RowCounts(training, validation, lines_of(raw.test_csv))


def of_sample_world() -> RowCounts:
    """Return the rows that the sample world will have, before it is made."""
    split = sample_world.SPLIT
    steps = {
        month: sample_world.STEPS_PER_MONTH[role]
        for role in ("train", "validation")
        for month in getattr(split, role)
    }
    training, validation = _split(split, steps)
    test = COLUMNS * len(split.test) * sample_world.STEPS_PER_MONTH["test"]
    return RowCounts(training, validation, test)


def _split(split: Split, steps: Mapping[str, int]) -> Tuple[Dict[str, int], int]:
    """Return ({month: training rows}, validation rows) of {month: its steps}."""
    validated = {}
    before = 0  # steps of the validation months before this one
    for month in sorted(split.validation):
        after = before + steps[month]
        stride = split.validation_stride
        validated[month] = -(-after // stride) - -(-before // stride)
        before = after
    training = {month: COLUMNS * (steps[month] - validated.get(month, 0)) for month in split.train}
    return training, COLUMNS * sum(validated.values())


def lines_of(path: Path) -> int:
    """Return about how many rows a CSV file has below its header; 0 if it cannot be read."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as handle:
            header = len(handle.readline(_HEAD))
            body = handle.read(_HEAD)
    except OSError:
        return 0
    lines = body.count(b"\n")
    if header + len(body) >= size:
        return lines
    whole = body.rfind(b"\n") + 1
    return round((size - header) * lines / whole) if whole else 0
