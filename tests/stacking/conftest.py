"""Three artifacts of the tiny world as if they had been trained here, and their table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from blend.tables import WeightTable
from leapkit.core import receipts
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.input_hashes import InputHashes
from leapkit.core.layout import Results
from tests.helpers.small_blend import THREE, Maker

WEIGHTS = (0.625, 0.5, -0.125)


def prove_training(
    results: Results, maker: Maker, artifact: str, number: str, parent: str = "", weights: str = ""
) -> None:
    """Write a checkpoint and its receipt, and let the parquet's receipt name them.

    parent   sha256 of the checkpoint that it was fine-tuned from
    weights  content of the checkpoint, if not its own
    """
    checkpoint = results.experiment("adam", number) / f"{number}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_text(weights or f"weights of {number}")
    split = InputHashes(maker.raw, HashIndex()).validation()
    inputs = {**split, **({"parent": parent} if parent else {})}
    trained = receipts.write(checkpoint, "training", inputs, receipts.now())
    path = receipts.receipt_path(results.parquet(artifact))
    receipt = json.loads(path.read_text())
    receipt["details"].update(experiment=f"adam/{number}", checkpoints=[checkpoint.name])
    receipt["inputs"][f"checkpoint {number}"] = trained["sha256"]
    path.write_text(json.dumps(receipt))


@pytest.fixture
def table() -> WeightTable:
    return WeightTable("mine", tuple(zip(THREE, WEIGHTS)))


@pytest.fixture
def trained(maker: Maker, tmp_path: Path, table: WeightTable) -> Results:
    """Return results with the three artifacts and the table mine.csv beside them."""
    results = Results(tmp_path / "submission")
    maker.all(results, THREE, THREE)
    for number, artifact in enumerate(THREE):
        prove_training(results, maker, artifact, str(number))
    table.write(tmp_path / "mine.csv")
    return results


def digest_of(results: Results, number: str) -> str:
    return sha256(results.experiment("adam", number) / f"{number}.pt")
