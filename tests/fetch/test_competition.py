"""Kaggle's files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import List

import pytest

from leapkit.core.columns import INPUTS, TARGETS
from tests.conftest import REPOSITORY
from tests.fetch.disks import enough_disk
from tests.fetch.fake_internet import KEY, TOKEN, USER
from tests.fetch.offers import OLD, SUBMISSION, TEST, csv, offer_competition, zipped
from tests.fetch.user import MEMBERS, User, final_files, wait_until

pytestmark = pytest.mark.process


def test_the_competitions_files_come_zipped_or_not_and_once(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    offer_competition(user.internet)
    text = user.fetch("--what", "kaggle")
    assert final_files(user.raw) == {
        "kaggle-data/test.csv": TEST,
        "kaggle-data/sample_submission.csv": SUBMISSION,
        "kaggle-data/sample_submission_old.csv": OLD,
    }
    assert "test.csv: about 6.9 GB" in text and not list(user.raw.rglob(".partial-*"))
    assert len(user.internet.contents()) == 3, "train.csv was not asked for"
    user.internet.requests.clear()
    # Nothing is missing, so no credentials are needed.
    user.fetch("--what", "kaggle", KAGGLE_KEY="")
    assert not user.internet.requests


def test_train_csv_comes_only_when_it_is_asked_for(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    offer_competition(user.internet)
    user.internet.kaggle["train.csv"] = zipped(**{"train.csv": csv(INPUTS + TARGETS)})
    user.fetch("--what", "kaggle")
    assert not (user.raw / "kaggle-data" / "train.csv").exists()
    text = user.refuses("--what", "train.csv")
    assert "182 GB of train.csv" in text, "less than that is free here"


def slow_test_csv(user: User) -> bytes:
    """Return a test.csv whose zip has some megabytes: the client writes a megabyte at a time."""
    enough_disk(user.home, 7.5e9)
    content = csv(INPUTS, 400)
    offer_competition(user.internet, zipped(**{"test.csv": content}))
    (user.raw / "kaggle-data").mkdir(parents=True)
    for name, other in (("sample_submission.csv", SUBMISSION), ("sample_submission_old.csv", OLD)):
        (user.raw / "kaggle-data" / name).write_bytes(other)
    assert len(user.internet.kaggle["test.csv"]) > 4_000_000
    return content


def kaggle_ranges(user: User) -> List[int]:
    return [int(request.range[6:-1]) for request in user.internet.contents() if request.range]


def test_a_cut_download_from_kaggle_goes_on_with_a_range_request(user: User) -> None:
    content = slow_test_csv(user)
    user.internet.cut["test.csv.zip"] = [2_500_000]
    user.fetch("--what", "kaggle")
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == content
    assert len(kaggle_ranges(user)) == 1 and 2_000_000 <= kaggle_ranges(user)[0] <= 2_500_000
    assert [request.headers["if-range"] for request in user.internet.contents() if request.range]


def kill_in_the_middle(user: User) -> Path:
    user.internet.hold["test.csv.zip"] = 2_500_000
    process = user.start("--what", "kaggle")
    partial = user.raw / ".partial-fetch" / "test.csv.download"
    wait_until(lambda: partial.exists() and partial.stat().st_size >= 2_000_000)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    user.internet.released.set()
    assert not (user.raw / "kaggle-data" / "test.csv").exists() and partial.exists()
    return partial


def test_a_killed_download_from_kaggle_goes_on_with_a_range_request(user: User) -> None:
    content = slow_test_csv(user)
    size = kill_in_the_middle(user).stat().st_size
    user.fetch("--what", "kaggle")
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == content and kaggle_ranges(
        user
    ) == [size]
    assert not (user.raw / ".partial-fetch").exists()


def test_a_server_that_falls_silent_is_asked_again(user: User) -> None:
    content = slow_test_csv(user)
    user.internet.hold["test.csv.zip"] = 2_500_000
    user.internet.on_content = lambda path: (
        user.internet.hold.clear() if user.internet.contents_of("test.csv.zip") else None
    )
    code = (
        "import sys; from fetch import competition; competition.STALL_SECONDS = 1.5; "
        "from fetch.__main__ import main; "
        "from leapkit.core.errors import run_cli; run_cli(main, sys.argv[1:])"
    )
    command = [str(user.python), "-c", code, "--raw-data", str(user.raw), "--what", "kaggle"]
    command += [word for member in MEMBERS for word in ("--weights", f"{member}={user.weights}")]
    done = subprocess.run(
        command,
        env=user.environment(),
        cwd=str(REPOSITORY),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == content and len(
        kaggle_ranges(user)
    ) == 1


def test_a_file_that_changed_on_kaggle_meanwhile_is_fetched_anew(user: User) -> None:
    slow_test_csv(user)
    kill_in_the_middle(user)
    content = csv(INPUTS, 401)
    user.internet.kaggle["test.csv"] = zipped(**{"test.csv": content})
    user.fetch("--what", "kaggle")
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == content and kaggle_ranges(
        user
    ) == []


def test_a_run_killed_between_download_and_unpacking_refetches_nothing(user: User) -> None:
    content = slow_test_csv(user)
    # What such a run leaves: the whole zip with its server's time, and half a CSV.
    partial = user.raw / ".partial-fetch" / "test.csv.download"
    partial.parent.mkdir()
    partial.write_bytes(user.internet.kaggle["test.csv"])
    # As Kaggle's client sets it.
    modified = time.mktime(time.strptime("2024-04-30 12:00:00", "%Y-%m-%d %H:%M:%S"))
    os.utime(partial, (modified, modified))
    (user.raw / "kaggle-data" / ".partial-test.csv").write_bytes(content[:1000])
    user.fetch("--what", "kaggle")
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == content
    assert [request.sent for request in user.internet.contents()] == [1], (
        "it is asked for its length and hash, and not read"
    )


@pytest.mark.parametrize(
    "damage, words",
    [
        ("truncated", "is a truncated or damaged zip"),
        ("flipped", "its member test.csv is damaged"),
        ("other", "holds no test.csv"),
        ("cut csv", "is cut off in the middle of its last line"),
        ("html", "the column sample_id is missing (557 of 557 are)"),
        ("cut csv in zip", "is cut off in the middle of its last line"),
        ("md5", "had another MD5 than its server states"),
    ],
)
def test_a_damaged_download_is_removed_and_never_named_a_csv(
    user: User, damage: str, words: str
) -> None:
    enough_disk(user.home, 7.5e9)
    good = zipped(**{"test.csv": TEST})
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    offer_competition(
        user.internet,
        {
            "truncated": good[:-40],
            "flipped": bytes(flipped),
            "other": zipped(**{"train.csv": TEST}),
            "cut csv": TEST[:-3],
            "html": b"<html>sign in</html>\n",
            "cut csv in zip": zipped(**{"test.csv": TEST[:-3]}),
            "md5": good,
        }[damage],
    )
    if damage == "md5":
        user.internet.stated["test.csv.zip"] = "AAAA"
    text = user.refuses("--what", "kaggle")
    assert words in text and "removed" in text and "still missing: kaggle-data/test.csv" in text
    assert sorted(final_files(user.raw)) == [
        "kaggle-data/sample_submission.csv",
        "kaggle-data/sample_submission_old.csv",
    ]
    assert not list(user.raw.rglob("*.download")) and not list(user.raw.rglob(".partial-*.csv"))
    offer_competition(user.internet)
    user.internet.stated.clear()
    user.fetch("--what", "kaggle")
    assert (user.raw / "kaggle-data" / "test.csv").read_bytes() == TEST


@pytest.mark.parametrize(
    "status, words",
    [
        (
            401,
            "Kaggle does not accept these credentials (HTTP 401); make a token on https://www.kaggle.com/settings/api",
        ),
        (
            403,
            "has not accepted the competition's rules (HTTP 403); accept them on https://www.kaggle.com/competitions/leap",
        ),
        (404, "Kaggle does not have this file"),
    ],
)
def test_refusals_of_kaggle_are_one_sentence(user: User, status: int, words: str) -> None:
    enough_disk(user.home, 7.5e9)
    offer_competition(user.internet)
    user.internet.status["api.kaggle.com", ""] = status
    assert words in user.refuses("--what", "kaggle") and not final_files(user.raw)


def test_without_credentials_nobody_is_asked(user: User) -> None:
    text = user.refuses("--what", "kaggle", KAGGLE_USERNAME="", KAGGLE_KEY="")
    assert "Kaggle: there are no credentials; make a token" in text and not user.internet.requests
    assert text.count("error: ") == 1


def test_a_key_file_is_read_as_kaggles_client_does(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    offer_competition(user.internet)
    (user.home / ".kaggle").mkdir()
    (user.home / ".kaggle" / "kaggle.json").write_text(json.dumps({"username": USER, "key": KEY}))
    (user.home / ".kaggle" / "kaggle.json").chmod(0o600)
    user.fetch("--what", "kaggle", KAGGLE_USERNAME="", KAGGLE_KEY="")
    assert len(final_files(user.raw)) == 3


NO_KEY = {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}


@pytest.mark.parametrize(
    "place",
    ["KAGGLE_API_TOKEN", "access_token", "access_token.txt", "KAGGLE_KEY", "kaggle.json", "key"],
)
def test_kaggles_new_token_is_taken_wherever_the_user_puts_it(user: User, place: str) -> None:
    enough_disk(user.home, 7.5e9)
    offer_competition(user.internet)
    environment = dict(NO_KEY)
    if place.isupper():
        environment[place] = TOKEN
    else:
        (user.home / ".kaggle").mkdir()
        file = user.home / ".kaggle" / ("kaggle.json" if place == "key" else place)
        key = json.dumps({"username": USER, "key": TOKEN})
        file.write_text(key if place == "key" else TOKEN + "\n")
        file.chmod(0o600)
    user.fetch("--what", "kaggle", **environment)
    assert len(final_files(user.raw)) == 3
    used = {request.headers.get("authorization", "") for request in user.internet.requests}
    assert "Bearer " + TOKEN in used


@pytest.mark.parametrize("place", ["KAGGLE_API_TOKEN", "access_token"])
def test_a_token_that_kaggle_does_not_know_is_named_and_no_other_credential_is_tried(
    user: User, place: str
) -> None:
    offer_competition(user.internet)
    if place == "access_token":
        (user.home / ".kaggle").mkdir()
        (user.home / ".kaggle" / place).write_text(TOKEN[:-1])
    text = user.refuses("--what", "kaggle", KAGGLE_API_TOKEN=TOKEN[:-1] if place.isupper() else "")
    assert f"{place} is not accepted: it is cut off, was revoked or has expired" in text
    assert "save it as the file ~/.kaggle/access_token" in text and TOKEN[:-1] not in text


def test_a_key_file_without_a_key_is_named(user: User) -> None:
    (user.home / ".kaggle").mkdir()
    (user.home / ".kaggle" / "kaggle.json").write_text("{}")
    text = user.refuses("--what", "kaggle", **NO_KEY)
    assert f"{user.home}/.kaggle/kaggle.json holds no username and key; make a token" in text


def test_a_missing_old_weights_file_names_the_teams_own(user: User) -> None:
    enough_disk(user.home, 7.5e9)
    offer_competition(user.internet)
    del user.internet.kaggle["sample_submission_old.csv"]
    assert "copy statistics/adam/old_sample_weight.csv to this name" in user.refuses(
        "--what", "kaggle"
    )
    assert len(final_files(user.raw)) == 2, "the others came"
