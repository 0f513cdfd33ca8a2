"""Post-processing beside the published one: off by default, its effect measured where it can be.

positivity  max(ptend_q, -q / 1200) for vapour, cloud liquid and cloud ice: the model never leaves less than no water
            (68 real steps: the truth goes 7e-21 below at most). The 5th place did it, the 2nd did not.
fluxes      max(cam_out, 0) for the eight scalars, radiation and precipitation: never negative in the truth (68 real steps)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from blend import gram
from blend.oof import ValidationPredictions, reading
from leapkit.core.columns import (
    INPUTS,
    OUTPUT_SCALARS,
    PREDICTED,
    STEP_SECONDS,
    TARGETS,
    kaggle_positions,
)
from leapkit.core.errors import KitError
from leapkit.core.layout import RawData
from leapkit.data import kaggle_csv, submission
from leapkit.data.score import R2
from leapkit.data.step_reader import StepReader

Numbers = Dict[str, Any]
_WATER = tuple(name for name in PREDICTED if name.startswith("ptend_q"))
STATES = [INPUTS.index(name.replace("ptend", "state")) for name in _WATER]
# The columns that an option may move; no column is two options', so their effects add up.
COLUMNS: Dict[str, List[int]] = {
    "positivity": kaggle_positions(_WATER),
    "fluxes": kaggle_positions(tuple(name for name, _ in OUTPUT_SCALARS)),
}


def bound(values: np.ndarray, states: Optional[np.ndarray], options: Sequence[str]) -> np.ndarray:
    """values (n, 368) raw, Kaggle order, changed in place; states (n, W) kg/kg of the water -> (368,) values moved."""
    moved = np.zeros(len(TARGETS))
    for option in options:
        columns = COLUMNS[option]
        floor: Any = 0.0
        if option == "positivity":
            assert states is not None
            floor = -states / STEP_SECONDS
        before = values[:, columns]
        values[:, columns] = np.maximum(before, floor)
        moved[columns] = (before < floor).sum(axis=0)
    return moved


class Rows:
    """Rows of a file in blocks of any size, taken in other sizes. Raises KitError where the ids are not the wanted ones."""

    def __init__(self, path: Path, blocks: Iterable[Tuple[List[str], np.ndarray]]) -> None:
        self._path, self._blocks = path, iter(blocks)
        self._ids: List[str] = []
        self._held = np.empty((0, 0))

    def take(self, ids: Sequence[str]) -> np.ndarray:
        """(n, columns) of the next n rows."""
        found: List[np.ndarray] = []
        at = 0
        while at < len(ids):
            if not self._ids:
                self._ids, self._held = next(self._blocks, ([], self._held))
                if not self._ids:
                    raise KitError(
                        "has fewer rows than sample_submission.csv", self._path, kaggle_csv.REMEDY
                    )
            count = min(len(ids) - at, len(self._ids))
            submission.require_ids(
                self._ids[:count], list(ids[at : at + count]), at, self._path, kaggle_csv.REMEDY
            )
            found.append(self._held[:count])
            self._ids, self._held, at = self._ids[count:], self._held[count:], at + count
        return np.concatenate(found)


class Effect:
    """Applies options to a blend's rows and counts what they do: values moved, and R2 where the truth is known."""

    def __init__(self, options: Sequence[str], raw: RawData) -> None:
        self.options, self._rows = tuple(options), 0
        self._states = (
            Rows(
                raw.test_csv,
                ((ids, x[:, STATES]) for ids, x in kaggle_csv.read_test_csv(raw.test_csv)),
            )
            if "positivity" in options
            else None
        )
        self._truth = Rows(raw.truth, submission.blocks(raw.truth)) if raw.truth.exists() else None
        self._moved = np.zeros(len(TARGETS))
        self._before, self._after = R2(), R2()

    def __call__(self, ids: Sequence[str], values: np.ndarray) -> None:
        truth = self._truth.take(ids) if self._truth else None
        if truth is not None:
            self._before.add(truth, values)
        self._moved += bound(values, self._states.take(ids) if self._states else None, self.options)
        if truth is not None:
            self._after.add(truth, values)
        self._rows += len(values)

    def found(self) -> Dict[str, Numbers]:
        """{option: the share of values moved per variable, R2 on the test rows before and after where it is known}."""
        effect: Dict[str, Numbers] = {}
        for option in self.options:
            shares: Dict[str, List[float]] = {}
            for column in COLUMNS[option]:
                shares.setdefault(_variable(column), []).append(
                    self._moved[column] / max(self._rows, 1)
                )
            effect[option] = {
                "moved": {name: float(np.mean(each)) for name, each in shares.items()}
            }
            if self._truth:
                effect[option]["test R2"] = _pair(self._before, self._after, option)
        return effect


def on_validation(
    raw: RawData,
    members: Sequence[ValidationPredictions],
    weights: np.ndarray,
    options: Sequence[str],
) -> Dict[str, List[float]]:
    """{option: R2 before and after} on the validation rows, of the blend with weights (M, 368)."""
    before, after, reader = R2(), R2(), StepReader()
    for pair, rows in reading(raw.validation_pairs(), members):
        x, y = reader.read(pair)
        values = np.zeros(y.shape)
        for member, own in zip(members, weights):
            values += own * member.weighted(rows)
        values[:, gram.COLUMNS] /= members[0].scale.weight[gram.COLUMNS]
        before.add(y, values)
        bound(values, x[:, STATES], options)
        after.add(y, values)
    return {option: _pair(before, after, option) for option in options}


def lines(effect: Mapping[str, Numbers]) -> Iterator[str]:
    """The effect in words."""
    for option, found in effect.items():
        yield "{}: moved {}".format(
            option, ", ".join(f"{100 * v:.3f} % of {k}" for k, v in found["moved"].items())
        )
        for what in ("validation R2", "test R2"):
            if what in found:
                before, after = found[what]
                yield f"{option}: {what} over the 292 columns {before:.6f} -> {after:.6f} ({after - before:+.6f})"
        if "validation R2" not in found and "test R2" not in found:
            yield f"{option}: its effect on R2 is not known, as there is no truth here to hold it against"


def _variable(column: int) -> str:
    name = TARGETS[column]
    return name.rsplit("_", 1)[0] if name.startswith("ptend") else name


def _pair(before: R2, after: R2, option: str) -> List[float]:
    """Mean R2 over the predicted columns, none counted below 0, without any option and with this one alone."""
    first, second = (np.maximum(sums.per_column(), 0.0) for sums in (before, after))
    with_it = first.copy()
    with_it[COLUMNS[option]] = second[COLUMNS[option]]
    return [float(first[gram.COLUMNS].mean()), float(with_it[gram.COLUMNS].mean())]
