"""Applies a weight table to verified parquets, row group by row group (memory does not grow with the rows)."""
from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, Sequence

import numpy as np

from blend.plan import final_path, misnamed
from blend.tables import Table
from leapkit import receipts, submission
from leapkit.columns import LINEAR, TARGETS, kaggle_positions
from leapkit.errors import KitError
from leapkit.files import HashIndex, atomic
from leapkit.progress import progress
from leapkit.world import Submission

MEND = "run `make plan`: it names the command that makes it; `make verify` admits a file of your own"


def require_inputs(table: Table, places: Submission, sample_submission: Path, index: HashIndex) -> Dict[str, str]:
    """{role: sha256} of the table and its parquets. Raises KitError unless each has a valid receipt of this test set."""
    inputs, wanted = {"weights": table.sha256}, index.of(sample_submission)
    for artifact, _ in table.rows:
        path = places.parquet(artifact)
        other = "" if path.exists() else misnamed(places, artifact)
        if other:
            raise KitError("is missing, but %s lies there, which is another name of it" % other, path,
                           "rename that file, then run `make verify`")
        receipt = receipts.require_valid(path, index, MEND)
        if receipt["inputs"].get("sample_submission.csv") != wanted:
            raise KitError("was made for another sample_submission.csv than %s" % sample_submission, path, MEND)
        inputs[path.name] = receipt["sha256"]
    return inputs


def blended(table: Table, places: Submission, ids: Sequence[str]) -> Iterator[np.ndarray]:
    """Yields (n, 368) float64: sum of weight * value in the table's order, starting from 0, as published.

    Rows are joined by sample_id: every parquet must list the ids of sample_submission.csv in that order.
    """
    paths = [places.parquet(artifact) for artifact, _ in table.rows]
    linear, at = kaggle_positions(LINEAR), 0
    whole = abs(sum(weight for _, weight in table.rows) - 1.0) < 1e-9
    streams = [submission.blocks(path) for path in paths]
    with progress(total=len(ids), desc="blending %d parquets" % len(paths), unit="row") as bar:
        while at < len(ids):
            expected = ids[at:at + submission.ROW_GROUP]
            total, formula = np.zeros((len(TARGETS), len(expected))).T, None
            # One decoded row group at a time: memory does not grow with the number of parquets either.
            for stream, (_, weight), path in zip(streams, table.rows, paths):
                found, values = next(stream, ([], np.empty((0, len(TARGETS)))))
                submission.require_ids(found, expected, at, path, MEND)
                formula = values[:, linear] if formula is None else formula
                total += weight * values
                del values
            # Each input holds the formula exactly and the weights sum to 1 within 1e-9: anything else is damage.
            if whole and formula is not None and (np.abs(total[:, linear] - formula) > 1e-8 * np.abs(formula)).any():
                raise KitError("the linear columns of the parquets disagree", paths[0].parent, MEND)
            at += len(total)
            bar.update(len(total))
            yield total
        for stream, path in zip(streams, paths):
            if next(stream, None) is not None:
                raise KitError("has more rows than sample_submission.csv (%d)" % len(ids), path, MEND)


def write_blend(table: Table, places: Submission, ids: Sequence[str], inputs: Dict[str, str], started: str) -> Path:
    """Writes, verifies and receipts submission/blend/final_blend_<table>.parquet."""
    target = final_path(places, table.name)
    with atomic(target) as temporary:
        submission.write(temporary, ids, blended(table, places, ids))
        submission.verify(temporary, ids, None, name=target)
    receipts.write(target, "blend", inputs, started, {
        "table": table.name, "rows": len(ids), "weights": [[artifact, weight] for artifact, weight in table.rows]})
    return target
