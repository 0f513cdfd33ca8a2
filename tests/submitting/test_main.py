"""The command as a whole: accepted, queued, refused, out of submissions."""

from __future__ import annotations

import json
import re
import zipfile

import pytest

from leapkit.core import receipts
from leapkit.core.files import sha256
from leapkit.core.score_receipts import COMPLETE, PENDING, REFUSED
from tests.fetch.fake_internet import KEY, TOKEN, USER
from tests.submitting.conftest import BLEND, Submitter

pytestmark = pytest.mark.process


def test_a_blend_is_sent_once_and_its_score_stands_beside_the_published_one(
    user: Submitter,
) -> None:
    path = user.make()
    text = user.submit("--message=the released weights")
    assert user.kaggle.contents == {path.name: path.read_bytes()}
    (taken,) = user.kaggle.taken
    assert taken["description"] == (f"sha256:{sha256(path)} final_blend_v10; the released weights")
    for words in (
        "sending final_blend_v10.parquet, 17 bytes, to leap-atmospheric-physics-ai-climsim",
        "final_blend_v10.parquet: public 0.79231, private 0.78876 (Kaggle's submission 4711)",
        "published: public 0.79211, private 0.78856; this differs by +0.00020 and +0.00020",
        "within the tolerance of the same solution, -0.00006 to +0.00031",
        "in the team's stead: 2nd of the final leaderboard, by 0.79123 (1st) >= 0.78876 (this)",
    ):
        assert words in text, text
    (receipt,) = user.receipts()
    assert (receipt.state, receipt.ref) == (COMPLETE, 4711)
    assert (receipt.public, receipt.private) == ("0.79231", "0.78876")
    assert receipt.sha256 == receipt.file_sha256 == sha256(path)
    assert receipt.submitted == "2026-11-28T12:00:00+00:00" and receipt.began <= receipt.answered
    assert re.fullmatch(r"kaggle [\d.]+, kagglesdk [\d.]+", receipt.client)
    user.internet.requests.clear()
    text = user.submit(KAGGLE_KEY="")  # no credentials are needed to look at a score
    assert "is not sent again" in text and "public 0.79231" in text
    assert not user.internet.requests and user.uploads() == 1
    assert "public 0.79231" in user.submit("--form=csv"), "no CSV is asked for: nothing is sent"


def test_a_queue_is_waited_for_with_a_line(user: Submitter) -> None:
    user.make()
    user.kaggle.queue = 3
    text = user.submit()
    asked = [one for one in user.internet.requests if one.path.endswith("/GetSubmission")]
    assert len(asked) == 4 and "waiting for the score of submission 4711" in text
    assert user.receipts()[0].state == COMPLETE


def test_a_score_below_is_no_reproduction_and_has_its_place(user: Submitter) -> None:
    user.make()
    user.kaggle.scores["final_blend_v10.parquet"] = ("0.79100", "0.78700")
    text = user.submit()
    assert "NOT the published score: outside the tolerance of -0.00006 to +0.00031" in text
    assert "4th to 6th of the final leaderboard" in text


def test_what_kaggle_cannot_score_is_one_sentence_and_is_not_sent_again(user: Submitter) -> None:
    user.make()
    reason = f"Submission contains null values; see https://k.com/x?sig={KEY} {TOKEN}"
    user.kaggle.errors["final_blend_v10.parquet"] = reason
    text = user.submit(code=2)
    assert "Kaggle could not score it (Submission contains null values; see https://k.com" in text
    assert text.count("error: ") == 1 and "FORM=csv" in text
    (receipt,) = user.receipts()
    assert receipt.state == REFUSED and receipt.refusal.startswith("Submission contains null")
    assert "Kaggle could not score it" in user.submit(code=2) and user.uploads() == 1
    # As the sentence says: without the receipt the same file is sent again.
    next(user.results.scores.glob("*.json")).unlink()
    user.kaggle.errors.clear()
    user.submit()
    assert user.uploads() == 2 and user.receipts()[0].state == COMPLETE


def test_another_form_of_what_was_refused_is_sent(user: Submitter) -> None:
    path = user.make()
    user.kaggle.errors[path.name] = "cannot read it"
    user.submit(code=2)
    file = path.with_name("final_blend_v10.csv.zip")
    with zipfile.ZipFile(str(file), "w") as archive:
        archive.writestr("final_blend_v10.csv", "sample_id\n")
    assert "has no receipt" in user.submit("--form=csv", code=2)
    receipts.write(file, "CSV", {path.name: "1" * 64}, receipts.now())
    assert "was made from another final_blend_v10.parquet" in user.submit("--form=csv", code=2)
    receipts.write(file, "CSV", {path.name: sha256(path)}, receipts.now())
    user.internet.status["api.kaggle.com", "CreateSubmission"] = 400
    user.submit("--form=csv", code=2)
    assert "Kaggle could not score it (cannot read it)" in user.submit(code=2), "still refused"
    user.internet.status.clear()
    user.submit("--form=csv")
    (receipt,) = user.receipts()
    assert user.kaggle.contents[file.name] == file.read_bytes()
    assert (receipt.state, receipt.file) == (COMPLETE, file.name)
    assert receipt.sha256 == sha256(path) and receipt.file_sha256 == sha256(file)


@pytest.mark.parametrize("is_told", [True, False])
def test_out_of_submissions_says_when_and_the_next_day_goes_on(
    user: Submitter, is_told: bool
) -> None:
    user.make()
    user.kaggle.allowed = 0
    user.kaggle.is_limit_told = is_told
    text = user.submit(code=2)
    assert text.count("error: ") == 1 and "Kaggle takes no more submissions today" in text
    assert re.search(r"again after \d{4}-\d\d-\d\d \d\d:\d\d UTC, in \d+ h \d+ min", text), text
    assert "not sent: 1 of 1: final_blend_v10" in text
    assert user.uploads() == (0 if is_told else 1) and not user.receipts()
    if not is_told:
        assert "in 1 h 30 min" in text and "allowance (5) today" in text
    user.kaggle.allowed = 5
    user.submit()
    assert len(user.kaggle.taken) == 1 and user.receipts()[0].state == COMPLETE


def test_several_networks_go_as_far_as_the_day_allows(user: Submitter) -> None:
    names = ["max_022_deeper_gf_cv7908_lbUnknown", "adam_195_78569.oof", "Jo_ex907_cv7855"]
    for name in names:
        user.make(f"subs/{name}.parquet", name.encode())
    products = [f"subs/{name}.parquet" for name in names]
    user.kaggle.allowed = 2
    user.kaggle.scores["adam_195_78569.oof.parquet"] = ("0.78334", "0.77753")
    text = user.submit(*products, code=2)
    assert "not sent: 1 of 3: Jo_ex907_cv7855" in text and len(user.kaggle.taken) == 2
    assert "published: public 0.78334, private 0.77753; this differs by +0.00000" in text
    assert {one.stem for one in user.receipts()} == set(names[:2])
    user.kaggle.allowed = 5
    text = user.submit(*products)
    assert len(user.kaggle.taken) == 3 and text.count("is not sent again") == 2
    assert "no tolerance: the file that the team released is not the one that it submitted" in text


def test_a_file_that_is_too_large_is_not_taken_for_too_many_submissions(user: Submitter) -> None:
    user.make()
    user.kaggle.allowed = 0
    user.kaggle.is_limit_told = False
    user.kaggle.words = "The submission is larger than the maximum size, a limit of 1 GB"
    text = user.submit(code=2)
    assert "Kaggle does not take the submission: The submission is larger than the max" in text
    assert "today" not in text and not user.receipts()


def test_an_answer_of_other_types_is_one_sentence(user: Submitter) -> None:
    user.make()
    user.kaggle.scores["final_blend_v10.parquet"] = (0.79231, 0.78876)
    text = user.submit(code=2)
    assert "the answer is not what this client expects (ValueError)" in text
    assert text.count("error: ") == 1 and user.receipts()[0].state == PENDING


def test_one_that_kaggle_refuses_does_not_stop_the_others(user: Submitter) -> None:
    user.make("subs/a.parquet", b"a")
    user.make("subs/b.parquet", b"b")
    user.kaggle.errors["a.parquet"] = "wrong"
    text = user.submit("subs/a.parquet", "subs/b.parquet", code=2)
    assert text.count("error: ") == 1 and "b.parquet: public 0.79231" in text
    assert {one.stem: one.state for one in user.receipts()} == {"a": REFUSED, "b": COMPLETE}


def test_show_sends_nothing_and_needs_no_credentials(user: Submitter) -> None:
    path = user.make()
    text = user.submit("--show", "--message=a note", KAGGLE_KEY="", KAGGLE_USERNAME="")
    assert "would send final_blend_v10.parquet, 17 bytes" in text
    assert f"as 'sha256:{sha256(path)} final_blend_v10; a note'" in text
    assert not user.internet.requests and not user.results.scores.exists()


def test_a_file_that_is_not_its_receipts_is_never_sent(user: Submitter) -> None:
    user.make().write_bytes(b"PAR1 changed PAR1")
    assert "its bytes are not those of its receipt" in user.submit(code=2)
    assert not user.internet.requests


@pytest.mark.parametrize(
    "status, words",
    [
        (401, "Kaggle does not accept these credentials (HTTP 401: no, and the key is ***); ma"),
        (403, "has not accepted the competition's rules (HTTP 403: no, and the key is ***); acc"),
        (429, "the server received too many requests (HTTP 429)"),
    ],
)
def test_refusals_of_kaggle_are_one_sentence(user: Submitter, status: int, words: str) -> None:
    user.make()
    user.internet.status["api.kaggle.com", "CompetitionApiService"] = status
    text = user.submit(code=2)
    assert words in text and text.count("error: ") == 1
    assert not user.uploads() and not user.receipts()


@pytest.mark.parametrize(
    "method, status",
    [("CreateSubmission", 400), ("CreateSubmission", 403), ("StartSubmissionUpload", 400)],
)
def test_a_submission_that_is_not_taken_says_why_and_leaves_no_receipt(
    user: Submitter, method: str, status: int
) -> None:
    user.make()
    user.internet.status["api.kaggle.com", method] = status
    text = user.submit(code=2)
    words = {400: "does not take the submission: no, and the key is ***", 403: "accepted the comp"}
    assert words[status] in text and not user.kaggle.taken and not user.receipts()
    assert "not sent: 1 of 1" in text
    user.internet.status.clear()
    user.submit()
    assert len(user.kaggle.taken) == 1


@pytest.mark.parametrize("place", ["KAGGLE_API_TOKEN", "access_token", "kaggle.json"])
def test_old_and_new_tokens_submit(user: Submitter, place: str) -> None:
    """Submit with a token where each may be kept; all other tests have KAGGLE_KEY."""
    user.make()
    environment = {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}
    folder = user.home / ".kaggle"
    folder.mkdir()
    if place == "KAGGLE_API_TOKEN":
        environment[place] = TOKEN
    else:
        file = folder / place
        key = json.dumps({"username": USER, "key": KEY})
        file.write_text(key if place == "kaggle.json" else TOKEN)
        file.chmod(0o600)
    user.submit(**environment)
    used = {one.headers.get("authorization", "")[:6] for one in user.internet.requests}
    assert ("Bearer" in used) == (place in ("KAGGLE_API_TOKEN", "access_token"))
    assert user.receipts()[0].state == COMPLETE


def test_a_bad_token_and_none_at_all_are_named(user: Submitter) -> None:
    user.make()
    none = {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""}
    assert "there are no credentials; make a token" in user.submit(code=2, **none)
    text = user.submit(code=2, KAGGLE_API_TOKEN="KGAT_cut", **none)
    assert "KAGGLE_API_TOKEN is not accepted" in text and "KGAT_cut" not in text
    assert not user.uploads()


def test_without_a_network_one_sentence_says_so(user: Submitter) -> None:
    user.make()
    text = user.submit(code=2, HTTPS_PROXY="http://127.0.0.1:9")
    assert "the network does not answer: the connection is refused" in text
    assert text.count("error: ") == 1 and not user.receipts()


def test_a_long_message_is_refused(user: Submitter) -> None:
    user.make()
    assert "MESSAGE: has 300 characters" in user.submit("--message=" + "x" * 300, code=2)


def test_the_blend_is_found_on_any_page_of_an_old_hand(user: Submitter) -> None:
    """Submitted from another machine, long ago: there is no receipt here."""
    path = user.make()
    user.submit()
    next(user.results.scores.glob("*.json")).unlink()
    other = dict(user.kaggle.taken[0], description="another", fileName="submission.csv")
    user.kaggle.taken += [dict(other, ref=ref) for ref in range(1, 8)]
    user.kaggle.page = 3
    text = user.submit()
    assert "Kaggle has it as submission 4711, and it is not sent again" in text
    (receipt,) = user.receipts()
    assert user.uploads() == 1 and receipt.sha256 == sha256(path)
    assert receipt.file_sha256 == receipt.sha256 and receipt.client == receipt.began == ""
    assert BLEND.endswith(user.receipts()[0].product)
