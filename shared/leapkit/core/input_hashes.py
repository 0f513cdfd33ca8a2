"""Hashes of the files that a run's steps depend on, by role, as receipts record them."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Sequence

from leapkit.core.errors import KitError
from leapkit.core.files import sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData
from leapkit.core.recipes import RowSelection
from leapkit.core.step_files import StepPair


class InputHashes:
    """{role: sha256} of a world's files, each computed once for all experiments.

    All methods raise KitError if a file is missing.
    """

    def __init__(self, raw: RawData, index: HashIndex) -> None:
        self.raw = raw
        self.index = index
        self._steps: Dict[str, Dict[str, str]] = {}

    def of(self, path: Path) -> str:
        """Return the hash of one file."""
        if not path.exists():
            raise KitError(
                "the file is missing",
                path,
                "`make fetch` says how to get it; `make reproduce PROFILE=sample` needs no data",
            )
        return self.index.of(path)

    def scaling(self, family: str) -> Dict[str, str]:
        """Return the hashes of what a family's scaling is computed from."""
        return {role: self.of(path) for role, path in self.raw.scaling_files(family).items()}

    def test(self) -> Dict[str, str]:
        """Return the hashes of the files that say what is predicted, in which order."""
        return {role: self.of(path) for role, path in self.raw.test_files().items()}

    def steps(self, first_month: str) -> Dict[str, str]:
        """Return the hashes of the split and of its step files.

        Training starts at `first_month`; validation does not depend on it.
        """
        if first_month not in self._steps:
            training = self.raw.training_pairs(first_month)
            self._steps[first_month] = {
                **self.validation(),
                "training steps": self._of_pairs(training),
            }
        return self._steps[first_month]

    def validation(self) -> Dict[str, str]:
        """Return the hashes of the split and of the step files that no network may learn from."""
        stride = self.raw.split().validation_stride
        pairs = self.raw.validation_pairs()
        return {
            "split": sha256_json([stride, [pair.mli.name for pair in pairs]]),
            "validation steps": self._of_pairs(pairs),
        }

    def rows(self, selection: RowSelection) -> Dict[str, str]:
        """Return the hashes of `steps`, and of the file that names the rows if there is one."""
        hashes = dict(self.steps(selection.first_month))
        row_index = self.raw.row_index(selection)
        if row_index:
            hashes["experiment index"] = self.of(row_index)
        return hashes

    def _of_pairs(self, pairs: Sequence[StepPair]) -> str:
        files = [file for pair in pairs for file in (pair.mli, pair.mlo)]
        return self.index.of_many(files, self.raw.steps)
