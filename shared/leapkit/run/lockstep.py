"""Runs of one recipe and one set of rows that share every batch: the groups of a fine-tuning.

A batch is read, standardised, augmented and copied to the device once, and each run makes its
update with it. A run keeps its own network, optimiser, schedule and random numbers, so its bytes
are those of a run alone.
"""

from __future__ import annotations

import contextlib
import time
from typing import Iterator, List, Optional, Sequence, Tuple

from leapkit.core.errors import KitError
from leapkit.run import devices
from leapkit.run.training_run import Run


class Lockstep:
    """The unfinished ones of some runs, their turns at torch's generators, and their shared time.

    runs      of one recipe, neither finished nor failed
    failures  why runs failed; the others go on
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)
        self.failures: List[KitError] = []
        self._drawing: Optional[Run] = None
        self.start_clock()

    def take_finished(self) -> List[Run]:
        """Return the runs that are finished; they take part no more."""
        finished = [run for run in self.runs if run.is_finished]
        self.runs = [run for run in self.runs if not run.is_finished]
        return finished

    @property
    def position(self) -> Tuple[int, int]:
        """The epoch and step of the run that is furthest behind: the others wait there for it."""
        return min((run.epoch, run.step) for run in self.runs)

    def at(self, epoch: int, step: int) -> List[Run]:
        return [run for run in self.runs if (run.epoch, run.step) == (epoch, step)]

    def draw(self, run: Run) -> None:
        """Let torch's generators be those of `run`, until another one draws."""
        if run is not self._drawing:
            if self._drawing:
                self._drawing.random = devices.random_state()
            devices.restore_random_state(run.random)
            self._drawing = run

    @contextlib.contextmanager
    def update(self, run: Run) -> Iterator[None]:
        """Let one run make its update; if that fails, the others go on without it."""
        self.draw(run)
        try:
            yield
        except KitError as error:
            self.runs.remove(run)
            self.failures.append(error)

    def sound(self, runs: Sequence[Run]) -> List[Run]:
        """Return those of some runs whose losses are finite; the others have failed.

        A GPU's losses are read here, so nothing is saved of a run that has failed.
        """
        for run in runs:
            with self.update(run):
                run.loss()
        return [run for run in runs if run in self.runs]

    def start_clock(self) -> None:
        self._since = time.monotonic()

    def share_time(self, runs: Sequence[Run]) -> None:
        """Give runs equal shares of the time since the clock was started, or was last shared.

        Each pays for its part of the reading, and a GPU does not say whose work it is at.
        """
        now = time.monotonic()
        for run in runs:
            run.seconds += (now - self._since) / len(runs)
        self._since = now
