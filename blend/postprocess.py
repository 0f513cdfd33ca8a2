"""Post-processing beside the published one: off by default, measured if the truth is known.

positivity  max(ptend_q, -q / 1200) for vapour, cloud liquid and cloud ice: the model never leaves
            less than no water (68 real steps: the truth falls below by 7e-21 at most). The 5th
            place did it, the 2nd did not.
fluxes      max(cam_out, 0) for the eight scalars, radiation and precipitation: never negative in
            the truth (68 real steps)
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

import numpy as np

from blend.gram import PREDICTED_POSITIONS
from blend.reblocked import Reblocked
from blend.validation import ValidationPredictions, rows_of_steps
from leapkit.core.columns import (
    INPUTS,
    OUTPUT_SCALARS,
    PREDICTED,
    STEP_SECONDS,
    TARGETS,
    kaggle_positions,
)
from leapkit.core.layout import RawData
from leapkit.data import kaggle_csv, submission
from leapkit.data.score import R2
from leapkit.data.step_reader import StepReader

_WATER = tuple(name for name in PREDICTED if name.startswith("ptend_q"))
# The positions among the inputs of the states that positivity bounds by, kg/kg.
STATES = [INPUTS.index(name.replace("ptend", "state")) for name in _WATER]
# The targets that an option may move; no target belongs to two options, so their effects add up.
BOUNDED_TARGETS: Dict[str, List[int]] = {
    "positivity": kaggle_positions(_WATER),
    "fluxes": kaggle_positions(tuple(name for name, _ in OUTPUT_SCALARS)),
}
# {option: {"moved": {variable: share of its values}, "test R2": [before, after], "validation R2":
# [before, after]}}; an R2 is left out if it is not known.
Effect = Dict[str, Dict[str, Any]]


def bound(values: np.ndarray, states: Optional[np.ndarray], options: Sequence[str]) -> np.ndarray:
    """Apply options to raw values in place.

    values  (n, 368) Kaggle order
    states  (n, W) kg/kg of the water, needed for positivity

    Returns (368,) how many values were moved.
    """
    moved = np.zeros(len(TARGETS))
    for option in options:
        targets = BOUNDED_TARGETS[option]
        floor: Any = 0.0
        if option == "positivity":
            assert states is not None
            floor = -states / STEP_SECONDS
        before = values[:, targets]
        values[:, targets] = np.maximum(before, floor)
        moved[targets] = (before < floor).sum(axis=0)
    return moved


class PostProcessing:
    """Applies options to the rows of one blend, and measures what they do."""

    def __init__(self, options: Sequence[str], raw: RawData) -> None:
        self.options = tuple(options)
        self._rows = 0
        self._states: Optional[Reblocked] = None
        if "positivity" in options:
            blocks = ((ids, x[:, STATES]) for ids, x in kaggle_csv.read_test_csv(raw.test_csv))
            self._states = Reblocked(raw.test_csv, blocks)
        self._truth: Optional[Reblocked] = None
        if raw.truth.exists():
            self._truth = Reblocked(raw.truth, submission.blocks(raw.truth))
        self._moved = np.zeros(len(TARGETS))
        self._before = R2()
        self._after = R2()

    def apply(self, ids: Sequence[str], values: np.ndarray) -> None:
        """Apply the options in place to the next rows (n, 368).

        Raises KitError if the ids are not the next ones.
        """
        truth = self._truth.take(ids) if self._truth else None
        if truth is not None:
            self._before.add(truth, values)
        states = self._states.take(ids) if self._states else None
        self._moved += bound(values, states, self.options)
        if truth is not None:
            self._after.add(truth, values)
        self._rows += len(values)

    def effect(self) -> Effect:
        """Return the share of values moved, and R2 on the test rows if their truth is known."""
        effect: Effect = {}
        for option in self.options:
            shares: Dict[str, List[float]] = {}
            for target in BOUNDED_TARGETS[option]:
                share = self._moved[target] / max(self._rows, 1)
                shares.setdefault(_variable(target), []).append(share)
            effect[option] = {
                "moved": {name: float(np.mean(of_levels)) for name, of_levels in shares.items()}
            }
            if self._truth:
                effect[option]["test R2"] = _r2_before_and_after(self._before, self._after, option)
        return effect


def effect_on_validation(
    raw: RawData,
    members: Sequence[ValidationPredictions],
    weights: np.ndarray,
    options: Sequence[str],
) -> Dict[str, List[float]]:
    """Return {option: R2 before and after} on the validation rows.

    weights  (M, 368) of the blend
    """
    before = R2()
    after = R2()
    reader = StepReader(accept_float32=True)  # accepted and recorded where members trained
    for pair, rows in rows_of_steps(raw.validation_pairs(), members):
        x, y = reader.read(pair)
        values = np.zeros(y.shape)
        for member, member_weights in zip(members, weights):
            values += member_weights * member.weighted(rows)
        values[:, PREDICTED_POSITIONS] /= members[0].scaling.weight[PREDICTED_POSITIONS]
        before.add(y, values)
        bound(values, x[:, STATES], options)
        after.add(y, values)
    return {option: _r2_before_and_after(before, after, option) for option in options}


def describe(effect: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the effect in words, line by line."""
    for option, measured in effect.items():
        moved = ", ".join(f"{100 * share:.3f} % of {v}" for v, share in measured["moved"].items())
        yield f"{option}: moved {moved}"
        for what in ("validation R2", "test R2"):
            if what in measured:
                before, after = measured[what]
                yield (
                    f"{option}: {what} over the 292 targets {before:.6f} -> {after:.6f} "
                    f"({after - before:+.6f})"
                )
        if "validation R2" not in measured and "test R2" not in measured:
            yield f"{option}: its effect on R2 is not known, as the truth is not known here"


def _variable(target: int) -> str:
    name = TARGETS[target]
    return name.rsplit("_", 1)[0] if name.startswith("ptend") else name


def _r2_before_and_after(before: R2, after: R2, option: str) -> List[float]:
    """Return mean R2 over the predicted targets without any option and with this option alone.

    No target counts below 0.
    """
    without = np.maximum(before.per_column(), 0.0)
    with_all = np.maximum(after.per_column(), 0.0)
    with_option = without.copy()
    with_option[BOUNDED_TARGETS[option]] = with_all[BOUNDED_TARGETS[option]]
    return [float(r2[PREDICTED_POSITIONS].mean()) for r2 in (without, with_option)]
