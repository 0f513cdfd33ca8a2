"""Every product of a run is told, a stack's too, and a receipt of anybody stops no report."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict

import pytest

pytest.importorskip("plotly", reason="reports are made on Python 3.11 alone")
from leapkit.core import receipts
from leapkit.core.layout import Results, RunFiles
from reports import collection, crate, page, traces
from reports.record import Record

EARLY, LATE = "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-12:00"
HOSTILE: Dict[str, Dict[str, Any]] = {
    "environment": {"environment": {"packages": "all", "lock": 3, "code": ["x"], "python": {}}},
    "times": {"started": EARLY, "finished": LATE},
    "details": {"details": {key: [[]] for key in ("cores", "profile", "table", "seconds")}},
    "numbers": {
        "product": ".",
        "details": {
            "seconds": -1e308,
            "peak memory": {"GB": 1e308, "GPU GB": True},
            "recipe": {"lr": {"": {"": []}}},
            "weights": [{}, 1],
            "validation": {"all_columns": 1e308, "groups": [[]] * 7},
            "environments": [1, {"torch": {}}],
            "out of fold": {"stack": [2]},
        },
    },
}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return a training, an inference, a stack and a blend, as far as a record reads them."""
    results = Results(tmp_path / "out")
    head = RunFiles(results.experiment("adam", "200"), "200").confidence
    product(results.experiment("adam", "200") / "200.pt", "training")
    head.write_bytes(b"the head")
    product(results.parquet("adam_200_78362.oof"), "submission", experiment="adam/200")
    for fold in range(2):
        product(results.root / "stacks" / "searched" / f"fold_{fold}.pt", "stack network")
    scores = {"blend": {"all_columns": 0.5}, "stack": {"all_columns": 0.625}}
    product(results.parquet("stack_searched"), "submission", **{"out of fold": scores})
    product(results.blend / "final_blend_searched.parquet", "blend", table="searched")
    return results


def product(path: Path, kind: str, **details: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.name.encode())
    receipts.write(path, kind, {"test.csv": "0" * 64}, receipts.now(), details, path.stem)


def views(results: Results) -> Record:
    """Return the record, after its page and its crate were made of it."""
    record = collection.collect(results, {})
    page.html(record).encode()
    crate.text(crate.document(record)).encode()
    return record


def test_a_stack_is_told_with_its_networks_and_what_it_reaches_out_of_fold(
    results: Results,
) -> None:
    record = views(results)
    assert {"train stack_searched fold_0", "infer stack_searched"} <= {s.name for s in record.steps}
    [stack] = [each for each in record.networks if each.name == "stack_searched"]
    assert stack.validation == 0.625 and len(stack.steps) == 3
    made_by = {each["@id"]: each for each in crate.document(record)["@graph"]}
    for name in ("stack_searched%20fold_1", "stack_searched%20fold_0"):
        software = made_by[f"#step/train%20{name}"]["instrument"]["@id"]
        assert made_by[software]["name"].startswith("stacking")


def test_the_head_beside_a_checkpoint_is_made_with_it_and_lacks_no_receipt(
    results: Results,
) -> None:
    record = views(results)
    train = record.step("train adam/200")
    assert train and "outputs/adam/200/200.confidence.pt" in [each.path for each in train.outputs]
    assert {step.standing.state for step in record.steps} == {"valid"}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_receipt_of_anybody_stops_no_report(results: Results, change: Dict[str, Any]) -> None:
    count = len(views(results).steps)
    for trace in traces.of_results(results):
        path = receipts.receipt_path(trace.product)
        path.write_text(json.dumps({**trace.receipt, **change}))
    assert len(views(results).steps) == count


def test_what_is_no_file_is_not_waited_for(results: Results) -> None:
    path = results.parquet("adam_200_78362.oof")
    path.unlink()
    os.mkfifo(str(path))
    step = views(results).step("infer adam/200")
    assert step and step.standing.reason == "it is no plain file"
