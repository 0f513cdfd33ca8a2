"""Kaggle's side of a submission: the upload, the queue, the score, and the limit of a day.

Methods, paths and JSON are those of kagglesdk's CompetitionApiService; the upload is Google's
resumable one, as Kaggle's client speaks it.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from typing import Any, Callable, Dict, List, Tuple

SERVICE = "/v1/competitions.CompetitionApiService/"
INBOX = "/kaggle-inbox/"
ALLOWANCE = (
    "Submission not allowed: Your team has used its daily Submission allowance (5) today, "
    "please try again tomorrow UTC (1.5 hours from now)."
)


@dataclasses.dataclass
class FakeSubmissions:
    """What Kaggle has of the user, and how it misbehaves.

    taken       the submissions, newest last, as ListSubmissions shows them
    contents    file name -> the bytes that were submitted
    scores      file name -> (public, private); others get those of a released blend
    errors      file name -> why Kaggle cannot score it
    queue       how many answers of GetSubmission are PENDING
    allowed     how many submissions Kaggle takes today
    is_limit_told
                whether GetSubmissionLimits tells it; else only CreateSubmission does
    words       of a refusal for the limit
    cuts        bytes after which uploads are answered with a status, one by one
    broken      bytes after which the connections of uploads break, one by one
    silent      uploads that are neither read to their end nor answered
    mute        submissions that are taken and not answered until `released`
    lost        submissions that are taken, and whose answer is lost with the connection
    down        whether answers of GetSubmission are 503, one by one
    is_listed   whether the list shows what is taken
    page        submissions of one page of the list
    hold_upload whether every upload waits for `released`
    on_upload   called when a file is whole
    upload_status
                of all uploads, instead of taking them
    """

    taken: List[Dict[str, Any]] = dataclasses.field(default_factory=list)
    contents: Dict[str, bytes] = dataclasses.field(default_factory=dict)
    uploads: List[bytearray] = dataclasses.field(default_factory=list)
    names: List[str] = dataclasses.field(default_factory=list)
    scores: Dict[str, Tuple[Any, Any]] = dataclasses.field(default_factory=dict)
    errors: Dict[str, str] = dataclasses.field(default_factory=dict)
    queue: int = 1
    allowed: int = 5
    is_limit_told: bool = True
    words: str = ALLOWANCE
    cuts: List[Tuple[int, int]] = dataclasses.field(default_factory=list)
    broken: List[int] = dataclasses.field(default_factory=list)
    silent: int = 0
    mute: int = 0
    lost: int = 0
    down: List[bool] = dataclasses.field(default_factory=list)
    is_listed: bool = True
    page: int = 100
    uploading: threading.Event = dataclasses.field(default_factory=threading.Event)
    released: threading.Event = dataclasses.field(default_factory=threading.Event)
    hold_upload: bool = False
    on_upload: Callable[[], object] = lambda: None
    upload_status: int = 0


def answer(handler: Any, fake: FakeSubmissions, method: str, body: Dict[str, Any]) -> None:
    """Answer one call of the API."""
    if "competitionName" in body:
        assert body["competitionName"] == "leap-atmospheric-physics-ai-climsim", body
    reply = {
        "StartSubmissionUpload": _start,
        "ListSubmissions": _list,
        "GetSubmission": _get,
        "GetSubmissionLimits": _limits,
    }
    if method == "CreateSubmission":
        return _create(handler, fake, body)
    if method == "GetSubmission" and fake.down and fake.down.pop(0):
        return handler._send(503, b"{}", Retry_After=handler.internet.retry_after)
    content = reply[method](fake, body)
    if content is None:
        return handler._send(404, b'{"code": 404, "message": "Not found"}')
    return handler._send(200, json.dumps(content).encode())


def _start(fake: FakeSubmissions, body: Dict[str, Any]) -> Dict[str, Any]:
    assert body["contentLength"] > 0 and body["lastModifiedEpochSeconds"] > 0
    number = len(fake.uploads)
    fake.uploads.append(bytearray())
    fake.names.append(body["fileName"])
    address = f"https://storage.googleapis.com{INBOX}{number}?X-Goog-Signature=c0ffee"
    return {"token": f"blob-token-{number}", "createUrl": address}


def upload(handler: Any, fake: FakeSubmissions) -> None:
    """Take a part of a file, or say how much of it is here."""
    assert "authorization" not in {name.lower() for name in handler.headers}
    match = re.fullmatch(INBOX + r"(\d+)\?X-Goog-Signature=c0ffee", handler.path)
    assert match, handler.path
    stored = fake.uploads[int(match[1])]
    stated = handler.headers.get("Content-Range", "")
    if stated.startswith("bytes */"):
        if len(stored) == int(stated[8:]):
            return handler._send(200)
        more = {"Range": f"bytes=0-{len(stored) - 1}"} if stored else {}
        return handler._send(308, **more)
    start = int(stated.split()[1].split("-")[0]) if stated else 0
    assert start <= len(stored), (start, len(stored))
    fake.uploading.set()
    if fake.hold_upload or fake.silent:
        fake.silent = max(0, fake.silent - 1)
        fake.released.wait(600)
        handler.close_connection = True
        return None
    if fake.broken:
        stored[start:] = handler.rfile.read(fake.broken.pop(0))
        handler.close_connection = True
        return handler.connection.shutdown(2)
    body = handler.rfile.read(int(handler.headers["Content-Length"]))
    if fake.upload_status:
        return handler._send(fake.upload_status, b"<Error>SignatureDoesNotMatch</Error>")
    if fake.cuts:
        size, status = fake.cuts.pop(0)
        stored[start:] = body[:size]
        return handler._send(status, b"{}")
    stored[start:] = body
    fake.on_upload()
    return handler._send(200)


def _create(handler: Any, fake: FakeSubmissions, body: Dict[str, Any]) -> None:
    number = int(body["blobFileTokens"].rsplit("-", 1)[1])
    if fake.allowed <= 0:
        refusal = {"code": 400, "message": fake.words}
        return handler._send(400, json.dumps(refusal).encode())
    fake.allowed -= 1
    name = fake.names[number]
    fake.contents[name] = bytes(fake.uploads[number])
    take(fake, name, body["submissionDescription"])
    if fake.mute:
        fake.mute -= 1
        fake.uploading.set()
        fake.released.wait(600)
    if fake.lost:
        fake.lost -= 1
        handler.close_connection = True
        return handler.connection.shutdown(2)
    content = {"message": "Successfully submitted to LEAP", "ref": fake.taken[-1]["ref"]}
    return handler._send(200, json.dumps(content).encode())


def take(fake: FakeSubmissions, name: str, description: str) -> None:
    """Add a submission to those that Kaggle has of the user."""
    fake.taken.append(
        {
            "ref": 4711 + len(fake.taken),
            "date": "2026-11-28T12:00:00.1234567Z",
            "description": description,
            "fileName": name,
            "status": "PENDING",
        }
    )


def _list(fake: FakeSubmissions, body: Dict[str, Any]) -> Dict[str, Any]:
    start = int(body.get("pageToken") or 0)
    newest = fake.taken[::-1][start : start + fake.page] if fake.is_listed else []
    more = start + fake.page < len(fake.taken)
    return {"submissions": newest, "nextPageToken": str(start + fake.page) if more else ""}


def _get(fake: FakeSubmissions, body: Dict[str, Any]) -> Any:
    found = next((one for one in fake.taken if one["ref"] == body["ref"]), None)
    if found is None:
        return None
    if fake.queue > 0:
        fake.queue -= 1
    elif found["status"] == "PENDING":
        name = found["fileName"]
        if name in fake.errors:
            found.update(status="ERROR", errorDescription=fake.errors[name])
        else:
            public, private = fake.scores.get(name, ("0.79231", "0.78876"))
            found.update(status="COMPLETE", publicScore=public, privateScore=private)
    return found


def _limits(fake: FakeSubmissions, body: Dict[str, Any]) -> Dict[str, Any]:
    if not fake.is_limit_told:
        return {"numToday": 0, "numTotal": 0, "numAllowedNow": 0}
    used = 5 - fake.allowed
    return {"numToday": used, "numTotal": used, "numAllowedNow": fake.allowed}
