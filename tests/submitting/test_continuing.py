"""Whatever ends a run, and whenever: the next one goes on, and nothing is submitted twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from leapkit.core.score_receipts import COMPLETE, PENDING, SENDING
from tests.fetch.disks import fill_up
from tests.fetch.user import wait_until
from tests.submitting.conftest import Submitter

pytestmark = pytest.mark.process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_stopped_while_it_waits_is_waited_on_by_the_next(
    user: Submitter, number: signal.Signals
) -> None:
    user.make()
    user.kaggle.queue = 1000
    process = user.start()
    wait_until(lambda: user.kaggle.queue < 1000)
    assert user.receipts()[0].state == PENDING
    os.killpg(process.pid, number)
    text = process.communicate(timeout=30)[0]
    if number == signal.SIGINT:
        assert process.returncode == 3 and "Traceback" not in text
        assert text.rstrip().endswith("Kaggle keeps what it has; the same command waits on.")
    text = user.goes_on(uploads=1)
    assert "was sent as submission 4711, and is not sent again" in text


def test_a_kill_between_kaggles_acceptance_and_the_receipt_submits_nothing_twice(
    user: Submitter,
) -> None:
    user.make()
    user.kaggle.mute = 1
    process = user.start()
    wait_until(lambda: bool(user.kaggle.taken))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert [one.state for one in user.receipts()] == [SENDING]
    text = user.goes_on(uploads=1)
    assert "Kaggle has it as submission 4711, and it is not sent again" in text
    (receipt,) = user.receipts()
    assert receipt.client and receipt.began, "what sent it is known"


def test_an_answer_that_is_lost_with_the_connection_is_looked_up_in_the_same_run(
    user: Submitter,
) -> None:
    user.make()
    user.kaggle.lost = 1
    text = user.submit()
    assert "Kaggle has it as submission 4711" in text and "error: " not in text
    assert len(user.kaggle.taken) == 1 and user.receipts()[0].state == COMPLETE


def test_an_answer_that_is_lost_and_not_listed_yet_is_looked_up_by_the_next_run(
    user: Submitter,
) -> None:
    user.make()
    user.kaggle.lost = 1
    user.kaggle.is_listed = False
    user.prelude = "import submitting.sending; submitting.sending.LOOKS = (0.0,)"
    assert "the network does not answer" in user.submit(code=2)
    assert [one.state for one in user.receipts()] == [SENDING]
    user.kaggle.is_listed = True
    user.goes_on(uploads=1)


def test_a_kill_during_the_upload_uploads_again_and_submits_once(user: Submitter) -> None:
    user.make()
    user.kaggle.hold_upload = True
    process = user.start()
    assert user.kaggle.uploading.wait(30)
    assert "another `make submit` is running there" in user.submit(code=2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert [one.state for one in user.receipts()] == [SENDING] and not user.kaggle.taken
    user.kaggle.hold_upload = False
    user.goes_on(uploads=2)


def test_a_submission_that_was_killed_and_then_refused_is_found_and_not_sent_again(
    user: Submitter,
) -> None:
    user.make()
    user.kaggle.mute = 1
    process = user.start()
    wait_until(lambda: bool(user.kaggle.taken))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    user.kaggle.taken[0].update(status="ERROR", errorDescription="cannot be scored")
    user.kaggle.released.set()
    assert "Kaggle could not score it (cannot be scored)" in user.submit(code=2)
    assert len(user.kaggle.taken) == 1, "what the killed run had sent was found, and its refusal"


def test_a_queue_that_does_not_end_is_left_and_waited_on_later(user: Submitter) -> None:
    user.make()
    user.kaggle.queue = 1000
    user.prelude = "import submitting.waiting; submitting.waiting.LONGEST_WAIT = 1.0"
    text = user.submit(code=2)
    assert "Kaggle has not scored submission 4711 in 0 h; run the same command again" in text
    # A submission without a score is not complete.
    user.kaggle.queue = 0
    user.kaggle.scores["final_blend_v10.parquet"] = ("", "")
    assert "Kaggle has not scored submission 4711" in user.submit(code=2)
    user.kaggle.scores.clear()
    user.kaggle.taken[0]["status"] = "PENDING"
    user.prelude = ""
    user.goes_on(uploads=1)


def test_a_network_that_ends_during_the_wait_is_one_sentence(user: Submitter) -> None:
    user.make()
    user.kaggle.down = [True, True]
    user.prelude = "import submitting.waiting; submitting.waiting.FAILURES = 2"
    text = user.submit(code=2)
    assert "the server fails (HTTP 503)" in text and text.count("error: ") == 1
    user.internet.status["api.kaggle.com", "GetSubmission"] = 403
    text = user.submit(code=2)
    assert "Kaggle does not show submission 4711 to this account (HTTP 403); use the acc" in text
    user.internet.status.clear()
    user.kaggle.queue = 1
    user.kaggle.down = [True, False, True]  # never twice in a row
    user.submit()
    user.goes_on(uploads=1)


def test_servers_that_are_busy_are_asked_again(user: Submitter) -> None:
    user.make()
    user.internet.busy = {"StartSubmission": 1, "CreateSubmission": 1}
    user.internet.retry_after = "2"
    user.kaggle.down = [True]
    text = user.submit()
    assert "429" not in text and "503" not in text and user.uploads() == 1
    assert not any(user.internet.busy.values()) and not user.kaggle.down
    for method in ("/StartSubmissionUpload", "/GetSubmission"):
        asked = [one.at for one in user.internet.requests if one.path.endswith(method)]
        assert asked[1] - asked[0] >= 2, "after the pause that Kaggle asks for"


def test_a_full_disk_sends_nothing(user: Submitter, small_disk: Path) -> None:
    user.root = small_disk
    user.make()
    user.results.scores.mkdir()
    fill_up(small_disk)
    text = user.submit(code=2)
    assert "the disk is full" in text and not user.uploads()
    (small_disk / "filler").unlink()
    user.goes_on(uploads=1)
