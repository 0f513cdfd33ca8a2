"""A step is done only if its receipt names today's inputs and the product's present bytes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leapkit.core import receipts
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.receipts import judge, receipt_path, require_valid
from tests.helpers.refusals import refused

INPUTS = {"test.csv": "a" * 64, "195.pt": "b" * 64}
REMEDY = "run `make adam`"


@pytest.fixture
def product(tmp_path: Path) -> Path:
    path = tmp_path / "adam_195_78569.oof.parquet"
    path.write_bytes(b"the product")
    receipts.write(path, "submission", INPUTS, receipts.now(), {"rows": 7})
    return path


def change_receipt(product: Path, **fields: Any) -> None:
    path = receipt_path(product)
    receipt: Dict[str, Any] = json.loads(path.read_text())
    receipt.update(fields)
    path.write_text(json.dumps(receipt))


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, receipt",
    [
        (
            "max_022_deeper_gf_cv7908_lbUnknown.parquet",
            "max_022_deeper_gf_cv7908_lbUnknown.receipt.json",
        ),
        (
            "forcewithme_gf_reslstm_cv0.790_lb0.785.parquet",
            "forcewithme_gf_reslstm_cv0.790_lb0.785.receipt.json",
        ),
        ("adam_195_78569.oof.parquet", "adam_195_78569.oof.receipt.json"),
        ("195.pt", "195.receipt.json"),
        ("no-suffix", "no-suffix.receipt.json"),
        (".hidden", ".hidden.receipt.json"),
    ],
)
def test_a_receipt_keeps_every_dot_of_its_product_s_name(name: str, receipt: str) -> None:
    assert receipt_path(Path("subs") / name) == Path("subs") / receipt


@given(st.lists(st.text("abc._-0", min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
def test_two_artifacts_never_share_a_receipt(stems: list) -> None:
    receipt, other_receipt = (receipt_path(Path("subs") / (stem + ".parquet")) for stem in stems)
    assert receipt != other_receipt


# --- judge ----------------------------------------------------------------------------------------


def test_an_unchanged_product_of_the_same_inputs_is_done(product: Path) -> None:
    verdict = judge(product, INPUTS, HashIndex())
    assert verdict.done and verdict.reason == "its receipt proves it"


@pytest.mark.parametrize(
    "inputs, reason",
    [
        (dict(INPUTS, **{"195.pt": "c" * 64}), "195.pt has changed"),
        (dict(INPUTS, **{"mean.json": "c" * 64}), "mean.json is new"),
        ({"test.csv": "a" * 64}, "195.pt is no longer used"),
        ({}, "195.pt is no longer used"),
    ],
)
def test_other_inputs_are_a_reason_to_run_and_the_reason_names_the_input(
    product: Path, inputs: Dict[str, str], reason: str
) -> None:
    verdict = judge(product, inputs, HashIndex())
    assert not verdict.done and verdict.reason == reason


def test_a_missing_product_is_not_made_yet_even_with_a_receipt(product: Path) -> None:
    product.unlink()
    assert judge(product, INPUTS, HashIndex()) == receipts.Verdict(False, "not made yet")


def test_a_product_without_a_receipt_is_not_done(product: Path) -> None:
    receipt_path(product).unlink()
    assert judge(product, INPUTS, HashIndex()) == receipts.Verdict(False, "it has no receipt")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'"text"',
        b"{}",
        b'{"inputs": {}}',
        b"\xff\xfe\x00",
        b'{"inputs": 7, "sha256": ""}',
        b'{"inputs": ["ab"], "sha256": [1]}',
        b'{"sha256": "x"}',
        b'{"inputs": null, "sha256": "x"}',
    ],
)
def test_an_unreadable_receipt_is_no_proof_and_no_traceback(product: Path, content: bytes) -> None:
    receipt_path(product).write_bytes(content)
    verdict = judge(product, INPUTS, HashIndex())
    assert not verdict.done and verdict.reason
    assert receipts.read(product).get("inputs", {}) == {}
    with refused(receipt_path(product).name[: -len(".receipt.json")], REMEDY):
        require_valid(product, HashIndex(), REMEDY)


@pytest.mark.parametrize(
    "edit",
    [lambda b: b"THE product", lambda b: b + b"!", lambda b: b[:-1], lambda b: b""],
    ids=["same size", "longer", "cut", "empty"],
)
def test_an_edited_product_is_noticed_whatever_its_times_say(product: Path, edit: Any) -> None:
    index = HashIndex()
    status = os.stat(str(product))
    assert judge(product, INPUTS, index).done
    product.write_bytes(edit(product.read_bytes()))
    os.utime(str(product), ns=(status.st_atime_ns, status.st_mtime_ns))
    assert judge(product, INPUTS, index) == receipts.Verdict(
        False, "its bytes are not those of its receipt"
    )


def test_modification_times_alone_decide_nothing(product: Path) -> None:
    os.utime(str(product), (0, 0))
    assert judge(product, INPUTS, HashIndex()).done
    os.utime(str(receipt_path(product)), (0, 0))
    os.utime(str(product))
    assert judge(product, INPUTS, HashIndex()).done


def test_another_version_of_the_arithmetic_is_a_reason_to_run(
    product: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "NUMERICS", receipts.NUMERICS + 1)
    assert judge(product, INPUTS, HashIndex()) == receipts.Verdict(
        False, "it was made by another version of the arithmetic"
    )


def test_what_cannot_change_the_result_never_decides(product: Path) -> None:
    change_receipt(
        product,
        environment={"python": "2.7"},
        started="1999",
        finished="1999",
        details={},
        kind="?",
    )
    assert judge(product, INPUTS, HashIndex()).done


def test_judging_writes_nothing(product: Path) -> None:
    before = {p.name: (sha256(p), p.stat().st_mtime_ns) for p in product.parent.iterdir()}
    judge(product, INPUTS, HashIndex())
    judge(product, {}, HashIndex())
    assert {p.name: (sha256(p), p.stat().st_mtime_ns) for p in product.parent.iterdir()} == before


# --- the receipt itself ---------------------------------------------------------------------------


def test_a_receipt_says_what_made_the_product_from_what_when_and_on_what(
    product: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAP_STACK", "published")
    monkeypatch.setenv("LEAP_IMAGE", "leap-adam@sha256:0")
    monkeypatch.setenv("LEAP_CODE", "deadbeef")
    receipts.write(product, "submission", INPUTS, "2024-07-28T00:00:00+00:00", {"rows": 7})
    receipt = json.loads(receipt_path(product).read_text())
    assert (
        receipt["inputs"] == INPUTS
        and receipt["kind"] == "submission"
        and receipt["details"].pop("peak memory")["GB"] > 0
        and receipt["details"] == {"rows": 7}
    )
    assert receipt["sha256"] == sha256(product) and receipt["bytes"] == len(b"the product")
    assert receipt["product"] == product.name and receipt["numerics"] == receipts.NUMERICS
    environment = receipt["environment"]
    assert (environment["stack"], environment["image"], environment["code"]) == (
        "published",
        "leap-adam@sha256:0",
        "deadbeef",
    )
    assert receipt["started"] < receipt["finished"]


def test_times_are_in_utc_and_sort_as_text() -> None:
    assert re.match(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\+00:00$", receipts.now())


def test_a_receipt_reads_back_and_a_missing_one_is_empty(product: Path) -> None:
    assert receipts.read(product)["details"]["rows"] == 7
    assert receipts.read(product.with_name("another.parquet")) == {}


# --- require_valid --------------------------------------------------------------------------------


def test_a_valid_product_gives_its_receipt(product: Path) -> None:
    assert require_valid(product, HashIndex(), REMEDY)["inputs"] == INPUTS


def test_a_missing_product_is_refused_with_the_command_that_makes_it(product: Path) -> None:
    product.unlink()
    with refused(product, "is missing", REMEDY):
        require_valid(product, HashIndex(), REMEDY)


def test_a_product_without_a_receipt_is_refused(product: Path) -> None:
    receipt_path(product).unlink()
    with refused(product, "has no receipt", REMEDY):
        require_valid(product, HashIndex(), REMEDY)


def test_an_edited_product_is_refused(product: Path) -> None:
    product.write_bytes(b"the produce")
    with refused(product, "changed or cut off", REMEDY):
        require_valid(product, HashIndex(), REMEDY)


def test_a_receipt_of_another_file_is_refused(product: Path) -> None:
    other = product.with_name("other.parquet")
    other.write_bytes(b"another product")
    receipt_path(product).rename(receipt_path(other))
    with refused(other, f"its receipt is that of {product.name}", REMEDY):
        require_valid(other, HashIndex(), REMEDY)


# --- whose receipt it is --------------------------------------------------------------------------


def exchanged(product: Path) -> Path:
    """Exchange the product and its receipt with those of another one, and return the product."""
    other = product.with_name("max_021_moredim_gf_cv7904_lbUnknown.parquet")
    other.write_bytes(b"another product")
    receipts.write(other, "submission", INPUTS, receipts.now(), artifact=other.stem)
    for path, other_path in ((product, other), (receipt_path(product), receipt_path(other))):
        content = path.read_bytes()
        path.write_bytes(other_path.read_bytes())
        other_path.write_bytes(content)
    return product


def renamed(product: Path) -> Path:
    """Rename a product and its receipt, and the name that the receipt has of the product."""
    other = product.with_name("other.parquet")
    content = {**receipts.read(product), "product": other.name, "artifact": product.stem}
    receipt_path(product).write_text(json.dumps(content))
    receipt_path(product).rename(receipt_path(other))
    product.rename(other)
    return other


@pytest.mark.parametrize(
    "change, other",
    [
        (exchanged, "max_021_moredim_gf_cv7904_lbUnknown.parquet"),
        (renamed, "the artifact adam_195_78569.oof"),
    ],
)
def test_a_whole_product_with_the_receipt_of_another_name_counts_nowhere(
    change: Callable[[Path], Path], other: str, product: Path
) -> None:
    path = change(product)
    verdict = judge(path, INPUTS, HashIndex())
    assert not verdict.done and verdict.reason == f"its receipt is that of {other}"
    with refused(path, f"its receipt is that of {other}", "exchanged", REMEDY):
        require_valid(path, HashIndex(), REMEDY)


def test_a_receipt_names_the_artifact_of_a_parquet(product: Path) -> None:
    receipts.write(product, "submission", INPUTS, receipts.now(), artifact=product.stem)
    assert receipts.read(product)["artifact"] == "adam_195_78569.oof"
    assert judge(product, INPUTS, HashIndex()).done
    require_valid(product, HashIndex(), REMEDY)


def test_a_receipt_of_an_earlier_version_that_names_no_artifact_still_holds(product: Path) -> None:
    assert "artifact" not in receipts.read(product)
    assert judge(product, INPUTS, HashIndex()).done


def test_a_receipt_names_the_bytes_that_were_checked_not_those_that_replaced_them(
    product: Path,
) -> None:
    checked = sha256(product)
    product.write_bytes(b"a stranger's")
    receipts.write(product, "submission", INPUTS, receipts.now(), digest=checked)
    assert judge(product, INPUTS, HashIndex()).reason == "its bytes are not those of its receipt"
