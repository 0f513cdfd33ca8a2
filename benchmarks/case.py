"""What a benchmark is: its case (sizes and folder), its sides and its step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Tuple


class UnequalError(Exception):
    """Two sides of a step do not give the same result."""


class SideError(Exception):
    """A process of the benchmark failed; the message is the last line that it wrote."""


@dataclass(frozen=True)
class Case:
    """What is measured: sizes, and the folder of all files that the benchmarks make.

    folder       temporary, removed at the end
    steps        root of the step files, with YYYY-MM folders below it
    pairs        step pairs to read (0: all; more than exist: each several times)
    rows         rows of test.csv and of each parquet
    search_rows  validation rows of the weight search
    """

    folder: str
    steps: str
    pairs: int
    rows: int
    search_rows: int

    def folder_of(self, step: str, side: str = "") -> Path:
        """Return the folder of one step, or of one side of it; make it if it does not exist."""
        path = Path(self.folder) / step / side
        path.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class Side:
    """One way to do a step: what it imports before the clock starts, and the work itself."""

    packages: Tuple[str, ...]
    work: Callable[[Case], Any]


@dataclass(frozen=True)
class Step:
    """A step, its sides (the published way first) and how their results are compared.

    cores     1 pins each side to one core, 0 leaves all of them
    work      amount of work that a side does, if the sides differ: ratios are of work per second
    amounts   {unit: amount} of the work, of which rates are printed too
    rounds    how often the sides take turns in one process, beside their runs alone: what else the
              machine does then meets all of them alike, and medians count
    clock     CPU seconds of the process measure the same beside other work on the machine
    size      returns the size of the work in words
    make      writes the input files of both sides (untimed, in a process of its own)
    evidence  (case, side, result of the last run) -> JSON value for compare (untimed)
    compare   (case, {side: evidence}) -> what is equal, in words; raises UnequalError
    """

    title: str
    goal: str
    cores: int
    sides: Dict[str, Side]
    size: Callable[[Case], str]
    make: Callable[[Case], None]
    evidence: Callable[[Case, str, Any], Any]
    compare: Callable[[Case, Mapping[str, Any]], str]
    work: Callable[[Case, str], float] = lambda case, side: 1.0
    amounts: Callable[[Case], Dict[str, float]] = lambda case: {}
    rounds: int = 0
    clock: Callable[[], float] = time.perf_counter
