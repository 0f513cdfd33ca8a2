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
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results


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

    @property
    def parquets(self) -> List[Path]:
        return [self.results.parquet(artifact) for artifact in self.artifacts]

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
            validation_errors.validation_gram(pairs, self.predictions).save(path)
            receipts.write(path, "errors", self.validation_inputs, started)
        stored = gram.load(path)
        # A table may name the same artifacts in another order.
        return Fits(stored.choosing([stored.artifacts.index(name) for name in self.artifacts]))

    @functools.cached_property
    def holdout(self) -> Optional[Gram]:
        """The errors on the test rows; None if their truth is not known."""
        if not self.raw.truth.exists():
            return None
        return scores.holdout_gram(self.parquets, self.raw.truth)
