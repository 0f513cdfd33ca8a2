"""What is submitted, and which of its receipts counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict

import pytest

from leapkit.core import receipts, score_receipts
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from leapkit.core.score_receipts import COMPLETE, PARQUET, PENDING, REFUSED, SENDING, ScoreReceipt
from submitting import products
from submitting.products import Product


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


def product(results: Results, name: str, inputs: Dict[str, str], **details: Any) -> Product:
    path = results.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(name.encode())
    receipts.write(path, "blend", inputs, receipts.now(), details)
    return products.read(path, PARQUET, results, HashIndex())


def test_a_network_that_was_trained_here_and_a_blend_of_it_say_so(results: Results) -> None:
    trained = product(results, "subs/trained.parquet", {}, oof={"sha256": "0"})
    taken = product(results, "subs/taken.parquet", {})
    digests = {one.name: one.sha256 for one in (trained, taken)}
    of_both = product(results, "blend/final_blend_v10.parquet", digests)
    of_team = product(results, "blend/final_blend_team.parquet", {taken.name: taken.sha256})
    assert [one.is_trained_here for one in (trained, taken, of_both, of_team)] == [
        *(True, False),
        *(True, False),
    ]


def test_of_several_receipts_of_the_same_bytes_the_furthest_counts(results: Results) -> None:
    sent = product(results, "subs/b.parquet", {})
    assert products.receipt_of(sent, results) is None
    receipt = ScoreReceipt(sent.name, sent.sha256, "leap", sent.name, sent.sha256, "", "", "")
    for name, state in (("d", REFUSED), ("c", SENDING), ("a", PENDING), ("e", COMPLETE)):
        other = dataclasses.replace(receipt, product=f"{name}.parquet", state=state)
        score_receipts.write(results, other)
        assert products.receipt_of(sent, results) == other, state
