"""Validation predictions of artifacts, checked against the receipts of their parquets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from blend.parquets import remedy, require_distinct, training
from leapkit.core import receipts
from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.core.step_files import StepPair
from leapkit.data import scaling, validation_predictions
from leapkit.data.step_reader import grid_columns

_AGAIN = "run `make reproduce` again"


class ValidationPredictions:
    """One artifact's validation predictions (N, 368) float32 and the scaling of them.

    Raises KitError if the file is not such an array.
    """

    def __init__(self, artifact: str, path: Path, scaling_: scaling.Scaling) -> None:
        self.artifact = artifact
        self.path = path
        self.scaling = scaling_
        self._opened = validation_predictions.OpenedPredictions(path, _AGAIN)
        if self._opened.shape[1] != len(TARGETS):
            raise KitError("is not a (rows, 368) array of float32", path, _AGAIN)

    def __len__(self) -> int:
        return self._opened.shape[0]

    def digest(self, index: HashIndex) -> str:
        """Return the sha256 of what `z` reads."""
        return self._opened.digest(index)

    def z(self, rows: slice, out: Optional[np.ndarray] = None) -> np.ndarray:
        """Read (n, 368) float32, standardised, network order."""
        return self._opened.read(rows, out)

    def weighted(self, rows: slice) -> np.ndarray:
        """Read (n, 368) float64 y * weight, Kaggle order."""
        return self.scaling.weighted(self.z(rows))


def have_predictions(results: Results, raw: RawData, artifacts: Sequence[str]) -> bool:
    """Return whether all artifacts have validation predictions and step files with their truth.

    Published checkpoints come without predictions.
    """
    if not raw.steps.is_dir():
        return False
    parquets = [results.parquet(artifact) for artifact in artifacts]
    return all(receipts.read(parquet).get("details", {}).get("oof") for parquet in parquets)


def load_predictions(
    artifacts: Sequence[str], results: Results, raw: RawData, index: HashIndex
) -> List[ValidationPredictions]:
    """Open the validation predictions of artifacts, with their scalings.

    Raises KitError if an artifact has none, or others than its receipt names.
    """
    of_artifact = {
        artifact: receipts.require_valid(results.parquet(artifact), index, remedy(artifact))
        for artifact in artifacts
    }
    require_distinct(of_artifact, results)
    return [
        _load(artifact, receipt["details"].get("oof"), results, raw, index)
        for artifact, receipt in of_artifact.items()
    ]


def _load(
    artifact: str, recorded: Any, results: Results, raw: RawData, index: HashIndex
) -> ValidationPredictions:
    """Open the predictions of an artifact that its parquet's receipt records."""
    again = f"run {training(artifact)} again"
    if not recorded:
        raise KitError(
            "was made from a published checkpoint, which comes without validation predictions",
            results.parquet(artifact),
            f"train it (`make reproduce EXPERIMENTS={artifact}`), or blend with a table (TABLE=)",
        )
    try:
        digest, family = recorded["sha256"], scaling.FAMILIES[recorded["family"]].name
    except (TypeError, KeyError) as error:
        receipt_file = receipts.receipt_path(results.parquet(artifact))
        raise KitError("names no validation predictions", receipt_file, again) from error
    path = results.validation_predictions(artifact)
    if not path.exists():
        raise KitError("is missing", path, again)
    scaling_ = scaling.load_scaling(raw.statistics(family), family, raw.old_weights)
    predictions = ValidationPredictions(artifact, path, scaling_)
    if predictions.digest(index) != digest:
        raise KitError("is not what its receipt names", path, again)
    return predictions


def rows_of_steps(
    pairs: Sequence[StepPair], members: Sequence[ValidationPredictions]
) -> List[Tuple[StepPair, slice]]:
    """Return the validation steps, each with its rows of the predictions.

    Raises KitError if an artifact has another number of rows.
    """
    columns = grid_columns(pairs[0]) if pairs else 0
    expected = columns * len(pairs)
    for member in members:
        if len(member) != expected:
            raise KitError(
                f"has {len(member)} rows for {expected} validation rows", member.path, _AGAIN
            )
    return [(pair, slice(k * columns, (k + 1) * columns)) for k, pair in enumerate(pairs)]


def search_inputs(
    raw: RawData, members: Sequence[ValidationPredictions], index: HashIndex
) -> Dict[str, str]:
    """Return {role: sha256} of what searched weights depend on, as it is now."""
    inputs = {f"{member.artifact}.npy": member.digest(index) for member in members}
    step_files = [file for pair in raw.validation_pairs() for file in (pair.mli, pair.mlo)]
    inputs["validation steps"] = index.of_many(step_files, raw.steps)
    return inputs
