"""Scores where the truth is known: every artifact, the blend, and a ridge regression beside them."""

from __future__ import annotations

from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from blend import baseline, gram
from blend.postprocess import Rows
from leapkit.core.columns import INPUTS, LINEAR_INPUTS, PREDICTED
from leapkit.core.errors import KitError
from leapkit.core.layout import RawData
from leapkit.data import kaggle_csv, scaling, submission
from leapkit.data.score import R2, Score, submission_score

_AT_ONCE = 24  # columns of all artifacts that are in memory together: 60 MB for 16 of them


def of_parquet(path: Path, truth: Path) -> Score:
    """Streams a submission against the withheld truth, both in the order of sample_submission.csv."""
    sums = R2()
    for (ids, values), (true_ids, expected) in zip(
        submission.blocks(path), submission.blocks(truth)
    ):
        if ids != true_ids:
            raise KitError(
                "its sample_ids are not those of the withheld truth", path, submission.REMEDY
            )
        sums.add(expected, values)
    return submission_score(sums)


def of_ridge(raw: RawData, family: str) -> Score:
    """Fits the ridge on the world's training steps and scores it on test.csv against the truth."""
    scale = scaling.load_scaling(raw.statistics(family), family, raw.old_weights)
    ridge = baseline.fit(raw, scale)
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    sums, truth = R2(), Rows(raw.truth, submission.blocks(raw.truth))
    for ids, x in kaggle_csv.read_test_csv(raw.test_csv):
        sums.add(
            truth.take(ids),
            scale.raw(ridge.predict(scale.scaled_test_inputs(x).astype(np.float64)), x[:, linear]),
        )
    return submission_score(sums)


def holdout_gram(artifacts: Sequence[str], parquets: Sequence[Path], truth: Path) -> gram.Gram:
    """The errors of parquets on the test rows, whose truth is known: the score of any blend of them without a row more.

    Some columns of all files at a time, so that memory does not grow with their number.
    """
    sources = [(path, submission.open_checked(path)) for path in [*parquets, truth]]

    def of_columns(names: Sequence[str]) -> gram.Gram:
        total = None
        for rows in zip_longest(
            *(submission.column_blocks(opened, path, names) for path, opened in sources)
        ):
            ids, columns = rows[-1] or ([], [])
            wanted = np.stack(columns)  # (t, n)
            errors = np.empty((len(names), len(parquets) + 1, len(ids)))
            for m, (row, path) in enumerate(zip(rows[:-1], parquets)):
                if row is None or not row[0].equals(ids):
                    raise KitError(
                        "its sample_ids are not those of the withheld truth",
                        path,
                        submission.REMEDY,
                    )
                for k, column in enumerate(row[1]):
                    np.subtract(column, wanted[k], out=errors[k, m])
            one = gram.of_rows(wanted, errors, parquets, names)
            total = one if total is None else total + one
        assert total is not None
        return total

    return gram.side_by_side(
        [of_columns(PREDICTED[at : at + _AT_ONCE]) for at in range(0, len(PREDICTED), _AT_ONCE)]
    )


def as_rows(scores: Dict[str, Score]) -> List[Dict[str, Any]]:
    return [dict(asdict(score), name=name) for name, score in scores.items()]
