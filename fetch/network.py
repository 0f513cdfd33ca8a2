"""What a failing network looks like: every client's exceptions as one sentence, none of their texts (URLs hold tokens)."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import ssl
import time
from typing import Callable, Iterator, Mapping, Optional, Tuple

import gdown.exceptions
import httpx2
import requests
import urllib3.exceptions
from huggingface_hub.errors import OfflineModeIsEnabled

from leapkit.core.errors import KitError, explain_os_errors

# requests' and the hub's errors of HTTP are OSErrors as well, so these are asked for before the disk's.
NETWORK_ERRORS = (
    requests.exceptions.RequestException,
    httpx2.HTTPError,
    urllib3.exceptions.HTTPError,
    ssl.SSLError,
    gdown.exceptions.DownloadError,
    ConnectionError,
    TimeoutError,
    socket.gaierror,
)
_TLS_ERRORS = (
    ssl.SSLCertVerificationError,
    requests.exceptions.SSLError,
    urllib3.exceptions.SSLError,
)
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)
ATTEMPTS = 4  # in a row that bring no byte
_GENERAL = {
    401: "the server does not know who asks",
    403: "the server refuses",
    404: "the server does not have it",
    416: "the server refuses to go on where the transfer ended",
    429: "the server was asked too often",
}
Answers = Mapping[int, Tuple[str, str]]  # HTTP status -> what is wrong, what to do about it


class Unreachable(KitError):
    """The network or the server does not answer: the next file would meet the same."""


@contextlib.contextmanager
def explained(where: object, by_hand: str, answers: Optional[Answers] = None) -> Iterator[None]:
    """Turns what the clients and the disk raise into a KitError.

    by_hand  the other way to the file, for the remedy
    answers  what this server's refusals mean
    """
    try:
        with explain_os_errors(where):
            try:
                yield
            except NETWORK_ERRORS as error:
                raise _as_kit_error(error, where, by_hand, answers or {}) from error
    except KitError:
        raise
    except (
        ValueError,
        AttributeError,
        LookupError,
        TypeError,
    ) as error:  # an answer that the client cannot read
        raise KitError(
            "the answer is not what the client {} expects ({})".format(
                type(error).__module__.split(".")[0], type(error).__name__
            ),
            where,
            by_hand,
        ) from error


def _as_kit_error(error: Exception, where: object, by_hand: str, answers: Answers) -> KitError:
    status = status_of(error)
    if status:
        what, remedy = answers.get(
            status, (_GENERAL.get(status, "the server fails"), "try again later, or " + by_hand)
        )
        kind = Unreachable if status in (401, 403, 429) or status >= 500 else KitError
        return kind("%s (HTTP %d)" % (what, status), where, remedy)
    if isinstance(error, gdown.exceptions.DownloadError) and not isinstance(
        error.__cause__, NETWORK_ERRORS
    ):
        return KitError(
            "Google Drive does not hand it out: it is not there, not shared, or was fetched too often today",
            where,
            "check DRIVE, try again tomorrow, or " + by_hand,
        )
    return Unreachable(
        "the network does not answer: " + _reason(error),
        where,
        "check the network and its proxy and run the same command again, or " + by_hand,
    )


def status_of(error: Optional[BaseException]) -> int:
    """The HTTP status behind an error, 0 where there was no answer."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__ or error.__context__
    return 0


def _reason(error: Optional[BaseException]) -> str:
    """In words of our own, from the deepest cause that is known."""
    found = "it broke off"
    while error is not None:
        if isinstance(error, _TLS_ERRORS):
            found = "a TLS certificate is not trusted (SSL_CERT_FILE names those of a proxy that inspects TLS)"
        elif isinstance(error, OfflineModeIsEnabled):
            found = "HF_HUB_OFFLINE is set"
        elif isinstance(error, socket.gaierror):
            found = "the server's name is not known"
        elif isinstance(error, ConnectionRefusedError):
            found = "the connection is refused"
        elif isinstance(
            error, (TimeoutError, requests.exceptions.Timeout, httpx2.TimeoutException)
        ):
            found = "there is no answer in time"
        elif isinstance(error, (requests.exceptions.ProxyError, httpx2.ProxyError)):
            found = "the proxy refuses"
        error = error.__cause__ or error.__context__
    return found


def ends_all(error: KitError) -> bool:
    """Whether the next file of the same server would meet the same."""
    cause = error.__cause__
    return isinstance(error, Unreachable) or (
        isinstance(cause, OSError) and cause.errno in _DISK_ERRORS
    )


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    status = status_of(error)
    return (
        isinstance(error, NETWORK_ERRORS)
        and not isinstance(error, _TLS_ERRORS)
        and (not status or status == 429 or status >= 500)
    )


def patiently(step: Callable[[], None], progress: Callable[[], int]) -> None:
    """Repeats `step` while it fails for reasons that pass; gives up after four times in a row without progress.

    progress  bytes that are there
    """
    failures, before = 0, progress()
    while True:
        try:
            return step()
        except Exception as error:
            if not is_passing(error):
                raise
            now = progress()
            failures, before = (0 if now > before else failures) + 1, now
            if failures >= ATTEMPTS:
                raise
            time.sleep(min(2.0**failures / 2, 30.0))


@contextlib.contextmanager
def impatient(done: Callable[[], int], seconds: float) -> Iterator[None]:
    """Raises TimeoutError in the main thread when `done` has not changed for so long: Kaggle's client waits forever."""
    before = done()

    def look(*_: object) -> None:
        nonlocal before
        now = done()
        if now == before:
            raise TimeoutError(f"nothing came for {seconds:.0f} s")
        before = now

    previous = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def trust_the_users_certificates() -> None:
    """One variable for all clients: requests reads REQUESTS_CA_BUNDLE, httpx SSL_CERT_FILE, pip PIP_CERT."""
    named = (
        os.environ.get("SSL_CERT_FILE")
        or os.environ.get("PIP_CERT")
        or os.environ.get("REQUESTS_CA_BUNDLE")
    )
    if named:
        os.environ.setdefault("SSL_CERT_FILE", named)
        os.environ.setdefault("REQUESTS_CA_BUNDLE", named)
