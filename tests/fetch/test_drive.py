"""Checkpoints from Google Drive."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from tests.fetch.offers import ROOT, checkpoint, offer_drive, zipped
from tests.fetch.user import User, final_files, wait_until
from tests.helpers import crafted

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    "address", [ROOT, f"https://drive.google.com/drive/folders/{ROOT}?usp=sharing"]
)
def test_checkpoints_come_from_a_folder_of_google_drive_once(user: User, address: str) -> None:
    checkpoints = offer_drive(user)
    text = user.fetch("--what", "weights", "--drive", address, code=2)
    assert final_files(user.weights) == checkpoints
    assert "not recognised on the drive: readme & more.txt" in text
    assert "still missing: adam's checkpoints (1 of 3 present)" in text and "error: " not in text
    assert not (user.raw / ".partial-fetch").exists()
    assert sorted(request.path.count("id=") for request in user.internet.contents()) == [1, 1, 1]
    user.internet.requests.clear()
    user.fetch("--what", "weights", "--drive", address, code=2)
    assert not user.internet.contents() and final_files(user.weights) == checkpoints


def test_a_large_checkpoint_is_resumed_after_a_cut_and_after_a_kill(user: User) -> None:
    offer_drive(user)
    path = crafted.write(
        user.home / "some.pt",
        crafted.program(
            {
                "module.weight": crafted.tensor(
                    crafted.storage(count=1_000_000), size=(1000, 1000), stride=(1000, 1)
                )
            }
        ),
        {"0": np.random.RandomState(1).rand(1_000_000).astype("<f4").tobytes()},
    )
    content = path.read_bytes()
    user.internet.drive["a" * 33] = ("195.pt", content)
    user.internet.cut["id=" + "a" * 33 + "&confirm"] = [1_500_000]
    user.internet.hold["id=" + "a" * 33 + "&confirm"] = 1_200_000
    process = user.start("--what", "weights", "--drive", ROOT)
    partials = user.raw / ".partial-fetch" / "drive" / ("a" * 33)
    wait_until(lambda: sum(p.stat().st_size for p in partials.glob("*.part")) >= 2_000_000)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (user.weights / "195.pt").exists()
    size = sum(p.stat().st_size for p in partials.glob("*.part"))
    user.internet.released.set()
    user.fetch("--what", "weights", "--drive", ROOT, code=2)
    assert (user.weights / "195.pt").read_bytes() == content
    ranges = [request.range for request in user.internet.contents_of("a" * 33) if request.range]
    assert len(ranges) == 2 and ranges[1] == f"bytes={size}-", ranges


def test_damaged_hostile_and_foreign_checkpoints_are_not_let_in(user: User) -> None:
    checkpoints = offer_drive(user)
    user.internet.drive["a" * 33] = ("195.pt", checkpoints["195.pt"][:-30])
    hostile = crafted.write(
        user.home / "h.pt",
        crafted.PROTOCOL
        + crafted.call(
            crafted.name("posix", "system"), crafted.text(f"touch {user.home / 'hacked'}")
        )
        + crafted.STOP,
    )
    user.internet.drive["b" * 33] = ("ex907.pt", hostile.read_bytes())
    user.internet.drive["c" * 33] = ("022_fork14_deeper_gf_g3.pt", checkpoints["195.pt"])
    text = user.refuses("--what", "weights", "--drive", ROOT)
    assert "is truncated, or not a checkpoint" in text and "refused, nothing was executed" in text
    assert "begin with `module.`, unlike those of the team's max2020/022" in text
    assert not final_files(user.weights) and not (user.home / "hacked").exists()
    assert not (user.raw / ".partial-fetch").exists()


def test_an_archive_at_any_address_is_unpacked_into_place(user: User) -> None:
    checkpoints = offer_drive(user)
    archive = zipped(
        **{
            "all/195.pt": checkpoints["195.pt"],
            "all/ex907/ex907.pt": checkpoints["ex907.pt"],
            "all/notes": b"n",
        }
    )
    user.internet.raw["/somebody/weights.zip"] = archive
    text = user.fetch(
        "--what",
        "weights",
        "--drive",
        "https://raw.githubusercontent.com/somebody/weights.zip",
        code=2,
    )
    assert final_files(user.weights) == {
        "195.pt": checkpoints["195.pt"],
        "ex907.pt": checkpoints["ex907.pt"],
    }
    assert "not recognised: all/notes in" in text and not (user.raw / ".partial-fetch").exists()
    user.internet.drive["e" * 33] = (
        "more.zip",
        zipped(
            **{
                "022_fork14_deeper_gf_g3.pt": checkpoints[
                    "022_fork14_deeper_gf/022_fork14_deeper_gf_g3.pt"
                ]
            }
        ),
    )
    user.fetch(
        "--what",
        "weights",
        "--drive",
        f"https://drive.google.com/file/d/{'e' * 33}/view?usp=sharing",
        code=2,
    )
    assert final_files(user.weights) == checkpoints


def test_archives_in_the_folder_are_fetched_while_something_is_missing(user: User) -> None:
    checkpoints = offer_drive(user)
    user.internet.folders[ROOT].append(("file", "f" * 33, "more.zip"))
    user.internet.drive["f" * 33] = (
        "more.zip",
        zipped(**{"200.pt": checkpoint(user.home, "module.", 9)}),
    )
    user.fetch("--what", "weights", "--drive", ROOT, code=2)
    assert sorted(final_files(user.weights)) == sorted(list(checkpoints) + ["200.pt"])


def test_files_that_google_does_not_hand_out_are_told_and_the_others_come(user: User) -> None:
    checkpoints = offer_drive(user)
    user.internet.barred = ["a" * 33]
    text = user.refuses("--what", "weights", "--drive", ROOT)
    assert "195.pt: Google Drive does not deliver it" in text and "fetched too often" in text
    assert (
        sorted(final_files(user.weights)) == sorted(set(checkpoints) - {"195.pt"})
        and text.count("error: ") == 1
    )


def test_weights_without_an_address_or_at_a_wrong_one_are_refused(user: User) -> None:
    assert (
        "DRIVE: the address of the team's download is not given; give it as DRIVE="
        in user.refuses("--what", "weights")
    )
    text = user.refuses("--what", "weights", "--drive", "9" * 33)
    assert (
        "Google Drive: Google Drive does not deliver it: it does not exist, is not shared" in text
    )
