"""Applies a weight table to verified parquets, row group by row group (memory does not grow with the rows)."""
from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from blend import plan, tables
from blend.tables import COLUMNS_OF, Table
from leapkit import receipts, submission
from leapkit.columns import GROUP_NAMES, GROUPS, LINEAR, TARGETS, TARGETS_TO_KAGGLE, ZERO, kaggle_positions
from leapkit.errors import KitError
from leapkit.files import HashIndex, atomic
from leapkit.progress import progress
from leapkit.world import RawData, Submission

# Files from elsewhere may hold the linear columns to 1e-12 (see submission.verify), so two of them differ by twice that.
_LINEAR_RTOL = 2e-12
_ZERO, _LINEAR = kaggle_positions(ZERO), kaggle_positions(LINEAR)
Finish = Callable[[Sequence[str], np.ndarray], None]  # changes rows (n, 368) of these ids in place


def require_inputs(table: Table, places: Submission, raw: RawData, index: HashIndex, known: Sequence[str] = ()
                   ) -> Dict[str, str]:
    """{file name: sha256} of the table's parquets. Raises KitError unless each has a valid receipt of this test set.

    known  artifacts beside those of the shipped tables that members make
    """
    found = {}
    for artifact in table.artifacts:
        path = places.parquet(artifact)
        if not path.exists():
            _refuse_missing(artifact, table, places, known)
        receipt = receipts.require_valid(path, index, plan.mend(artifact))
        for role, file in raw.test_files().items():
            if receipt["inputs"].get(role) != index.of(file):
                raise KitError("its receipt is stale: it was made for another %s than %s" % (role, file), path,
                               plan.mend(artifact))
        found[path.name] = receipt["sha256"]
    return found


def _refuse_missing(artifact: str, table: Table, places: Submission, known: Sequence[str]) -> None:
    path, other = places.parquet(artifact), plan.misnamed(places, artifact)
    if other:
        raise KitError("is missing, but %s lies there, which is another name of it" % other, path,
                       "rename that file, then run `make verify`")
    if tables.is_known(artifact) or artifact in known:
        raise KitError("is missing", path, plan.mend(artifact))
    raise KitError("names the artifact %s, of which there is no parquet: %s" % (artifact, plan.unknown(artifact)),
                   table.source or "table " + table.name,
                   "mend the name, or put the file into %s and run `make verify`" % places.subs)


def weights_of(table: Table) -> np.ndarray:
    """(M, 368) float64, Kaggle order: the weight of every artifact for every target."""
    held = np.array([row[1:] for row in table.rows], dtype=np.float64)
    if table.columns == COLUMNS_OF["group"]:
        assert len(GROUPS) == len(GROUP_NAMES)
        held = np.concatenate([np.repeat(held[:, [g]], group.stop - group.start, axis=1)
                               for g, group in enumerate(GROUPS)], axis=1)[:, TARGETS_TO_KAGGLE]
    return np.ascontiguousarray(np.broadcast_to(held, (len(held), len(TARGETS))))


def blended(table: Table, places: Submission, ids: Sequence[str], finish: Optional[Finish] = None
            ) -> Iterator[np.ndarray]:
    """Yields (n, 368) float64: sum of weight * value in the table's order, starting from 0, as published.

    Rows are joined by sample_id: every parquet must list the ids of sample_submission.csv in that order. A linear column
    whose weights do not sum to 1 within 1e-9 keeps its formula, which all parquets hold.
    """
    paths, weights = [places.parquet(artifact) for artifact in table.artifacts], weights_of(table)
    kept = [j for j in _LINEAR if abs(weights[:, j].sum() - 1.0) > 1e-9]
    streams, at = [submission.blocks(path) for path in paths], 0
    with progress(total=len(ids), desc="blending %d parquets" % len(paths), unit="row") as bar:
        while at < len(ids):
            expected = ids[at:at + submission.ROW_GROUP]
            total = np.zeros((len(TARGETS), len(expected)))
            formula: List[np.ndarray] = []
            term = np.empty(len(expected))
            # One decoded row group at a time: memory does not grow with the number of parquets either.
            for stream, path, artifact, own in zip(streams, paths, table.artifacts, weights):
                found, values = next(stream, ([], np.empty((0, len(TARGETS)))))
                submission.require_ids(found, expected, at, path, plan.mend(artifact))
                formula = formula or [values.T[_LINEAR]]
                _require_contract(values.T, formula[0], path, paths[0], artifact)
                for k, weight in enumerate(own):  # column by column, as parquet is stored: each fits in the cache
                    np.multiply(values.T[k], weight, out=term)
                    total[k] += term
                del values
            total[kept] = formula[0][[_LINEAR.index(j) for j in kept]]
            if finish:
                finish(expected, total.T)
            at += len(expected)
            bar.update(len(expected))
            yield total.T
        for stream, path, artifact in zip(streams, paths, table.artifacts):
            if next(stream, None) is not None:
                raise KitError("has more rows than sample_submission.csv (%d)" % len(ids), path, plan.mend(artifact))


def _require_contract(values: np.ndarray, formula: np.ndarray, path: Path, first: Path, artifact: str) -> None:
    """values (368, n) of a parquet: finite, 0 in the zero columns, the linear columns those of the first parquet."""
    # A sum is NaN or infinite when any term is.
    if not np.isfinite(values.sum()) and not np.isfinite(values).all():
        k = int(np.argwhere(~np.isfinite(values))[0][0])
        raise KitError("%s holds a NaN or an infinity" % TARGETS[k], path, plan.mend(artifact))
    if values[_ZERO].any():
        raise KitError("%s is not 0 throughout" % TARGETS[_ZERO[int(np.argwhere(values[_ZERO])[0][0])]], path,
                       plan.mend(artifact))
    wrong = np.abs(values[_LINEAR] - formula) > _LINEAR_RTOL * np.abs(formula)
    if wrong.any():
        raise KitError("its linear column %s is not that of %s: one of them was made from another test.csv" % (
            LINEAR[int(np.argwhere(wrong)[0][0])], first.name), path, plan.mend(artifact))


def write_blend(table: Table, places: Submission, ids: Sequence[str], inputs: Dict[str, str], started: str,
                options: Sequence[str] = (), finish: Optional[Finish] = None,
                effect: Callable[[], Dict[str, object]] = dict) -> Path:
    """Writes, verifies and receipts submission/blend/final_blend_<table>[+<options>].parquet."""
    target = plan.final_path(places, plan.title(table.name, options))
    with atomic(target) as temporary:
        submission.write(temporary, ids, blended(table, places, ids, finish))
        submission.verify(temporary, ids, None, name=target)
    receipts.write(target, "blend", inputs, started, {
        "table": table.name, "read from": table.source or "the search", "weights for": _scope(table), "rows": len(ids),
        "weights": [_recorded(row, places, inputs) for row in table.rows], "post-processing": list(options), **effect()})
    return target


def _scope(table: Table) -> str:
    return next(scope for scope, columns in COLUMNS_OF.items() if columns == table.columns)


def _recorded(row: Tuple[object, ...], places: Submission, inputs: Dict[str, str]) -> Dict[str, object]:
    """An artifact with the bytes and the weight, or weights, that it went in with."""
    return {"artifact": row[0], "sha256": inputs[places.parquet(str(row[0])).name],
            "weight": row[1] if len(row) == 2 else list(row[1:])}
