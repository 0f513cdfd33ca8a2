"""What is submitted is checked first: a submission of the day is never wasted."""

from __future__ import annotations

import csv
import io
import operator
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
from blend import submittable
from leapkit.core import receipts
from leapkit.core.columns import SAMPLE_ID, TARGETS, ZERO, kaggle_positions
from leapkit.core.errors import KitError
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from leapkit.data import submission
from tests.helpers.small_blend import Maker, blend

ARTIFACT = "adam_195_78569.oof"
ROWS = 144


def check(maker: Maker, results: Results, form: str = "parquet", rows: int = ROWS) -> None:
    index = HashIndex(results.hashes)
    products = [results.parquet(ARTIFACT)]
    submittable.require_submittable(maker.raw, results, index, products, form, rows)


@pytest.fixture
def results(maker: Maker, tmp_path: Path) -> Results:
    results = Results(tmp_path / "submission")
    maker.write(results, ARTIFACT, maker.values(0))
    return results


def test_a_parquet_of_another_world_is_refused(maker: Maker, results: Results) -> None:
    check(maker, results)
    with pytest.raises(KitError, match="has 144 rows and Kaggle's test set 625,000"):
        check(maker, results, rows=submittable.KAGGLE_ROWS)
    with pytest.raises(KitError, match="Kaggle's test set 625,000"):
        blend(maker, results, f"--products=subs/{ARTIFACT}.parquet", verb="submittable")


def rewritten(maker: Maker, results: Results, values: np.ndarray, **more: object) -> None:
    maker.write(results, ARTIFACT, values, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["NaN", "ids", "zero", "bytes", "no receipt", "columns"])
def test_what_kaggle_could_not_score_is_refused_by_name(
    maker: Maker, results: Results, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = maker.values(0)
    path = results.parquet(ARTIFACT)
    if damage == "NaN":
        values[7, 100] = np.nan
        rewritten(maker, results, values)
    elif damage == "zero":
        values[7, kaggle_positions(ZERO)[0]] = 1.0
        rewritten(maker, results, values)
    elif damage == "ids":
        rewritten(maker, results, values, ids=maker.ids[::-1])
    elif damage == "columns":
        path.write_bytes(b"PAR1 is no parquet PAR1")
        receipts.write(path, "submission", {}, receipts.now())
    elif damage == "bytes":
        path.write_bytes(path.read_bytes() + b"x")
    else:
        receipts.receipt_path(path).unlink()
    words = {
        "NaN": "is NaN or infinite",
        "zero": "is not 0 throughout",
        "ids": "id",
        "columns": "not a parquet file",
        "bytes": "its bytes are not those of its receipt",
        "no receipt": "has no receipt",
    }
    with pytest.raises(KitError, match="1 of 1 files cannot be submitted, so none is sent"):
        check(maker, results)
    out = capsys.readouterr().out
    assert out.startswith("refused: ") and words[damage] in out


@pytest.mark.parametrize(
    "form, where", [("parquet", "submission.verify"), ("csv", "pa.csv.write_csv")]
)
def test_a_parquet_that_is_changed_while_it_is_read_is_refused(
    maker: Maker,
    results: Results,
    form: str,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = results.parquet(ARTIFACT)
    changed = path.read_bytes()[::-1]
    module, _, name = where.rpartition(".")
    original = operator.attrgetter(where)(submittable)

    def read_and_changed(*given: Any) -> None:
        original(*given)
        path.write_bytes(changed)

    monkeypatch.setattr(operator.attrgetter(module)(submittable), name, read_and_changed)
    with pytest.raises(KitError) as refusal:
        check(maker, results, form)
    assert "was changed or replaced while" in capsys.readouterr().out + str(refusal.value)
    assert not (results.subs / f"{ARTIFACT}.csv.zip").exists()


def test_the_csv_holds_the_same_float64_and_is_made_once(maker: Maker, results: Results) -> None:
    check(maker, results, form="csv")
    path = results.subs / f"{ARTIFACT}.csv.zip"
    with zipfile.ZipFile(str(path)) as archive:
        (name,) = archive.namelist()
        text = archive.read(name).decode("ascii")
    header, *lines = csv.reader(io.StringIO(text))
    assert name == f"{ARTIFACT}.csv" and header == [SAMPLE_ID, *TARGETS]
    ((ids, values),) = submission.blocks(results.parquet(ARTIFACT))
    assert [line[0] for line in lines] == ids
    read = np.array([[float(cell) for cell in line[1:]] for line in lines])
    assert (read == values).all(), "to the last bit"
    receipt = receipts.read(path)
    assert receipt["inputs"] == {f"{ARTIFACT}.parquet": sha256(results.parquet(ARTIFACT))}
    digest, made = sha256(path), path.stat().st_mtime_ns
    check(maker, results, form="csv")
    assert path.stat().st_mtime_ns == made
    path.unlink()
    check(maker, results, form="csv")
    assert sha256(path) == digest, "the same numbers make the same bytes"
