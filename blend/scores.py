"""Scores on the test rows: every artifact, the blend, and a ridge regression beside them."""

from __future__ import annotations

from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import pyarrow as pa

from blend import baseline, gram
from blend.gram import Gram
from blend.reblocked import Reblocked
from leapkit.core.columns import INPUTS, LINEAR_INPUTS, PREDICTED
from leapkit.core.layout import RawData
from leapkit.data import kaggle_csv, submission
from leapkit.data.id_checker import require_ids
from leapkit.data.scaling import load_scaling
from leapkit.data.score import R2, Score, submission_score
from leapkit.data.submission import OpenedParquet

# Targets of all artifacts that are in memory together: 60 MB for 16 artifacts.
_TARGETS_AT_ONCE = 24


def of_parquet(parquet: OpenedParquet, truth: OpenedParquet) -> Score:
    """Score a submission against the withheld truth, streamed, row by row in the same order.

    Raises KitError if their ids differ.
    """
    sums = R2()
    row = 0
    nothing: Tuple[List[str], np.ndarray] = ([], np.empty((0, 0)))
    for (ids, values), (true_ids, expected) in zip_longest(
        parquet.blocks(), truth.blocks(), fillvalue=nothing
    ):
        _require_true_ids(ids, true_ids, row, parquet.path)
        sums.add(expected, values)
        row += len(ids)
    return submission_score(sums)


def of_ridge(raw: RawData, true_values: OpenedParquet, family: str) -> Score:
    """Fit the ridge on the training steps and score it on test.csv against the truth."""
    scaling = load_scaling(raw.statistics(family), family, raw.old_weights)
    ridge = baseline.fit(raw, scaling)
    linear = [INPUTS.index(name) for name in LINEAR_INPUTS]
    sums = R2()
    truth = Reblocked(true_values.path, true_values.blocks())
    for ids, x in kaggle_csv.read_test_csv(raw.test_csv):
        z = ridge.predict(scaling.scaled_test_inputs(x).astype(np.float64))
        sums.add(truth.take(ids), scaling.raw(z, x[:, linear]))
    return submission_score(sums)


def holdout_gram(parquets: Sequence[OpenedParquet], truth: OpenedParquet) -> Gram:
    """Multiply the errors of parquets on the test rows.

    The products give the score of any blend of them without reading a row again.

    Some targets of all files at a time, so that memory does not grow with their number. Raises
    KitError if ids differ.
    """
    paths = [parquet.path for parquet in parquets]

    def of_targets(names: Sequence[str]) -> Gram:
        total = None
        row = 0
        streams = [opened.column_blocks(names) for opened in [*parquets, truth]]
        for blocks in zip_longest(*streams):
            ids, true_values = blocks[-1] or (pa.array([], pa.string()), [])
            for block, path in zip(blocks[:-1], paths):
                if block is None or not block[0].equals(ids):
                    present = block[0].to_pylist() if block else []
                    _require_true_ids(present, ids.to_pylist(), row, path)
            expected = np.stack(true_values)  # (t, n)
            errors = np.empty((len(names), len(parquets) + 1, len(ids)))
            for m, (_, predicted) in enumerate(blocks[:-1]):
                for k, values in enumerate(predicted):
                    np.subtract(values, expected[k], out=errors[k, m])
            block_gram = gram.of_rows(expected, errors, paths, names)
            total = block_gram if total is None else total + block_gram
            row += len(ids)
        assert total is not None
        return total

    starts = range(0, len(PREDICTED), _TARGETS_AT_ONCE)
    return gram.side_by_side(
        [of_targets(PREDICTED[start : start + _TARGETS_AT_ONCE]) for start in starts]
    )


def as_rows(scores: Dict[str, Score]) -> List[Dict[str, Any]]:
    """Turn {name: score} into the rows of scores_<title>.json, without weights."""
    return [{**asdict(score), "name": name} for name, score in scores.items()]


def _require_true_ids(ids: List[str], true_ids: List[str], row: int, path: Path) -> None:
    require_ids(ids, true_ids, row, path, submission.REMEDY, "the withheld truth")
