"""An upload that breaks off, and what happens meanwhile."""

from __future__ import annotations

import pytest

from leapkit.core.files import sha256
from leapkit.core.score_receipts import COMPLETE
from tests.fetch.fake_submissions import take
from tests.submitting.conftest import Submitter

pytestmark = pytest.mark.process


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


def test_a_server_that_refuses_the_file_is_named_and_nothing_is_submitted(user: Submitter) -> None:
    user.make()
    user.kaggle.upload_status = 410
    text = user.submit(code=2)
    assert "the server of the uploads refuses the file, and nothing was submitted (HTTP 4" in text
    assert text.count("error: ") == 1 and not user.receipts()


def test_a_server_that_falls_silent_gets_the_upload_again(user: Submitter) -> None:
    content = bytes(range(256)) * 20_000
    user.make(content=content)
    user.kaggle.silent = 1
    user.prelude = "import submitting.uploads; submitting.uploads.STALL_SECONDS = 1.5"
    user.submit()
    assert user.kaggle.contents == {"final_blend_v10.parquet": content}


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
    user.goes_on(uploads=2)


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
