"""Applies a weight table to verified parquets, row group by row group (memory does not grow with the rows)."""
from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

from blend.tables import Table
from leapkit import receipts, submission
from leapkit.columns import LINEAR, kaggle_positions
from leapkit.errors import KitError
from leapkit.files import HashIndex, atomic
from leapkit.progress import progress
from leapkit.world import Submission

MEND = "run `make plan`: it names the command that makes it; `make verify` admits a file of your own"


def require_inputs(table: Table, places: Submission, index: HashIndex) -> Dict[str, str]:
    """{role: sha256} of the table and its parquets. Raises KitError unless each has a valid receipt of one test set."""
    inputs, first = {"weights": table.sha256}, None
    for artifact, _ in table.rows:
        path = places.parquet(artifact)
        receipt = receipts.require_valid(path, index, MEND)
        made_for = receipt["inputs"].get("sample_submission.csv")
        first = first or (made_for, path)
        if made_for != first[0]:
            raise KitError("was made for another sample_submission.csv than %s" % first[1].name, path, MEND)
        inputs[path.name] = receipt["sha256"]
    return inputs


def blended(table: Table, places: Submission, ids: Sequence[str]) -> Iterator[np.ndarray]:
    """Yields (n, 368) float64: sum of weight * value in the table's order, starting from 0, as published.

    Rows are joined by sample_id: every parquet must list the ids of sample_submission.csv in that order.
    """
    paths = [places.parquet(artifact) for artifact, _ in table.rows]
    linear, at = kaggle_positions(LINEAR), 0
    whole = abs(sum(weight for _, weight in table.rows) - 1.0) < 1e-9
    with progress(total=len(ids), desc="blending %d parquets" % len(paths), unit="row") as bar:
        for groups in _in_step([submission.blocks(path) for path in paths], paths):
            total = np.zeros((len(groups[0][0]), len(groups[0][1][0])))
            for (found, values), (_, weight), path in zip(groups, table.rows, paths):
                _require_ids(found, ids[at:at + len(found)], at, path)
                total += weight * values
            if whole:
                # Each input holds the formula exactly and the weights sum to 1 within 1e-9: anything else is damage.
                formula = groups[0][1][:, linear]
                if (np.abs(total[:, linear] - formula) > 1e-8 * np.abs(formula)).any():
                    raise KitError("the linear columns of the parquets disagree", paths[0].parent, MEND)
            at += len(total)
            bar.update(len(total))
            yield total


def _in_step(streams: List[Iterator[Tuple[List[str], np.ndarray]]], paths: List[Path]
             ) -> Iterator[List[Tuple[List[str], np.ndarray]]]:
    while True:
        groups = [next(stream, None) for stream in streams]
        if all(group is None for group in groups):
            return
        lengths = [len(group[0]) if group is not None else 0 for group in groups]
        if len(set(lengths)) != 1:
            odd = lengths.index(min(lengths))
            raise KitError("holds fewer rows than %s" % paths[lengths.index(max(lengths))].name, paths[odd], MEND)
        yield groups  # type: ignore[misc]


def _require_ids(found: List[str], expected: Sequence[str], at: int, path: Path) -> None:
    if found != list(expected):
        if len(found) > len(expected):
            raise KitError("has more rows than sample_submission.csv", path, MEND)
        k = next(k for k, (a, b) in enumerate(zip(found, expected)) if a != b)
        raise KitError("row %d has the sample_id %s where sample_submission.csv has %s"
                       % (at + k + 1, found[k], expected[k]), path, MEND)


def write_blend(table: Table, places: Submission, ids: Sequence[str], inputs: Dict[str, str], started: str) -> Path:
    """Writes, verifies and receipts submission/blend/final_blend_<table>.parquet."""
    target = places.blend / ("final_blend_%s.parquet" % table.name)
    with atomic(target) as temporary:
        submission.write(temporary, ids, blended(table, places, ids))
        submission.verify(temporary, ids, None, name=target)
    receipts.write(target, "blend", inputs, started, {
        "table": table.name, "rows": len(ids), "weights": [[artifact, weight] for artifact, weight in table.rows]})
    return target
