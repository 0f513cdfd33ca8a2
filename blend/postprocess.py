"""Post-processing beside the published one: off by default, its effect measured where it can be.

positivity  max(ptend_q, -q / 1200) for vapour, cloud liquid and cloud ice: the model never leaves less than no water
            (68 real steps: the truth goes 7e-21 below at most). The 5th place did it, the 2nd did not.
fluxes      max(cam_out, 0) for the eight fluxes at the ground: the truth is never negative (68 real steps).
"""
from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from blend import gram
from blend.oof import OutOfFold, reading
from leapkit import kaggle, submission
from leapkit.climsim import StepReader
from leapkit.columns import INPUTS, OUTPUT_SCALARS, PREDICTED, STEP_SECONDS, TARGETS
from leapkit.errors import KitError
from leapkit.score import R2
from leapkit.world import RawData

_WATER = [name for name in PREDICTED if name.startswith("ptend_q")]
WATER = [TARGETS.index(name) for name in _WATER]
STATES = [INPUTS.index(name.replace("ptend", "state")) for name in _WATER]
FLUXES = [TARGETS.index(name) for name, _ in OUTPUT_SCALARS]


def bound(values: np.ndarray, states: Optional[np.ndarray], options: Sequence[str]) -> np.ndarray:
    """values (n, 368) raw, Kaggle order, changed in place; states (n, W) kg/kg of WATER -> (n, 368) what was moved."""
    moved = np.zeros(values.shape, dtype=bool)
    for option in options:
        if option == "positivity":
            assert states is not None
            columns, floor = WATER, -states / STEP_SECONDS
        else:
            columns, floor = FLUXES, np.zeros((len(values), len(FLUXES)))
        moved[:, columns] = values[:, columns] < floor
        values[:, columns] = np.maximum(values[:, columns], floor)
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
                    raise KitError("has fewer rows than sample_submission.csv", self._path, kaggle.REMEDY)
            count = min(len(ids) - at, len(self._ids))
            submission.require_ids(self._ids[:count], list(ids[at:at + count]), at, self._path, kaggle.REMEDY)
            found.append(self._held[:count])
            self._ids, self._held, at = self._ids[count:], self._held[count:], at + count
        return np.concatenate(found)


class Effect:
    """Applies options to a blend's rows and counts what they do: values moved, and R2 where the truth is known."""

    def __init__(self, options: Sequence[str], raw: RawData) -> None:
        self.options, self._rows = tuple(options), 0
        self._states = Rows(raw.test_csv, ((ids, x[:, STATES]) for ids, x in kaggle.test_rows(raw.test_csv))
                            ) if "positivity" in options else None
        self._truth = Rows(raw.truth, submission.blocks(raw.truth)) if raw.truth.exists() else None
        self._moved = np.zeros(len(TARGETS))
        self._before, self._after = R2(), R2()

    def __call__(self, ids: Sequence[str], values: np.ndarray) -> None:
        truth = self._truth.take(ids) if self._truth else None
        if truth is not None:
            self._before.add(truth, values)
        self._moved += bound(values, self._states.take(ids) if self._states else None, self.options).sum(axis=0)
        if truth is not None:
            self._after.add(truth, values)
        self._rows += len(values)

    def found(self) -> Dict[str, object]:
        """For the receipt and the page: the share of values moved per variable, R2 over the 292 columns before and after."""
        shares = {}
        for variable, columns in _variables(self.options).items():
            shares[variable] = float(self._moved[columns].sum() / (max(self._rows, 1) * len(columns)))
        effect: Dict[str, object] = {"share of values moved": shares}
        if self._truth:
            effect["test R2"] = [_mean(self._before), _mean(self._after)]
        return effect


def on_validation(raw: RawData, members: Sequence[OutOfFold], weights: np.ndarray, options: Sequence[str]
                  ) -> List[float]:
    """[before, after]: mean R2 over the 292 columns of a blend of out-of-fold predictions; weights (M, 368)."""
    before, after, reader = R2(), R2(), StepReader()
    scale = members[0].scale.weight
    columns = gram.COLUMNS
    for pair, rows in reading(raw, members):
        x, y = reader.read(pair)
        values = np.zeros(y.shape)
        for member, own in zip(members, weights):
            values += own * member.weighted(rows)
        values[:, columns] /= scale[columns]
        before.add(y, values)
        bound(values, x[:, STATES], options)
        after.add(y, values)
    return [_mean(before), _mean(after)]


def lines(effect: Dict[str, object]) -> Iterator[str]:
    """The effect in words."""
    shares = effect["share of values moved"]
    assert isinstance(shares, dict)
    yield "post-processing: moved " + ", ".join("%.3f %% of %s" % (100 * share, name) for name, share in shares.items())
    for what in ("validation R2", "test R2"):
        pair = effect.get(what)
        if isinstance(pair, list):
            yield "post-processing: %s over the 292 columns %.6f -> %.6f (%+.6f)" % (what, *pair, pair[1] - pair[0])
    if "validation R2" not in effect and "test R2" not in effect:
        yield "post-processing: its effect on R2 is not known, as there is no truth here to hold it against"


def _variables(options: Sequence[str]) -> Dict[str, List[int]]:
    """{variable: the columns that the options may move}."""
    found: Dict[str, List[int]] = {}
    for column in (WATER if "positivity" in options else []) + (FLUXES if "fluxes" in options else []):
        name = TARGETS[column]
        found.setdefault(name if column in FLUXES else name.rsplit("_", 1)[0], []).append(column)
    return found


def _mean(sums: R2) -> float:
    """Mean R2 over the predicted columns, none counted below 0."""
    return float(np.maximum(sums.per_column()[gram.COLUMNS], 0.0).mean())
