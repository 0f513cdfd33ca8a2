"""A file that is replaced or changed while it is used: its old bytes are used, or it is refused.

The receipt never names bytes that were not read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
from blend import apply, parquets, scores, tables, validation_errors
from leapkit.core import receipts
from leapkit.core.columns import TARGETS
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from leapkit.data import submission
from tests.helpers.refusals import refused
from tests.helpers.small_blend import SEARCH, THREE, V10, Maker, blend

pytestmark = pytest.mark.process

ARTIFACT = V10[3]
Change = Callable[[Path], None]


@pytest.fixture
def stranger(maker: Maker, tmp_path: Path) -> bytes:
    """Return a parquet that keeps the contract and holds other values."""
    path = maker.write(Results(tmp_path / "elsewhere"), ARTIFACT, maker.values(99))
    return path.read_bytes()


def replace(path: Path, content: bytes) -> None:
    """Give a file's name to another file, as every careful program does."""
    other = path.with_name("other")
    other.write_bytes(content)
    os.replace(str(other), str(path))


def overwrite(path: Path, content: bytes) -> None:
    """Write into a file, as `cp` does."""
    path.write_bytes(content)


def once(change: Callable[[], None]) -> Callable[[], None]:
    """Return a function that makes the change when it is first called."""
    left = [change]
    return lambda: left.pop()() if left else None


def final_values(results: Results) -> np.ndarray:
    table = pq.read_table(str(results.blend / "final_blend_v10.parquet"))
    return np.stack([table.column(name).to_numpy() for name in TARGETS], axis=1)


def expected_values(maker: Maker) -> np.ndarray:
    total = np.zeros((len(maker.ids), len(TARGETS)))
    for seed, (_, weight) in enumerate(tables.find("v10").rows):
        total += weight * maker.values(seed)
    return total


def in_the_middle_of_the_blend(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """Make the change when the first of three blocks has been written."""
    monkeypatch.setattr(submission, "ROW_GROUP", 50)
    original = apply.blended

    def blended(*arguments: Any) -> Iterator[np.ndarray]:
        for block in original(*arguments):
            yield block
            change()

    monkeypatch.setattr(apply, "blended", blended)


def test_a_parquet_replaced_in_the_middle_of_the_blend_is_blended_as_it_was(
    maker: Maker, sixteen: Results, stranger: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sixteen.parquet(ARTIFACT)
    digest = sha256(path)
    with monkeypatch.context() as patch:
        in_the_middle_of_the_blend(patch, once(lambda: replace(path, stranger)))
        assert blend(maker, sixteen) == 0
    assert path.read_bytes() == stranger
    assert final_values(sixteen).tobytes() == expected_values(maker).tobytes()
    receipt = receipts.read(sixteen.blend / "final_blend_v10.parquet")
    assert receipt["inputs"][path.name] == digest
    # So are its scores, and what has changed is noticed by the next run.
    assert receipts.read(sixteen.blend / "scores_v10.json")["inputs"][path.name] == digest
    with refused(path, "its bytes are not those of its receipt"):
        blend(maker, sixteen)


def test_a_parquet_overwritten_in_the_middle_of_the_blend_is_refused(
    maker: Maker, sixteen: Results, stranger: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sixteen.parquet(ARTIFACT)
    in_the_middle_of_the_blend(monkeypatch, once(lambda: overwrite(path, stranger)))
    with refused(path):
        blend(maker, sixteen)
    assert not list(sixteen.blend.glob("*.parquet")) and not list(sixteen.blend.glob("*.json"))


def test_a_parquet_overwritten_when_it_was_read_is_refused(
    maker: Maker, sixteen: Results, stranger: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sixteen.parquet(ARTIFACT)
    original = apply.blended

    def blended(*arguments: Any) -> Iterator[np.ndarray]:
        yield from original(*arguments)
        overwrite(path, stranger)

    monkeypatch.setattr(apply, "blended", blended)
    with refused(path, "was changed or replaced while it was read", "run the same command again"):
        blend(maker, sixteen)
    assert not list(sixteen.blend.glob("*.parquet"))


@pytest.mark.parametrize("change", [replace, overwrite])
def test_a_parquet_changed_between_its_check_and_the_blend_is_refused(
    change: Callable[[Path, bytes], None],
    maker: Maker,
    sixteen: Results,
    stranger: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = sixteen.parquet(ARTIFACT)
    original = parquets.require_parquets

    def required(*arguments: Any) -> Any:
        hashes = original(*arguments)
        change(path, stranger)
        return hashes

    monkeypatch.setattr(parquets, "require_parquets", required)
    with refused(path, "was changed or replaced while it was read"):
        blend(maker, sixteen)
    assert not list(sixteen.blend.glob("*.parquet"))


@pytest.mark.parametrize("change", [replace, overwrite])
def test_scores_are_of_the_bytes_that_their_receipt_names(
    change: Callable[[Path, bytes], None],
    maker: Maker,
    sixteen: Results,
    stranger: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert blend(maker, sixteen) == 0
    path = sixteen.parquet(ARTIFACT)
    target = sixteen.blend / "scores_v10.json"
    right = target.read_bytes()
    digest = receipts.read(target)["inputs"][path.name]
    target.unlink()
    original = scores.of_parquet
    change_once = once(lambda: change(path, stranger))

    def scored(*arguments: Any) -> Any:
        score = original(*arguments)
        change_once()
        return score

    monkeypatch.setattr(scores, "of_parquet", scored)
    if change is replace:
        assert blend(maker, sixteen) == 0
        assert target.read_bytes() == right
        assert receipts.read(target)["inputs"][path.name] == digest
    else:
        with refused(path):
            blend(maker, sixteen)
        assert not target.exists()


@pytest.mark.parametrize("change", [replace, overwrite])
def test_weights_are_searched_on_the_predictions_that_their_receipt_names(
    change: Callable[[Path, bytes], None],
    maker: Maker,
    sixteen: Results,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = sixteen.validation_predictions(THREE[1])
    content = path.read_bytes()[:-96] + bytes(96)
    original = validation_errors.validation_gram

    def made(pairs: Any, members: Any) -> Any:
        if change is replace:
            change(path, content)
        errors = original(pairs, members)
        if change is overwrite:
            change(path, content)
        return errors

    expected = sha256(path)
    monkeypatch.setattr(validation_errors, "validation_gram", made)
    target = sixteen.blend / "gram_searched.npz"
    if change is overwrite:
        with refused(f"{THREE[1]}.npy", "changed or replaced while they were read"):
            blend(maker, sixteen, *SEARCH)
        assert not target.exists()
        return
    assert blend(maker, sixteen, *SEARCH) == 0
    assert receipts.read(target)["inputs"][path.name] == expected
    untouched = target.read_bytes()
    monkeypatch.undo()
    path.write_bytes(content)  # what the search must not have read
    receipt_file = receipts.receipt_path(sixteen.parquet(THREE[1]))
    receipt = json.loads(receipt_file.read_text())
    receipt["details"]["oof"]["sha256"] = sha256(path)
    receipt_file.write_text(json.dumps(receipt))
    assert blend(maker, sixteen, *SEARCH) == 0
    assert target.read_bytes() != untouched


@pytest.mark.parametrize("change", [replace, overwrite])
def test_verify_never_writes_a_receipt_that_proves_bytes_that_it_did_not_check(
    change: Callable[[Path, bytes], None],
    maker: Maker,
    sixteen: Results,
    stranger: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = sixteen.parquet(ARTIFACT)
    receipts.receipt_path(path).unlink()
    original = submission.verify

    def verified(*arguments: Any, **options: Any) -> None:
        original(*arguments, **options)
        change(path, stranger)

    with monkeypatch.context() as patch:
        patch.setattr(submission, "verify", verified)
        if change is replace:
            assert blend(maker, sixteen, "--artifacts", ARTIFACT, verb="verify") == 0
        else:
            with refused("1 of 1 parquets were refused"):
                blend(maker, sixteen, "--artifacts", ARTIFACT, verb="verify")
            assert not receipts.receipt_path(path).exists()
            return
    with refused(path, "its bytes are not those of its receipt"):
        receipts.require_valid(path, HashIndex(), "admit it again")
