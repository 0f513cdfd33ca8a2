"""Scores where the truth is known: every artifact, the blend, and a ridge regression beside them."""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from blend import baseline, gram
from blend.postprocess import Rows
from leapkit import kaggle, statistics, submission
from leapkit.columns import INPUTS, LINEAR_INPUTS
from leapkit.errors import KitError
from leapkit.score import R2, Score, submission_score
from leapkit.world import RawData


def of_parquet(path: Path, truth: Path) -> Score:
    """Streams a submission against the withheld truth, both in the order of sample_submission.csv."""
    sums = R2()
    for (ids, values), (true_ids, expected) in zip(submission.blocks(path), submission.blocks(truth)):
        if ids != true_ids:
            raise KitError("its sample_ids are not those of the withheld truth", path, submission.REMEDY)
        sums.add(expected, values)
    return submission_score(sums)


def of_ridge(raw: RawData, family: str) -> Score:
    """Fits the ridge on the world's training steps and scores it on test.csv against the truth."""
    scale = statistics.load(raw.statistics(family), family, raw.old_weights)
    ridge = baseline.fit(raw, scale)
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    sums, truth = R2(), Rows(raw.truth, submission.blocks(raw.truth))
    for ids, x in kaggle.test_rows(raw.test_csv):
        sums.add(truth.take(ids), scale.raw(ridge.predict(scale.test_inputs(x).astype(np.float64)), x[:, linear]))
    return submission_score(sums)


def test_gram(artifacts: Sequence[str], parquets: Sequence[Path], truth: Path) -> gram.Gram:
    """The errors of parquets on the test rows, whose truth is known: the score of any blend of them without a row more."""
    def grams() -> Iterator[Tuple[int, gram.Gram]]:
        streams = [submission.blocks(path) for path in parquets]
        for ids, expected in submission.blocks(truth):
            wanted = expected.T[gram.COLUMNS]                                                # (292, n)
            errors = np.empty((len(wanted), len(parquets) + 1, len(ids)))
            for m, (stream, path) in enumerate(zip(streams, parquets)):
                found, values = next(stream, ([], expected[:0]))
                if found != ids:
                    raise KitError("its sample_ids are not those of the withheld truth", path, submission.REMEDY)
                np.subtract(values.T[gram.COLUMNS], wanted, out=errors[:, m])
            yield 0, gram.of_rows(wanted, errors, parquets)
    return gram.folded(artifacts, ["test"], grams()).whole


def as_rows(scores: Dict[str, Score]) -> List[Dict[str, Any]]:
    return [dict(asdict(score), name=name) for name, score in scores.items()]
