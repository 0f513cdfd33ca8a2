"""Scores where the truth is known: every artifact, the blend, and a ridge regression beside them."""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from blend import baseline
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
    sums, truth = R2(), submission.blocks(raw.truth)
    held_ids: List[str] = []
    held = np.empty((0, 0))
    for ids, x in kaggle.test_rows(raw.test_csv):
        predicted = scale.raw(ridge.predict(scale.test_inputs(x).astype(np.float64)), x[:, linear])
        while len(ids):
            if not held_ids:
                held_ids, held = next(truth)
            count = min(len(ids), len(held_ids))
            if ids[:count] != held_ids[:count]:
                raise KitError("its sample_ids are not those of test.csv", raw.truth, kaggle.REMEDY)
            sums.add(held[:count], predicted[:count])
            ids, predicted = ids[count:], predicted[count:]
            held_ids, held = held_ids[count:], held[count:]
    return submission_score(sums)


def as_rows(scores: Dict[str, Score]) -> List[Dict[str, Any]]:
    return [dict(asdict(score), name=name) for name, score in scores.items()]
