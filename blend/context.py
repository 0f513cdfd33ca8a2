"""What the steps of one blend read: each made when a step first needs it, and once."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

from blend import gram, scores, validation, validation_errors
from blend.forms import Fits
from blend.gram import Gram
from blend.naming import BlendName
from blend.tables import WeightTable
from blend.validation import ValidationPredictions
from leapkit.core import receipts
from leapkit.core.errors import LONGEST_LINE, KitError, printable
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.core.receipts import Verdict
from leapkit.data.submission import OpenedParquet


@dataclass(frozen=True)
class BlendContext:
    """One blend, the folders and the hashes that its steps share, and what they read.

    choices  {search: the artifacts that it may use}
    """

    name: BlendName
    choices: Mapping[str, Sequence[str]]
    raw: RawData
    results: Results
    index: HashIndex

    @functools.cached_property
    def table(self) -> WeightTable:
        """The weights. Raises KitError if they are to be searched and the search has not run."""
        return self.name.read_table(self.results)

    @functools.cached_property
    def artifacts(self) -> List[str]:
        """The artifacts that a search chooses from, else those of the table."""
        if self.name.search:
            return list(self.choices.get(self.name.search.among, ()))
        return list(self.table.artifacts)

    @property
    def makeable(self) -> List[str]:
        """Artifacts that members make beside those of the shipped tables."""
        return [artifact for artifacts in self.choices.values() for artifact in artifacts]

    @functools.cached_property
    def _opened(self) -> Dict[Path, OpenedParquet]:
        return {}

    def opened(self, path: Path) -> OpenedParquet:
        """Return a parquet that is opened once.

        So all steps read the same file, whatever its name stands for by then.
        """
        if path not in self._opened:
            self._opened[path] = OpenedParquet(path)
        return self._opened[path]

    def parquet(self, artifact: str) -> OpenedParquet:
        """Return the opened parquet of an artifact."""
        return self.opened(self.results.parquet(artifact))

    def is_done(
        self, step: str, target: Path, inputs: Mapping[str, str], beside: Optional[Path] = None
    ) -> bool:
        """Say whether a step is skipped, and why: its receipt decides, and a file beside it."""
        verdict = receipts.judge(target, inputs, self.index)
        if verdict.done and beside and not beside.exists():
            verdict = Verdict(False, f"{beside.name} is missing")
        does = "is skipped" if verdict.done else "runs"
        print(printable(f"{step:<12} {does}: {verdict.reason}", LONGEST_LINE), flush=True)
        return verdict.done

    def require_unchanged(self, digests: Mapping[Path, str]) -> None:
        """Raise KitError unless files that were read still are those that were hashed before.

        digests  {path: sha256}
        """
        for path, digest in digests.items():
            if path in self._opened:
                self._opened[path].require(digest, self.index)
            elif self.index.of(path) != digest:
                raise KitError(
                    "was changed or replaced while it was read", path, "run the same command again"
                )

    @property
    def parquet_digests(self) -> Dict[Path, str]:
        """{path: sha256} of the opened parquets of the artifacts."""
        opened = [self.parquet(artifact) for artifact in self.artifacts]
        return {parquet.path: parquet.digest(self.index) for parquet in opened}

    @functools.cached_property
    def have_predictions(self) -> bool:
        """Whether all artifacts have validation predictions."""
        return validation.have_predictions(self.results, self.raw, self.artifacts)

    @functools.cached_property
    def predictions(self) -> List[ValidationPredictions]:
        """The validation predictions of the artifacts.

        Raises KitError if an artifact has none, or others than its receipt names.
        """
        return validation.load_predictions(self.artifacts, self.results, self.raw, self.index)

    @functools.cached_property
    def validation_inputs(self) -> Dict[str, str]:
        """{role: sha256} of the predictions and the validation steps."""
        return validation.search_inputs(self.raw, self.predictions, self.index)

    def require_unchanged_validation(self) -> None:
        """Raise KitError unless what `validation_inputs` names still is what it was."""
        now = validation.search_inputs(self.raw, self.predictions, self.index)
        changed = [role for role, digest in self.validation_inputs.items() if now[role] != digest]
        if changed:
            raise KitError(
                "changed or replaced while they were read", changed[0], "run the same command again"
            )

    @functools.cached_property
    def fits(self) -> Fits:
        """The forms of weights on the validation errors.

        The errors' Gram matrices come from their file if its receipt holds, else from one pass over
        the rows, which writes the file for every further search and report.
        """
        path = self.name.errors(self.results)
        if not receipts.judge(path, self.validation_inputs, self.index).done:
            started = receipts.now()
            pairs = self.raw.validation_pairs()
            errors = validation_errors.validation_gram(pairs, self.predictions)
            self.require_unchanged_validation()
            errors.save(path)
            receipts.write(path, "errors", self.validation_inputs, started)
        stored = gram.load(path)
        # A table may name the same artifacts in another order.
        return Fits(stored.choosing([stored.artifacts.index(name) for name in self.artifacts]))

    @functools.cached_property
    def holdout(self) -> Optional[Gram]:
        """The errors on the test rows; None if their truth is not known."""
        if not self.raw.truth.exists():
            return None
        artifacts = [self.parquet(artifact) for artifact in self.artifacts]
        return scores.holdout_gram(artifacts, self.opened(self.raw.truth))
