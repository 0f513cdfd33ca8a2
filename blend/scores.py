"""Scores on the test rows: every artifact, the blend, and a ridge regression beside them."""

from __future__ import annotations

from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from blend import baseline, gram
from blend.gram import Gram
from blend.reblocked import Reblocked
from leapkit.core.columns import INPUTS, LINEAR_INPUTS, PREDICTED
from leapkit.core.errors import KitError
from leapkit.core.layout import RawData
from leapkit.data import kaggle_csv, submission
from leapkit.data.scaling import load_scaling
from leapkit.data.score import R2, Score, submission_score

# Targets of all artifacts that are in memory together: 60 MB for 16 artifacts.
_TARGETS_AT_ONCE = 24


def of_parquet(path: Path, truth: Path) -> Score:
    """Score a submission against the withheld truth, streamed, row by row in the same order.

    Raises KitError if their ids differ.
    """
    sums = R2()
    for (ids, values), (true_ids, expected) in zip(
        submission.blocks(path), submission.blocks(truth)
    ):
        if ids != true_ids:
            raise _other_ids(path)
        sums.add(expected, values)
    return submission_score(sums)


def of_ridge(raw: RawData, family: str) -> Score:
    """Fit the ridge on the training steps and score it on test.csv against the truth."""
    scaling = load_scaling(raw.statistics(family), family, raw.old_weights)
    ridge = baseline.fit(raw, scaling)
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    sums = R2()
    truth = Reblocked(raw.truth, submission.blocks(raw.truth))
    for ids, x in kaggle_csv.read_test_csv(raw.test_csv):
        z = ridge.predict(scaling.scaled_test_inputs(x).astype(np.float64))
        sums.add(truth.take(ids), scaling.raw(z, x[:, linear]))
    return submission_score(sums)


def holdout_gram(parquets: Sequence[Path], truth: Path) -> Gram:
    """Multiply the errors of parquets on the test rows.

    The products give the score of any blend of them without reading a row again.

    Some targets of all files at a time, so that memory does not grow with their number. Raises
    KitError if ids differ.
    """
    sources = [(path, submission.open_checked(path)) for path in [*parquets, truth]]

    def of_targets(names: Sequence[str]) -> Gram:
        total = None
        streams = [submission.column_blocks(opened, path, names) for path, opened in sources]
        for blocks in zip_longest(*streams):
            ids, true_values = blocks[-1] or ([], [])
            expected = np.stack(true_values)  # (t, n)
            errors = np.empty((len(names), len(parquets) + 1, len(ids)))
            for m, (block, path) in enumerate(zip(blocks[:-1], parquets)):
                if block is None or not block[0].equals(ids):
                    raise _other_ids(path)
                for k, values in enumerate(block[1]):
                    np.subtract(values, expected[k], out=errors[k, m])
            block_gram = gram.of_rows(expected, errors, parquets, names)
            total = block_gram if total is None else total + block_gram
        assert total is not None
        return total

    starts = range(0, len(PREDICTED), _TARGETS_AT_ONCE)
    return gram.side_by_side(
        [of_targets(PREDICTED[start : start + _TARGETS_AT_ONCE]) for start in starts]
    )


def as_rows(scores: Dict[str, Score]) -> List[Dict[str, Any]]:
    """Turn {name: score} into the rows of scores_<title>.json, without weights."""
    return [{**asdict(score), "name": name} for name, score in scores.items()]


def _other_ids(path: Path) -> KitError:
    return KitError("its sample_ids are not those of the withheld truth", path, submission.REMEDY)
