"""The table of what exists and what is missing."""

from __future__ import annotations

import re
from typing import Dict

import pytest

from tests.fetch.offers import MONTH, TEST, put_on_disk
from tests.fetch.user import User

pytestmark = pytest.mark.process


def test_without_what_it_lists_everything_and_changes_nothing(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    put_on_disk(user, tiny_steps, missing=3)
    folder = user.steps / MONTH
    (folder / "E3SM-MMF.mli.0008-02-30-00000.nc").write_bytes(b"")
    (folder / "notes of mine.txt").write_bytes(b"")
    damaged = folder / sorted(tiny_steps)[0]
    damaged.write_bytes(damaged.read_bytes()[:-8])
    (user.raw / "kaggle-data").mkdir()
    (user.raw / "kaggle-data" / "test.csv").write_bytes(TEST)
    before = {path: path.stat().st_mtime_ns for path in user.home.rglob("*")}
    text = user.fetch()
    assert {
        path: path.stat().st_mtime_ns for path in user.home.rglob("*")
    } == before and not user.internet.requests
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ")}
    assert lines["kaggle-data/test.csv"].split()[1:] == ["present"]
    assert (
        "missing, optional" in lines["kaggle-data/train.csv"]
        and "182 GB" in lines["kaggle-data/train.csv"]
    )
    assert "make fetch WHAT=statistics" in lines["statistics/fdzm/mean.json"]
    # The mli file of the first step is cut, the mlo files of the last three are not there.
    assert re.search(r"train/0008-02 +2012 of 2016 steps .*MONTHS=0008-02$", text, re.M), text
    assert re.search(
        r"train/0001-02 to 0008-01 +missing +.*make fetch WHAT=steps MONTHS=0001-02:0008-01$",
        text,
        re.M,
    ), text
    for note in (
        "unexpected name: E3SM-MMF.mli.0008-02-30-00000.nc",
        "unexpected name: notes of mine.txt",
        f"{damaged.name}: is truncated: ",
        "missing: 195.pt, 197.pt, 200.pt",
    ):
        assert note in text, text
    assert "raw_data/drop, then make fetch WHAT=drop" in text and "2nd-kaggle-LEAP" in text
