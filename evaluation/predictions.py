"""Predictions of steps, raw and in Kaggle order, from what the kit's networks and blends left."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional, Protocol, Sequence

import numpy as np

from blend import postprocess
from blend.reblocked import Reblocked
from blend.tables import WeightTable
from blend.target_weights import weights_of
from blend.validation import ValidationPredictions
from evaluation.truths import Step
from leapkit.core.columns import INPUTS, LINEAR, LINEAR_INPUTS, kaggle_positions
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.data.submission import REMEDY, OpenedParquet

_LINEAR = kaggle_positions(LINEAR)
_LINEAR_INPUTS = [INPUTS.index(name) for name in LINEAR_INPUTS]
# What the names of predictions of validation rows end in: their pages stand beside the others'.
ON_VALIDATION = ".validation"


class Prediction(Protocol):
    """What is judged. Its steps are asked for in order, once each.

    name    of its page and its files
    origin  what made it, in words
    """

    name: str
    origin: str

    def values(self, step: Step) -> np.ndarray:
        """Return (C, 368) float64 raw, Kaggle order. Raises KitError if it has no such step."""
        ...

    def inputs(self, index: HashIndex) -> Dict[str, str]:
        """Return {role: sha256} of all that decides the values."""
        ...


class ParquetPrediction:
    """The rows of a submission parquet, which must list the ids of test.csv in order."""

    def __init__(self, name: str, origin: str, path: Path) -> None:
        self.name = name
        self.origin = origin
        self._opened = OpenedParquet(path)
        self._rows: Optional[Reblocked] = None

    def values(self, step: Step) -> np.ndarray:
        self._rows = self._rows or Reblocked(self._opened.path, self._opened.blocks())
        values = self._rows.take(step.ids)
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0, 0])
            what = f"holds NaN or infinity for {step.ids[row]}"
            raise KitError(what, self._opened.path, REMEDY)
        return values

    def inputs(self, index: HashIndex) -> Dict[str, str]:
        return {"prediction": self._opened.digest(index)}


class NetworkOnValidation:
    """One network's validation predictions."""

    origin = "a network of this kit"

    def __init__(self, member: ValidationPredictions) -> None:
        self.name = member.artifact + ON_VALIDATION
        self._member = member

    def values(self, step: Step) -> np.ndarray:
        return raw_values(self._member, step)

    def inputs(self, index: HashIndex) -> Dict[str, str]:
        return {f"{self._member.artifact}.npy": self._member.digest(index)}


class BlendOnValidation:
    """The blend of networks' validation predictions, as `blend.apply` blends their parquets."""

    def __init__(
        self,
        name: str,
        table: WeightTable,
        members: Sequence[ValidationPredictions],
        options: Sequence[str],
    ) -> None:
        self.name = name + ON_VALIDATION
        self.origin = f"a blend of {len(members)} networks"
        self._table = table
        self._members = members
        self._options = tuple(options)

    def values(self, step: Step) -> np.ndarray:
        weights = weights_of(self._table)
        total = np.zeros(step.truth.shape)
        formulas: List[np.ndarray] = []
        for member, of_member in zip(self._members, weights):
            values = raw_values(member, step)
            formulas.append(values[:, _LINEAR])
            total += values * of_member
        kept = np.abs(weights[:, _LINEAR].sum(axis=0) - 1.0) > 1e-9
        total[:, _LINEAR] = np.where(kept, formulas[0], total[:, _LINEAR])
        postprocess.bound(total, step.inputs[:, postprocess.STATES], self._options)
        return total

    def inputs(self, index: HashIndex) -> Dict[str, str]:
        digests = {f"{member.artifact}.npy": member.digest(index) for member in self._members}
        options = {"post-processing": ",".join(self._options)} if self._options else {}
        return {**digests, "weights": self._table.sha256, **options}


def raw_values(member: ValidationPredictions, step: Step) -> np.ndarray:
    """Return a network's predictions of a validation step (C, 368) as its parquet would hold them.

    Raises KitError if it has no such rows.
    """
    columns = len(step.inputs)
    rows = slice(step.number * columns, (step.number + 1) * columns)
    return member.scaling.raw(member.z(rows), step.inputs[:, _LINEAR_INPUTS])
