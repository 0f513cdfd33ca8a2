"""Step files from Hugging Face."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Dict, Optional

import pytest

from leapkit.core.layout import GRID_FILE as GRID
from tests.fetch.disks import enough_disk, fill_up
from tests.fetch.fake_internet import HF_TOKEN
from tests.fetch.offers import (
    MONTH,
    StepMaker,
    half_way,
    offer_grid,
    offer_steps,
    one_large_file,
    put_on_disk,
)
from tests.fetch.user import User, final_files

pytestmark = pytest.mark.process


def test_a_month_is_fetched_once_and_the_grid_of_its_columns(
    user: User, tiny_steps: Dict[str, bytes], tmp_path: Path
) -> None:
    enough_disk(user.home, 6.5e9)
    offer_steps(user.internet, tiny_steps)
    content = offer_grid(user.internet, tmp_path)
    text = user.fetch("--what", "steps", "--months", MONTH, HF_TOKEN=HF_TOKEN)
    assert final_files(user.steps / MONTH) == tiny_steps and not list(user.raw.rglob(".partial-*"))
    assert (
        "4032 files to fetch in 1 months, about 6.1 GB" in text
        and "nothing of what was requested is missing" in text
    )
    assert (user.steps.parent / GRID).read_bytes() == content and f"{GRID}: fetched" in text
    assert len(user.internet.contents()) == 4033
    api_requests = [
        request for request in user.internet.requests if request.host == "huggingface.co"
    ]
    assert [
        request
        for request in api_requests
        if request.headers.get("authorization") != "Bearer " + HF_TOKEN
    ] == []
    user.internet.requests.clear()
    text = user.fetch("--what", "steps", "--months", MONTH)
    assert not user.internet.requests and "0008-02 is complete, 2016 steps" in text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, f"{GRID}: the hub does not list it"),
        (b"no grid", f"{GRID}: the hub's file is not this file: is not "),
    ],
)
def test_steps_are_fetched_whole_without_a_grid_and_a_line_says_that_it_is_not_here(
    user: User, tiny_steps: Dict[str, bytes], content: Optional[bytes], says: str
) -> None:
    offer_steps(user.internet, tiny_steps)
    put_on_disk(user, tiny_steps)
    user.internet.hub["README.md" if content is None else GRID] = content or b"of the data set"
    text = user.fetch("--what", "steps", "--months", MONTH)
    assert "the grid of the columns, which `make evaluate` needs, is not here: " + says in text
    assert "nothing of what was requested is missing" in text
    assert not (user.steps.parent / GRID).exists() and not list(user.raw.rglob(".partial-*"))


def test_only_what_is_missing_is_asked_for_also_at_another_endpoint(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    offer_steps(user.internet, tiny_steps)
    missing_names = put_on_disk(user, tiny_steps, missing=5)
    user.fetch(
        "--what",
        "steps",
        "--months",
        MONTH,
        HTTPS_PROXY="",
        HF_ENDPOINT=f"http://127.0.0.1:{user.internet.port}",
    )
    assert sorted(request.path.rsplit("/", 1)[1] for request in user.internet.contents()) == sorted(
        missing_names
    )
    assert {request.host for request in user.internet.requests} == {"127.0.0.1"} and final_files(
        user.steps / MONTH
    ) == tiny_steps


def test_a_cut_transfer_goes_on_where_it_ended(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> None:
    name, content = one_large_file(user, tiny_steps, large_steps)
    user.internet.cut[name] = [600_000, 300_000]
    user.fetch("--what", "steps", "--months", MONTH)
    assert (user.steps / MONTH / name).read_bytes() == content
    starts = [int(request.range[6:-1] or 0) for request in user.internet.contents_of(name)]
    assert len(starts) == 3 and 0 == starts[0] < starts[1] <= 600_000 < starts[2] <= 900_000, starts
    assert (
        sum(request.sent for request in user.internet.contents_of(name))
        < len(content) + 2 * (1 << 17) + 1
    )


def test_a_killed_transfer_goes_on_where_it_ended(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> None:
    name, content, partial, process = half_way(user, tiny_steps, large_steps)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (user.steps / MONTH / name).exists()
    size = partial.stat().st_size
    assert content.startswith(partial.read_bytes()) and size > 500_000
    user.internet.released.set()
    user.fetch("--what", "steps", "--months", MONTH)
    assert (user.steps / MONTH / name).read_bytes() == content and not partial.exists()
    assert [request.range for request in user.internet.contents_of(name)] == [
        "",
        f"bytes={size}-",
    ]


def test_a_beginning_of_another_file_is_noticed_and_fetched_anew(
    user: User, tiny_steps: Dict[str, bytes], large_steps: StepMaker
) -> None:
    name, content = one_large_file(user, tiny_steps, large_steps)
    (user.steps / MONTH / (".partial-" + name)).write_bytes(b"x" * 10_000)
    user.fetch("--what", "steps", "--months", MONTH)
    assert (user.steps / MONTH / name).read_bytes() == content
    assert [request.range for request in user.internet.contents_of(name)] == ["bytes=10000-", ""]


def test_an_unfinished_name_that_is_a_users_file_is_not_written_through(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    offer_steps(user.internet, tiny_steps)
    name = next(iter(put_on_disk(user, tiny_steps, missing=1)))
    user_file = user.home / "mine.nc"
    user_file.write_bytes(b"mine")
    os.link(
        str(user_file), str(user.steps / MONTH / (".partial-" + name))
    )  # what a killed drop leaves
    user.fetch("--what", "steps", "--months", MONTH)
    assert (
        user_file.read_bytes() == b"mine"
        and (user.steps / MONTH / name).read_bytes() == tiny_steps[name]
    )


def test_a_wrong_sha256_costs_that_file_and_no_other(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    offer_steps(user.internet, tiny_steps)
    missing_names = put_on_disk(user, tiny_steps, missing=6)
    name = sorted(missing_names)[2]
    user.internet.stated[name] = "0" * 64
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert f"{name}: had another sha256 than the hub states, and was removed" in text
    assert "still missing: ClimSim_low-res/train/0008-02 (2015 of 2016 steps)" in text
    assert set(tiny_steps) - set(final_files(user.steps / MONTH)) == {name} and not list(
        user.raw.rglob(".partial-*")
    )
    user.internet.stated.clear()
    user.fetch("--what", "steps", "--months", MONTH)
    assert final_files(user.steps / MONTH) == tiny_steps


def test_a_file_that_is_no_such_step_is_not_let_in(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    missing_names = put_on_disk(user, tiny_steps, missing=2)
    first, second = sorted(missing_names)
    offer_steps(
        user.internet,
        dict(
            tiny_steps,
            **{first: tiny_steps[first][:-8], second: tiny_steps[sorted(tiny_steps)[2020]]},
        ),
    )
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert f"{first}: the hub's file is not this step: is truncated" in text
    assert f"{second}: the hub's file is not this step: holds the step 0008-02" in text
    assert not {first, second} & set(os.listdir(str(user.steps / MONTH))) and not list(
        user.raw.rglob(".partial-*")
    )


def test_a_damaged_file_that_is_there_is_named_and_never_written_over(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    offer_steps(user.internet, tiny_steps)
    missing_names = put_on_disk(user, tiny_steps, missing=2)
    damaged = user.steps / MONTH / sorted(tiny_steps)[7]
    damaged.write_bytes(b"not a step file")
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert (
        f"{damaged}: is not a netCDF file" in text
        and "remove it" in text
        and damaged.read_bytes() == b"not a step file"
    )
    assert all((user.steps / MONTH / name).exists() for name in missing_names), (
        "the others are fetched"
    )


@pytest.mark.parametrize(
    "status, words",
    [
        (401, "the hub does not accept HF_TOKEN"),
        (403, "the hub refuses"),
        (404, "the hub does not have it"),
        (418, "the server fails (HTTP 418)"),
    ],
)
def test_refusals_of_the_hub_are_one_sentence(
    user: User, tiny_steps: Dict[str, bytes], status: int, words: str
) -> None:
    offer_steps(user.internet, tiny_steps)
    put_on_disk(user, tiny_steps, missing=3)
    user.internet.status["huggingface.co", "/tree/"] = status
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert words in text and f"HTTP {status}" in text and text.count("error: ") == 1
    user.internet.status = {("cdn-lfs.hf.co", ""): status}
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert words in text and text.count("error: ") <= 3
    assert set(final_files(user.steps / MONTH)) == set(sorted(tiny_steps)[:-3])


def test_a_month_that_the_hub_lacks_does_not_keep_the_next_from_coming(
    user: User, tiny_steps: Dict[str, bytes]
) -> None:
    enough_disk(user.home, 13e9)
    offer_steps(
        user.internet,
        {name: content for name, content in tiny_steps.items() if name != sorted(tiny_steps)[-1]},
    )
    put_on_disk(user, tiny_steps, missing=4)
    text = user.refuses("--what", "steps", "--months", "0008-01:0008-02")
    assert "train/0008-01 of LEAP/ClimSim_low-res: the hub does not have it" in text
    assert (
        f"0008-02: the hub does not list 1 of its files, such as {sorted(tiny_steps)[-1]}" in text
    )
    assert len(final_files(user.steps / MONTH)) == 4031


def test_step_files_on_a_disk_that_fills_up_go_on_where_they_ended(
    user: User, small_disk: Path, large_steps: StepMaker, tiny_steps: Dict[str, bytes]
) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    user.raw.symlink_to(small_disk)
    name, content = one_large_file(user, tiny_steps, large_steps)
    user.internet.cut[name] = [500_000]  # a part is there when the disk fills up
    user.internet.on_content = lambda path: (
        fill_up(small_disk) if user.internet.contents_of(name) else None
    )
    text = user.refuses("--what", "steps", "--months", MONTH)
    assert f"{name}: the disk is full" in text and text.count("error: ") == 1
    assert not (user.steps / MONTH / name).exists()
    partial_size = (user.steps / MONTH / (".partial-" + name)).stat().st_size
    user.internet.on_content = None
    (small_disk / "filler").unlink()
    user.fetch("--what", "steps", "--months", MONTH)
    assert (user.steps / MONTH / name).read_bytes() == content and partial_size >= 300_000
    assert user.internet.contents_of(name)[-1].range == f"bytes={partial_size}-"
