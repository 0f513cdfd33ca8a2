"""Whole parquets under another's name, and equal bytes under two names, are refused everywhere."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Callable

import pytest

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
from blend import tables
from leapkit.core import receipts
from leapkit.core.errors import KitError
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from tests.helpers.refusals import refused
from tests.helpers.small_blend import SEARCH, THREE, V10, Maker, blend, verdict_of

pytestmark = pytest.mark.process

FIRST, SECOND = V10[:2]


def both(path: Path) -> tuple:
    return path, receipts.receipt_path(path)


def exchange(results: Results) -> None:
    aside = results.subs / "aside"
    for one, other in zip(both(results.parquet(FIRST)), both(results.parquet(SECOND))):
        one.rename(aside)
        other.rename(one)
        aside.rename(other)


def copy_over(results: Results) -> None:
    for one, other in zip(both(results.parquet(FIRST)), both(results.parquet(SECOND))):
        shutil.copyfile(str(one), str(other))


def copy_receipt(results: Results) -> None:
    (_, one), (_, other) = (both(results.parquet(name)) for name in (FIRST, SECOND))
    shutil.copyfile(str(one), str(other))


def rename_in_receipt(results: Results) -> None:
    """Exchange the files, and the names of the products in the receipts, but not the artifacts."""
    for name in (FIRST, SECOND):
        receipt_file = receipts.receipt_path(results.parquet(name))
        receipt = {**json.loads(receipt_file.read_text()), "artifact": name}
        receipt["product"] = results.parquet(SECOND if name == FIRST else FIRST).name
        receipt_file.write_text(json.dumps(receipt))
    exchange(results)


@pytest.mark.parametrize("change", [exchange, copy_over, copy_receipt, rename_in_receipt])
def test_a_parquet_under_another_s_name_is_refused_by_blend_plan_and_verify(
    change: Callable[[Results], None],
    maker: Maker,
    sixteen: Results,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(sixteen)
    path = sixteen.parquet(SECOND if change in (copy_over, copy_receipt) else FIRST)
    other = SECOND if path.stem == FIRST else FIRST
    words = (
        f"its receipt is that of {'the artifact ' if change is rename_in_receipt else ''}{other}"
    )
    with refused(path, words):
        blend(maker, sixteen)
    assert not list(sixteen.blend.glob("*.parquet"))
    with refused(path, words):
        verdict_of("v10", maker, sixteen, [], V10)
    with pytest.raises(KitError, match="of 16 parquets were refused"):
        blend(maker, sixteen, verb="verify")
    assert f"refused: {path}: {words}" in capsys.readouterr().out


def test_a_search_refuses_a_parquet_under_another_s_name(maker: Maker, sixteen: Results) -> None:
    exchange(sixteen)
    with refused(sixteen.parquet(FIRST), f"its receipt is that of {SECOND}"):
        blend(maker, sixteen, *SEARCH)


def admit_twice(maker: Maker, results: Results) -> None:
    """Give a copy a receipt of its own name, as `make verify` did before it compared bytes."""
    copy = results.parquet(SECOND)
    shutil.copyfile(str(results.parquet(FIRST)), str(copy))
    inputs = {role: sha256(file) for role, file in maker.raw.test_files().items()}
    receipts.write(copy, "admitted", inputs, receipts.now(), artifact=SECOND)


def test_the_same_bytes_under_two_names_of_one_table_are_refused(
    maker: Maker, sixteen: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admit_twice(maker, sixteen)
    words = f"has the same bytes as {FIRST}.parquet"
    with refused(sixteen.parquet(SECOND), words, "remove the copy and its receipt"):
        blend(maker, sixteen)
    with refused(sixteen.parquet(SECOND), words):
        verdict_of("v10", maker, sixteen, [], V10)
    with pytest.raises(KitError, match="2 of 16 parquets were refused"):
        blend(maker, sixteen, verb="verify")
    output = capsys.readouterr().out
    assert output.count("has the same bytes as") == 2 and output.count("verified: ") == 14
    # Two tables may each have one of them.
    (tmp_path / "one.csv").write_text(f"artifact,weight\n{V10[2]},0.5\n{SECOND},0.5\n")
    assert blend(maker, sixteen, "--table", str(tmp_path / "one.csv")) == 0


def test_verify_admits_no_copy_of_a_parquet_that_is_there(
    maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = sixteen.parquet("mine")
    os.link(str(sixteen.parquet(FIRST)), str(copy))
    with pytest.raises(KitError, match="1 of 1 parquets were refused"):
        blend(maker, sixteen, "--artifacts", "mine", verb="verify")
    assert f"{copy}: has the same bytes as {FIRST}.parquet" in capsys.readouterr().out
    assert not receipts.receipt_path(copy).exists()
    copy.unlink()
    assert blend(maker, sixteen, verb="verify") == 0


def test_a_search_refuses_the_same_bytes_under_two_names(maker: Maker, sixteen: Results) -> None:
    admit_twice(maker, sixteen)
    with refused(sixteen.parquet(THREE[1]), "has the same bytes as"):
        blend(maker, sixteen, *SEARCH)


def test_a_fine_tuned_network_that_keeps_its_parent_s_weights_may_have_its_bytes(
    maker: Maker, sixteen: Results
) -> None:
    """Its receipt says so of every group; one group less, and the bytes are a copy."""
    admit_twice(maker, sixteen)
    receipt_file = receipts.receipt_path(sixteen.parquet(SECOND))
    receipt = json.loads(receipt_file.read_text())
    groups = [f"909_g{group}" for group in range(7)]
    receipt["details"] = {
        "checkpoints": [f"{group}.pt" for group in groups],
        "parents": {group: "of the parent joseph/907" for group in groups},
    }
    receipt_file.write_text(json.dumps(receipt))
    assert blend(maker, sixteen) == 0
    assert blend(maker, sixteen, verb="verify") == 0
    del receipt["details"]["parents"]["909_g3"]
    receipt_file.write_text(json.dumps(receipt))
    with refused(sixteen.parquet(SECOND), "has the same bytes as"):
        blend(maker, sixteen)


def test_receipts_of_earlier_runs_which_name_no_artifact_still_hold(
    maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    assert all("artifact" not in receipts.read(sixteen.parquet(name)) for name in V10)
    assert blend(maker, sixteen, verb="verify") == 0
    assert blend(maker, sixteen) == 0
    assert verdict_of("v10", maker, sixteen, [], V10).done
    assert receipts.require_valid(sixteen.parquet(FIRST), HashIndex(), "")


def test_a_blend_copied_to_the_name_of_another_table_is_made_again(
    maker: Maker, sixteen: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blend(maker, sixteen) == 0
    tables.find("v10").write(tmp_path / "mine.csv")
    for path in both(sixteen.blend / "final_blend_v10.parquet"):
        shutil.copyfile(str(path), str(path).replace("v10", "mine"))
    capsys.readouterr()
    assert blend(maker, sixteen, "--table", str(tmp_path / "mine.csv")) == 0
    said = capsys.readouterr().out
    assert "blend mine   runs: its receipt is that of final_blend_v10.parquet" in said
    assert "weights mine: 16 rows, sum 1.0000000000000004; the published weights v10" in said
