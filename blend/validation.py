"""Validation predictions of artifacts, checked against the receipts of their parquets."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from blend.parquets import remedy
from leapkit.core import receipts
from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import read_json
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

    def __init__(
        self, artifact: str, path: Path, scaling_: scaling.Scaling, sha256: str = ""
    ) -> None:
        self.artifact = artifact
        self.path = path
        self.scaling = scaling_
        self.sha256 = sha256
        z = validation_predictions.read(path)
        if (
            z.ndim != 2
            or z.shape[1] != len(TARGETS)
            or z.dtype != np.float32
            or not z.flags.c_contiguous
        ):
            raise KitError("is not a (rows, 368) array of float32", path, _AGAIN)
        self._count = len(z)
        self._offset = int(getattr(z, "offset", 0))

    def __len__(self) -> int:
        return self._count

    def z(self, rows: slice, out: Optional[np.ndarray] = None) -> np.ndarray:
        """Read (n, 368) float32, standardised, network order.

        The file is not mapped: the pages of a map would count as memory.
        """
        count = rows.stop - rows.start
        width = len(TARGETS)
        block = np.empty((count, width), np.float32) if out is None else out
        with explain_os_errors(self.path), open(self.path, "rb", buffering=0) as handle:
            handle.seek(self._offset + 4 * width * rows.start)
            if handle.readinto(memoryview(block).cast("B")) != block.nbytes:  # type: ignore[arg-type]
                raise KitError("was cut off while it was read", self.path, _AGAIN)
        return block

    def weighted(self, rows: slice) -> np.ndarray:
        """Read (n, 368) float64 y * weight, Kaggle order."""
        return self.scaling.weighted(self.z(rows))


def have_predictions(results: Results, raw: RawData, artifacts: Sequence[str]) -> bool:
    """Return whether all artifacts have validation predictions and step files with their truth.

    Published checkpoints come without predictions.
    """
    if not raw.steps.is_dir():
        return False
    paths = [receipts.receipt_path(results.parquet(artifact)) for artifact in artifacts]
    return all(path.exists() and read_json(path).get("details", {}).get("oof") for path in paths)


def load_predictions(
    artifacts: Sequence[str], results: Results, raw: RawData, index: HashIndex
) -> List[ValidationPredictions]:
    """Open the validation predictions of artifacts, with their scalings.

    Raises KitError if an artifact has none, or others than its receipt names.
    """
    members = []
    for artifact in artifacts:
        parquet = results.parquet(artifact)
        path = results.validation_predictions(artifact)
        receipt = receipts.require_valid(parquet, index, remedy(artifact))
        recorded = receipt.get("details", {}).get("oof")
        if not recorded:
            raise KitError(
                "was made from a published checkpoint, which comes without validation predictions",
                parquet,
                f"train it (`make reproduce EXPERIMENTS={artifact}`), "
                "or blend with a table (TABLE=)",
            )
        if not path.exists() or index.of(path) != recorded["sha256"]:
            raise KitError(
                "is missing or not what its receipt names",
                path,
                f"run `make reproduce EXPERIMENTS={artifact}` again",
            )
        family = recorded["family"]
        scaling_ = scaling.load_scaling(raw.statistics(family), family, raw.old_weights)
        members.append(ValidationPredictions(artifact, path, scaling_, recorded["sha256"]))
    return members


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
    """Return {role: sha256} of what searched weights depend on."""
    inputs = {f"{member.artifact}.npy": member.sha256 for member in members}
    step_files = [file for pair in raw.validation_pairs() for file in (pair.mli, pair.mlo)]
    inputs["validation steps"] = index.of_many(step_files, raw.steps)
    return inputs
