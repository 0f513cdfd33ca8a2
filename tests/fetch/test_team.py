"""The team's statistics from GitHub."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fetch.disks import fill_up
from tests.fetch.offers import BASE, PATHS
from tests.fetch.user import User, final_files

pytestmark = pytest.mark.process


def test_the_published_statistics_are_let_in_and_only_they(user: User, published: Path) -> None:
    real = {name: (published / name).read_bytes() for name in PATHS}
    user.internet.raw = {BASE + path: real[name] for name, path in PATHS.items()}
    user.internet.raw[BASE + PATHS["fdzm/std.json"]] += b" "
    text = user.refuses("--what", "statistics")
    assert "had another sha256 than ef59d1bae9e0... and was removed" in text
    assert final_files(user.raw / "statistics") == {
        name: body for name, body in real.items() if name != "fdzm/std.json"
    }
    user.internet.raw[BASE + PATHS["fdzm/std.json"]] = real["fdzm/std.json"]
    user.internet.requests.clear()
    user.fetch("--what", "statistics")
    assert final_files(user.raw / "statistics") == real and len(user.internet.requests) == 1


def test_statistics_of_another_make_are_left_alone_and_missing_ones_told(user: User) -> None:
    user_file = user.raw / "statistics" / "adam" / "mean.json"
    user_file.parent.mkdir(parents=True)
    user_file.write_text("{}")
    text = user.refuses("--what", "statistics")
    assert (
        f"{user_file} exists and is not the published one: it stays unchanged" in text
        and user_file.read_text() == "{}"
    )
    assert text.count("the team's repository no longer has it (HTTP 404)") == 4


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing_half_done(
    user: User, small_disk: Path, published: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,size=512k", str(small_disk)], check=True)
    user.internet.raw = {
        BASE + path: (published / name).read_bytes() for name, path in PATHS.items()
    }
    user.internet.on_content = lambda path: (
        fill_up(small_disk) if path.endswith("fdzm_part/data/mean.json") else None
    )
    text = user.refuses("--what", "statistics", raw=small_disk)
    assert (
        text.count("error: ") == 1
        and "fdzm_part/data/mean.json: the disk is full; free some space" in text
    )
    assert sorted(final_files(small_disk / "statistics")) == sorted(
        name for name in PATHS if name.startswith("adam")
    )
    user.internet.on_content = None
    (small_disk / "filler").unlink()
    user.fetch("--what", "statistics", raw=small_disk)
    assert len(final_files(small_disk / "statistics")) == 5
