"""Whatever ends a run, and whenever: the next one goes on, and nothing is submitted twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from leapkit.core.files import sha256
from leapkit.core.score_receipts import COMPLETE, PENDING, SENDING
from tests.fetch.disks import fill_up
from tests.fetch.fake_submissions import take
from tests.fetch.user import wait_until
from tests.submitting.conftest import Submitter

pytestmark = pytest.mark.process


def goes_on(user: Submitter, uploads: int) -> str:
    """Run again: one submission exists, after so many uploads, and has its score."""
    user.kaggle.queue = 0
    user.kaggle.released.set()
    text = user.submit()
    assert len(user.kaggle.taken) == 1 and user.uploads() == uploads
    assert [one.state for one in user.receipts()] == [COMPLETE]
    return text


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
    text = goes_on(user, uploads=1)
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
    text = goes_on(user, uploads=1)
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
    goes_on(user, uploads=1)


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
    goes_on(user, uploads=2)


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


def test_an_upload_whose_connection_breaks_or_whose_server_fails_is_continued(
    user: Submitter,
) -> None:
    content = bytes(range(256)) * 40_000
    user.make(content=content)
    user.kaggle.broken = [6_000_000]
    user.kaggle.cuts = [(3_000_000, 503), (1_000_000, 308)]
    user.submit()
    assert user.kaggle.contents == {"final_blend_v10.parquet": content}
    puts = [one.headers for one in user.internet.requests if one.method == "PUT"]
    asked = "bytes */10240000"
    assert [headers.get("content-range", "") for headers in puts] == [
        *("", asked, "bytes 6000000-10239999/10240000"),
        *(asked, "bytes 9000000-10239999/10240000"),
        *(asked, "bytes 10000000-10239999/10240000"),
    ]


def test_an_upload_that_never_ends_is_one_sentence_and_nothing_is_submitted(
    user: Submitter,
) -> None:
    user.make(content=b"x" * 1000)
    user.kaggle.cuts = [(0, 503)] * 20
    user.prelude = "import fetch.retries; fetch.retries.ATTEMPTS = 2"
    text = user.submit(code=2)
    assert "the upload of final_blend_v10.parquet: the server fails (HTTP 503)" in text
    assert text.count("error: ") == 1 and not user.kaggle.taken and not user.receipts()
    user.kaggle.cuts.clear()
    goes_on(user, uploads=2)


def test_a_server_that_refuses_the_file_is_named_and_nothing_is_submitted(user: Submitter) -> None:
    user.make()
    user.kaggle.upload_status = 410
    text = user.submit(code=2)
    assert "the server of the uploads refuses the file, and nothing was submitted (HTTP 4" in text
    assert text.count("error: ") == 1 and not user.receipts()


def test_what_another_machine_submits_during_the_upload_is_not_submitted_twice(
    user: Submitter,
) -> None:
    path = user.make()
    description = f"sha256:{sha256(path)} from elsewhere"
    user.kaggle.on_upload = lambda: take(user.kaggle, path.name, description)
    text = user.submit()
    assert "was sent meanwhile, as submission 4711" in text and len(user.kaggle.taken) == 1
    (receipt,) = user.receipts()
    assert (receipt.state, receipt.ref) == (COMPLETE, 4711)
    assert (receipt.description, receipt.began, receipt.client) == (description, "", "")


@pytest.mark.parametrize("number", [0, 1])
def test_a_file_that_is_replaced_after_its_check_is_not_submitted(
    user: Submitter, number: int
) -> None:
    """Replace the file that is uploaded, or the next one."""
    paths = [user.make(f"subs/{name}.parquet", name.encode()) for name in ("a", "b")]
    user.kaggle.on_upload = lambda: paths[number].write_bytes(b"another")
    text = user.submit("subs/a.parquet", "subs/b.parquet", code=2)
    assert f"{paths[number]}: was changed since it was checked, so it was not submitted" in text
    assert [one["fileName"] for one in user.kaggle.taken] == [paths[1 - number].name]
    assert [one.product for one in user.receipts()] == [paths[1 - number].name]


def test_a_server_that_falls_silent_gets_the_upload_again(user: Submitter) -> None:
    content = bytes(range(256)) * 20_000
    user.make(content=content)
    user.kaggle.silent = 1
    user.prelude = "import submitting.uploads; submitting.uploads.STALL_SECONDS = 1.5"
    user.submit()
    assert user.kaggle.contents == {"final_blend_v10.parquet": content}


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
    goes_on(user, uploads=1)


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
    goes_on(user, uploads=1)


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
    goes_on(user, uploads=1)
