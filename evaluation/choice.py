"""Which predictions `make evaluate` judges: those that it is asked for, else all that exist."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Set, Tuple

from blend import tables
from blend.parquets import remedy
from blend.table_text import FIELDS_OF_SCOPE
from blend.tables import WeightTable
from blend.validation import have_predictions, load_predictions, rows_of_steps
from evaluation.predictions import (
    BlendOnValidation,
    NetworkOnValidation,
    ParquetPrediction,
    Prediction,
)
from leapkit.core import receipts
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results

BLEND = "final_blend_"  # what the files of blends begin with
NOTHING = "run `make reproduce` or `make infer-only` first, or name files with PREDICTIONS="


def of_test_rows(
    results: Results, artifacts: Sequence[str], index: HashIndex
) -> Tuple[List[Prediction], List[str]]:
    """Return the parquets of blends and networks, and a line for each that is left out.

    artifacts  those of the user; none means all that a receipt proves
    Raises KitError if one that the user names is not proven.
    """
    chosen: List[Prediction] = []
    left_out: List[str] = []
    for title in [] if artifacts else _titles(results):
        path = results.blend / f"{BLEND}{title}.parquet"
        verdict = _unproven(path, index, "run `make blend` again")
        if verdict:
            left_out.append(verdict)
        else:
            chosen.append(ParquetPrediction(f"blend_{title}", _made_of(results, title), path))
    for artifact in _named(results, artifacts) or _artifacts(results):
        path = results.parquet(artifact)
        if artifacts:
            receipts.require_valid(path, index, remedy(artifact))
        verdict = _unproven(path, index, remedy(artifact))
        if verdict:
            left_out.append(verdict)
        else:
            chosen.append(ParquetPrediction(artifact, "a network's parquet", path))
    return chosen, left_out


def of_validation_rows(
    raw: RawData, results: Results, artifacts: Sequence[str], index: HashIndex
) -> Tuple[List[Prediction], List[str]]:
    """Return blends and networks by their validation predictions; else as `of_test_rows`."""
    chosen: List[Prediction] = []
    left_out: List[str] = []
    networks: Set[str] = set()
    pairs = raw.validation_pairs()
    for artifact in _named(results, artifacts) or _artifacts(results):
        if not artifacts and not have_predictions(results, raw, [artifact]):
            left_out.append(f"{artifact} has no validation predictions: it was not trained here")
            continue
        members = load_predictions([artifact], results, raw, index)
        rows_of_steps(pairs, members)
        chosen.append(NetworkOnValidation(members[0]))
        networks.add(artifact)
    blends: List[Prediction] = []
    for title in [] if artifacts else _titles(results):
        details = receipts.read(results.blend / f"{BLEND}{title}.parquet").get("details", {})
        try:
            table = _table(title, details)
        except (KeyError, TypeError, ValueError, KitError):
            left_out.append(f"blend {title} has no receipt that names its weights")
            continue
        if set(table.artifacts) <= networks:
            members = load_predictions(table.artifacts, results, raw, index)
            options = tuple(map(str, details.get("post-processing", ())))
            blends.append(BlendOnValidation(f"blend_{title}", table, members, options))
        else:
            left_out.append(f"blend {title} has artifacts without validation predictions")
    return [*blends, *chosen], left_out


def _table(title: str, details: Dict[str, Any]) -> WeightTable:
    """Return the weights that a blend's receipt names."""
    rows = []
    for entry in details["weights"]:
        weights = entry["weight"] if isinstance(entry["weight"], list) else [entry["weight"]]
        rows.append((str(entry["artifact"]), *map(float, weights)))
    return WeightTable(title, tuple(rows), FIELDS_OF_SCOPE[details["weights for"]])


def _made_of(results: Results, title: str) -> str:
    details = receipts.read(results.blend / f"{BLEND}{title}.parquet").get("details", {})
    weights = details.get("weights")
    return f"a blend of {len(weights)} networks" if isinstance(weights, list) else "a blend"


def _titles(results: Results) -> List[str]:
    paths = sorted(results.blend.glob(f"{BLEND}*.parquet"))
    return [path.stem[len(BLEND) :] for path in paths]


def _artifacts(results: Results) -> List[str]:
    return [path.stem for path in sorted(results.subs.glob("[!.]*.parquet"))]


def _named(results: Results, artifacts: Sequence[str]) -> List[str]:
    """Return the artifacts that the user names, by the names that their files have."""
    exist = set(_artifacts(results))
    return [name if name in exist else tables.canonical(name) for name in artifacts]


def _unproven(path: Any, index: HashIndex, again: str) -> str:
    """Return why a parquet is left out, "" if its receipt proves it."""
    try:
        receipts.require_valid(path, index, again)
    except KitError as error:
        return str(error)
    return ""
