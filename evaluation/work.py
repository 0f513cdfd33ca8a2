"""Figures and pages of predictions: made unless a receipt proves that nothing has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from evaluation import figures, pages
from evaluation.judging import AT_ONCE, judge
from evaluation.predictions import Prediction
from evaluation.truths import Truth
from leapkit.climate.grid import Grid
from leapkit.climate.results import plain
from leapkit.core import receipts
from leapkit.core.errors import LONGEST_LINE, KitError, printable
from leapkit.core.files import sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.receipts import Verdict

# Raise it when a change of the code changes figures: all older ones are then made again.
NUMERICS = 1


def evaluate(
    folder: Path,
    truth: Truth,
    predictions: Sequence[Prediction],
    grid: Grid,
    index: HashIndex,
) -> None:
    """Write the figures of each prediction that have changed, then every page.

    Raises KitError if two predictions have one name, and for what `judge` refuses.
    """
    names = [prediction.name for prediction in predictions]
    for name in names:
        if names.count(name) > 1:
            raise KitError("two predictions have this name", name, "rename one of the files")
    common = {
        **truth.inputs(index),
        "grid": sha256_json(plain(grid)),
        "figures": sha256_json([figures.FORM, NUMERICS]),
    }
    to_do: Dict[str, Mapping[str, str]] = {}
    for prediction in predictions:
        inputs = {**common, **prediction.inputs(index)}
        verdict = _verdict(folder, prediction.name, inputs, index)
        _say(prediction.name, verdict)
        if not verdict.done:
            to_do[prediction.name] = inputs
    waiting = [prediction for prediction in predictions if prediction.name in to_do]
    for start in range(0, len(waiting), AT_ONCE):
        _write_figures(folder, truth, waiting[start : start + AT_ONCE], grid, to_do, index)
    write_pages(folder, index)


def _write_figures(
    folder: Path,
    truth: Truth,
    predictions: Sequence[Prediction],
    grid: Grid,
    to_do: Mapping[str, Mapping[str, str]],
    index: HashIndex,
) -> None:
    started = receipts.now()
    judged = judge(truth, predictions, grid)
    for prediction in predictions:
        inputs = to_do[prediction.name]
        now = {**truth.inputs(index), **prediction.inputs(index)}
        changed = [role for role, digest in now.items() if inputs[role] != digest]
        if changed:
            what = f"{changed[0]} was changed or replaced while it was read"
            raise KitError(what, prediction.name, "run the same command again")
        result = judged.results[prediction.name]
        figures.write(folder, prediction, truth, result, judged.land, inputs)
        target = figures.files(folder, prediction.name)[0]
        receipts.write(target, "evaluation", inputs, started, {"rows": result.rows})


def _verdict(folder: Path, name: str, inputs: Mapping[str, str], index: HashIndex) -> Verdict:
    target, *beside = figures.files(folder, name)
    verdict = receipts.judge(target, inputs, index)
    missing = [path.name for path in beside if not path.exists()]
    if verdict.done and missing:
        return Verdict(False, f"{missing[0]} is missing")
    return verdict


def write_pages(folder: Path, index: HashIndex) -> None:
    """Write a page for each prediction with figures, and the page that compares them."""
    stored: List[Path] = []
    for path in sorted(folder.glob("*.json")):
        if not path.name.endswith(receipts.SUFFIX) and receipts.receipt_path(path).exists():
            stored.append(path)
    target = folder / "index.html"
    inputs = {path.name: index.of(path) for path in stored}
    inputs["page"] = pages.version()
    verdict = receipts.judge(target, inputs, index)
    missing = [path.stem for path in stored if not path.with_suffix(".html").exists()]
    if verdict.done and missing:
        verdict = Verdict(False, f"{missing[0]}.html is missing")
    _say("pages", verdict)
    if not verdict.done:
        started = receipts.now()
        known: List[Dict[str, Any]] = [figures.read(path) for path in stored]
        pages.write(folder, known)
        receipts.write(target, "pages", inputs, started)


def _say(step: str, verdict: Verdict) -> None:
    does = "is skipped" if verdict.done else "runs"
    print(printable(f"{step} {does}: {verdict.reason}", LONGEST_LINE), flush=True)
