"""The history of a training: its losses and learning rates, at a resolution that a person can read.

It is recorded and never decides: no receipt names it. The state of an unfinished training holds it,
so a run that was killed goes on with it and ends with that of a run that was not.
Standard library only.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from leapkit.core.files import read_json, write_json

FORM = 1  # of the file
MOST_POINTS = 500  # of a whole run: a plot is not wider


@dataclass
class _Read:
    """Where the sum of an epoch's losses was last read, and what it was."""

    epoch: int = 0
    step: int = 0
    total: float = 0.0


class History:
    """Points of (update, mean loss of the updates since the point before, learning rates).

    steps     updates of an epoch
    interval  updates from point to point: as many as make MOST_POINTS of all epochs
    begins    updates of which nothing is known: a state of an older version held none
    """

    def __init__(self, steps: int, epochs: int, parameters: Sequence[str]) -> None:
        self.steps = steps
        self.interval = max(1, math.ceil(steps * epochs / MOST_POINTS))
        self.begins = 0
        self.updates: List[int] = []
        self.losses: List[float] = []
        self.rates: Dict[str, List[float]] = {name: [] for name in parameters}
        self.evaluations: List[Dict[str, Any]] = []
        self._read = _Read()
        self._since = [0, 0.0]  # updates since the last point, and the sum of their losses

    def add(self, epoch: int, step: int, total: float, rates: Sequence[float]) -> None:
        """Take the sum of an epoch's losses after a step of it (from 1), wherever it is read.

        rates  of the update that was the last of them
        """
        known = self._read if self._read.epoch == epoch else _Read(epoch)
        if step <= known.step:
            return
        self._since[0] += step - known.step
        self._since[1] += total - known.total
        self._read = _Read(epoch, step, total)
        if self._since[0] >= self.interval:
            self.updates.append(epoch * self.steps + step)
            self.losses.append(self._since[1] / self._since[0])
            for rate, name in zip(rates, self.rates):
                self.rates[name].append(rate)
            self._since = [0, 0.0]

    def evaluate(
        self,
        epoch: int,
        step: int,
        loss: float,
        score: Mapping[str, Any],
        chosen: float,
        is_best: bool,
    ) -> None:
        """Take the outcome of an evaluation.

        loss    mean of the epoch's updates so far
        score   R2 by name: of all columns, of the predicted ones, of the groups
        chosen  the R2 that decides which evaluation is the best
        """
        self.evaluations.append(
            {
                "update": epoch * self.steps + step,
                "epoch": epoch,
                "loss": loss,
                "chosen": _finite(chosen),
                "is_best": is_best,
                **{name: _finite(value) for name, value in score.items()},
            }
        )

    def record(self) -> Dict[str, Any]:
        """Return what the file holds."""
        return {
            "form": FORM,
            "steps": self.steps,
            "begins": self.begins,
            "updates": self.updates,
            "losses": self.losses,
            "rates": self.rates,
            "evaluations": self.evaluations,
        }

    def state(self) -> Dict[str, Any]:
        """Return what restore() takes, as JSON can hold it."""
        return copy.deepcopy({**self.record(), "read": vars(self._read), "since": self._since})

    def restore(
        self, state: Optional[Mapping[str, Any]], epoch: int, step: int, total: float
    ) -> None:
        """Go on from what state() returned; from here if an older version left no history.

        total  of the losses of the epoch so far
        """
        if not state:
            self.begins = epoch * self.steps + step
            self._read = _Read(epoch, step, total)
            return
        for name in ("begins", "updates", "losses", "rates", "evaluations"):
            setattr(self, name, state[name])
        self._read = _Read(**state["read"])
        self._since = list(state["since"])

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_json(path, self.record())


def read(path: Path) -> Dict[str, Any]:
    """Return what a history file holds.

    Raises KitError if it is missing or no JSON, and ValueError for one of another form or with
    lists that do not belong together.
    """
    content = read_json(path)
    try:
        _check(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no history: {error}") from error
    return dict(content)


def _check(content: Mapping[str, Any]) -> None:
    if content["form"] != FORM:
        raise ValueError(f"a history of form {content['form']}")
    points = len(content["updates"])
    numbers = [content["steps"], content["begins"], *content["updates"], *content["losses"]]
    for rates in content["rates"].values():
        numbers += rates
        if len(rates) != points:
            raise ValueError("as many learning rates as updates are missing")
    for evaluation in content["evaluations"]:
        numbers += [evaluation[name] for name in ("update", "epoch", "loss")]
    if len(content["losses"]) != points or not all(map(_is_number, numbers)):
        raise ValueError("its lists do not belong together")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _finite(value: Any) -> Any:
    """Return a score, or scores, as JSON can hold them: None for one that is not finite."""
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value if math.isfinite(value) else None
