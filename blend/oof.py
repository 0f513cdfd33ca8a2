"""The out-of-fold side of a search: validation truth and the members' predictions of it, in one common unit.

Members of two families standardise differently; R2 does not change under an affine map per column, so everything is
brought to y * old weight, which is of order one.
"""
from __future__ import annotations

from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

from leapkit import receipts, statistics
from leapkit.climsim import StepReader
from leapkit.errors import KitError, explain_os_errors
from leapkit.files import HashIndex
from leapkit.world import RawData, Submission


class OutOfFold:
    """One artifact's validation predictions (N, 368) and the statistics that they are standardised by."""

    def __init__(self, artifact: str, submission: Submission, raw: RawData, index: HashIndex) -> None:
        parquet = submission.parquet(artifact)
        receipt = receipts.require_valid(parquet, index, "make it again (`make plan` names the command)")
        recorded = receipt.get("details", {}).get("oof")
        self.path = submission.subs / (artifact + ".npy")
        if not recorded:
            raise KitError("was made from a published checkpoint, which comes without out-of-fold predictions", parquet,
                           "train it (`make reproduce`), or blend with a table (TABLE=)")
        if not self.path.exists() or index.of(self.path) != recorded["sha256"]:
            raise KitError("is missing or not what its receipt names", self.path, "run `make reproduce` again")
        with explain_os_errors(self.path):
            self.z = np.load(str(self.path), mmap_mode="r", allow_pickle=False)
        self.sha256: str = recorded["sha256"]
        self.scale = statistics.load(raw.statistics(recorded["family"]), recorded["family"], raw.old_weights)

    def weighted(self, rows: slice) -> np.ndarray:
        return self.scale.weighted(np.asarray(self.z[rows]))


def blocks(raw: RawData, members: Sequence[OutOfFold]) -> Iterator[Tuple[np.ndarray, List[np.ndarray]]]:
    """Yields (truth, predictions) per validation step, (C, 368) float64 each, y * weight, Kaggle order."""
    reader, at = StepReader(), 0
    for pair in raw.validation_pairs():
        _, y = reader.read(pair)
        rows = slice(at, at + len(y))
        for member in members:
            if len(member.z) < rows.stop:
                raise KitError("has %d rows, fewer than the validation steps" % len(member.z), member.path,
                               "run `make reproduce` again")
        yield y * members[0].scale.weight, [member.weighted(rows) for member in members]
        at = rows.stop
    for member in members:
        if len(member.z) != at:
            raise KitError("has %d rows for %d validation rows" % (len(member.z), at), member.path,
                           "run `make reproduce` again")


def search_inputs(raw: RawData, members: Dict[str, OutOfFold], index: HashIndex) -> Dict[str, str]:
    """{role: sha256} of what searched weights depend on."""
    inputs = {"%s.npy" % artifact: member.sha256 for artifact, member in members.items()}
    inputs["validation steps"] = index.of_many([p.mlo for p in raw.validation_pairs()], raw.steps)
    return inputs
