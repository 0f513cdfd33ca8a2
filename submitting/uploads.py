"""The transfer of a file to the address that Kaggle gives, in the protocol of Google's storage.

Kaggle's client begins again at the first byte if a connection breaks, gives up if the server fails,
and waits forever for one that is silent. The address holds a signature and is never shown.
"""

from __future__ import annotations

from pathlib import Path

import requests

from fetch.network import explain_network_errors
from fetch.outcome import progress_of
from fetch.retries import retry_while_progressing
from submitting.answers import BY_HAND

STALL_SECONDS = 120.0  # in which a byte is taken or an answer comes
_INCOMPLETE = 308  # the status of an upload that is not whole yet
_REFUSALS = dict.fromkeys(
    (400, 401, 403, 404, 410, 412, 413),
    (
        "the server of the uploads refuses the file, and nothing was submitted",
        f"run the same command again, or {BY_HAND}",
    ),
)


def transfer(file: Path, address: str) -> None:
    """Upload a file with a progress bar; continue where a connection broke off.

    Raises KitError if the server refuses it, and if tries bring no more bytes to it.
    """
    size = file.stat().st_size
    stored = 0  # bytes that the server has said to have
    with explain_network_errors(f"the upload of {file.name}", BY_HAND, _REFUSALS), open(
        str(file), "rb"
    ) as handle, requests.Session() as session:

        def once() -> None:
            nonlocal stored
            if handle.tell():  # an earlier try has sent something
                stored = _stored(session, address, size)
                if stored == size:
                    return
                handle.seek(stored)
            part = {"Content-Range": f"bytes {stored}-{size - 1}/{size}"} if stored else {}
            answer = session.put(address, data=handle, headers=part, timeout=STALL_SECONDS)
            answer.raise_for_status()
            if answer.status_code == _INCOMPLETE:
                raise ConnectionError("the server has not stored all of it")

        with progress_of(file.name, size, handle.tell):
            retry_while_progressing(once, lambda: stored)


def _stored(session: requests.Session, address: str, size: int) -> int:
    """Return how many bytes of an upload the server has."""
    question = {"Content-Range": f"bytes */{size}"}
    answer = session.put(address, headers=question, timeout=STALL_SECONDS)
    answer.raise_for_status()
    if answer.status_code != _INCOMPLETE:
        return size
    last = answer.headers.get("Range", "").rpartition("-")[2]  # bytes=0-1000; none of nothing
    return int(last) + 1 if last else 0
