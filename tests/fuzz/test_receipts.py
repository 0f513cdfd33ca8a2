"""A thousand mutations of receipts: the same verdict, another with its reason, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any, Callable, Dict, List

import pytest

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
from blend import final, parquets, validation
from leapkit.core import ownership, receipts
from leapkit.core.errors import KitError
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.input_hashes import InputHashes
from leapkit.core.layout import RawData, Results
from tests.fuzz.mutations import mutations

COUNT = 1000
DECISIVE = ("product", "artifact", "sha256", "numerics", "inputs")
VALUES: List[Any] = [None, 0, 1.5, True, "", "x", [], [1], {}, {"a": 1}, 10**30, "9" * 400]


def change_a_value(content: bytes, random: Random) -> bytes:
    """Give one key, at any depth, a value of another type, or another key's value."""
    receipt = json.loads(content)
    place: Dict[str, Any] = receipt
    while True:
        key = random.choice(sorted(place))
        if isinstance(place[key], dict) and place[key] and random.randrange(3):
            place = place[key]
            continue
        place[key] = random.choice([*VALUES, *place.values()])
        return json.dumps(receipt).encode()


def lose_a_key(content: bytes, random: Random) -> bytes:
    receipt = json.loads(content)
    del receipt[random.choice(sorted(receipt))]
    return json.dumps(receipt).encode()


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return results with one admitted parquet, whose receipt records all that readers look for."""
    results = Results(tmp_path / "submission")
    raw = RawData(tmp_path / "raw")
    for file in raw.test_files().values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(file.name.encode())
    parquet = results.parquet("a")
    parquet.parent.mkdir(parents=True)
    parquet.write_bytes(b"the product")
    inputs = {role: sha256(file) for role, file in raw.test_files().items()}
    details = {
        "effect": {"fluxes": {"moved": {"cam_out_SOLL": 0.5}, "test R2": [0.1, 0.2]}},
        "oof": {"sha256": "0" * 64, "family": "adam"},
        "parents": {"a_g0": "of the parent x"},
        "checkpoints": ["a_g0.pt"],
        "profile": "sample",
    }
    receipts.write(
        parquet, ownership.ADMITTED, inputs, receipts.now(), details, artifact=parquet.stem
    )
    return results


def test_a_mutated_receipt_proves_what_it_proved_or_nothing(results: Results) -> None:
    parquet = results.parquet("a")
    receipt_file = receipts.receipt_path(parquet)
    content = receipt_file.read_bytes()
    original = json.loads(content)
    raw = RawData(results.root.parent / "raw")
    index = HashIndex()
    hashes = InputHashes(raw, index)
    inputs = hashes.test()
    recorded = lambda: receipts.read(parquet).get("details", {}).get("oof")  # noqa: E731
    readers: List[Callable[[], object]] = [
        lambda: receipts.require_valid(parquet, index, "make it again"),
        lambda: ownership.is_admitted(parquet, hashes),
        lambda: ownership.require_replaceable(parquet, parquet, "sample"),
        lambda: parquets.keeps_weights_of_parent(receipts.read(parquet)),
        lambda: validation.have_predictions(results, raw, ["a"]),
        lambda: validation._load("a", recorded(), results, raw, index),
        lambda: final._effect_lines(parquet),
    ]
    proved = 0
    for mutated in mutations(content, COUNT, seed=14, more=(change_a_value, lose_a_key)):
        receipt_file.write_bytes(mutated)
        verdict = receipts.judge(parquet, inputs, index)
        if verdict.done:
            proved += 1
            receipt = json.loads(mutated)
            for key in DECISIVE[:1] + DECISIVE[2:]:
                assert receipt[key] == original[key], mutated
            assert receipt.get("artifact", "a") == "a"
        else:
            assert verdict.reason
        for read in readers:
            try:
                read()
            except KitError as error:
                assert error.what and error.remedy, error
    assert COUNT // 20 < proved < COUNT
