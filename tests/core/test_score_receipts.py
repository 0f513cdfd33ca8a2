"""The receipt of a score."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from leapkit.core import score_receipts
from leapkit.core.errors import KitError
from leapkit.core.layout import Results
from leapkit.core.score_receipts import COMPLETE, PENDING, ScoreReceipt

SHA = "0123456789abcdef" * 4
SENT = ScoreReceipt(
    product="adam_195_78569.oof.parquet",
    sha256=SHA,
    competition="leap-atmospheric-physics-ai-climsim",
    file="adam_195_78569.oof.parquet",
    file_sha256=SHA,
    description=f"adam_195_78569.oof sha256={SHA}",
    client="kaggle 2.2.4",
    began="2026-11-28T12:00:00+00:00",
)


def test_a_receipt_reads_as_it_was_written_and_later_states_take_its_place(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert score_receipts.read_all(results) == []
    path = score_receipts.write(results, SENT)
    assert path == tmp_path / "scores" / "adam_195_78569.oof.0123456789ab.json"
    assert score_receipts.read(path) == SENT and SENT.public_r2 is None
    scored = dataclasses.replace(
        SENT, state=COMPLETE, ref=7, public="0.78334", private="0.77753", answered=SENT.began
    )
    assert score_receipts.write(results, scored) == path
    assert score_receipts.read_all(results) == [scored]
    assert (scored.stem, scored.public_r2, scored.private_r2) == (
        "adam_195_78569.oof",
        0.78334,
        0.77753,
    )


def test_new_bytes_under_an_old_name_keep_the_old_score(tmp_path: Path) -> None:
    results = Results(tmp_path)
    score_receipts.write(results, SENT)
    score_receipts.write(results, dataclasses.replace(SENT, sha256="f" * 64))
    (results.scores / ".partial-x.json").write_text("cut")
    assert [receipt.sha256 for receipt in score_receipts.read_all(results)] == [SHA, "f" * 64]


def test_a_score_is_a_finite_number() -> None:
    scores = [dataclasses.replace(SENT, public=text).public_r2 for text in ("-3.5", "NaN", "inf")]
    assert scores == [-3.5, None, None]


def test_kaggle_has_what_it_scored_or_will_score(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for state in score_receipts.STATES:
        score_receipts.write(results, dataclasses.replace(SENT, sha256=state, state=state))
    assert score_receipts.on_kaggle(results) == {PENDING, COMPLETE}


@pytest.mark.parametrize(
    "change",
    [{"state": "lost"}, {"ref": "7"}, {"ref": True}, {"public": 0.79}, {"more": 1}],
    ids=str,
)
def test_what_is_no_receipt_is_named(tmp_path: Path, change: object) -> None:
    assert isinstance(change, dict)
    path = score_receipts.write(Results(tmp_path), dataclasses.replace(SENT, state=PENDING))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(KitError, match="is not the receipt of a score"):
        score_receipts.read(path)
