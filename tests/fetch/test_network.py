"""A network that fails, and servers that are busy."""

from __future__ import annotations

from typing import Dict

import pytest

from tests.fetch.disks import enough_disk
from tests.fetch.offers import MONTH, offer_competition, offer_steps, put_on_disk
from tests.fetch.user import User, final_files

pytestmark = pytest.mark.process


def test_without_a_network_one_sentence_says_so(user: User, tiny_steps: Dict[str, bytes]) -> None:
    put_on_disk(user, tiny_steps, missing=4)
    text = user.refuses(
        "--what",
        "steps statistics kaggle weights",
        "--months",
        MONTH,
        "--drive",
        "1" * 33,
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    for address in (
        "train/0008-02 of LEAP/ClimSim_low-res",
        "test.csv",
        "adam_part/data/middle_result/mean.json",
        "Google Drive",
    ):
        assert (
            f"error: {address}: the network does not answer: the connection is refused" in text
        ), text
    assert text.count("error: ") == 4


def test_a_certificate_of_a_stranger_is_told_as_that(user: User) -> None:
    text = user.refuses("--what", "statistics", SSL_CERT_FILE="")
    assert "a TLS certificate is not trusted (set SSL_CERT_FILE" in text


def test_servers_that_are_busy_are_asked_again(user: User, tiny_steps: Dict[str, bytes]) -> None:
    enough_disk(user.home, 7.5e9)
    offer_steps(user.internet, tiny_steps)
    put_on_disk(user, tiny_steps, missing=3)
    offer_competition(user.internet)
    user.internet.busy = {"/tree/": 1, "resolve": 2, "DownloadDataFile": 1, "test.csv.zip": 1}
    text = user.fetch("--what", "steps kaggle", "--months", MONTH)
    assert (
        final_files(user.steps / MONTH) == tiny_steps
        and "429" not in text
        and not any(user.internet.busy.values())
    )
