"""Failures of the network: each client's exceptions become one sentence of our own.

The clients' own texts are never shown, because their URLs hold tokens.
"""

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

# HTTP errors of requests and of the hub's client are OSErrors too, so these are checked before the
# disk's errors.
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
ATTEMPTS = 4  # in a row that transfer no byte
_GENERAL = {
    401: "the server does not accept these credentials",
    403: "the server refuses",
    404: "the server does not have it",
    416: "the server refuses to continue where the transfer ended",
    429: "the server received too many requests",
}
Answers = Mapping[int, Tuple[str, str]]  # HTTP status -> (what is wrong, remedy)


class Unreachable(KitError):
    """The network or the server does not answer, so the next file would fail too."""


@contextlib.contextmanager
def explain_network_errors(
    where: object, by_hand: str, answers: Optional[Answers] = None
) -> Iterator[None]:
    """Turn what the clients and the disk raise into a KitError.

    where    what is fetched, for the message
    by_hand  how to get the file without this command, for the remedy
    answers  what this server's HTTP statuses mean
    """
    try:
        with explain_os_errors(where):
            try:
                yield
            except NETWORK_ERRORS as error:
                raise _as_kit_error(error, where, by_hand, answers or {}) from error
    except KitError:
        raise
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        # The client cannot read the answer.
        client = type(error).__module__.split(".")[0]
        raise KitError(
            f"the answer is not what the client {client} expects ({type(error).__name__})",
            where,
            by_hand,
        ) from error


def _as_kit_error(error: Exception, where: object, by_hand: str, answers: Answers) -> KitError:
    status = http_status(error)
    if status:
        what, remedy = answers.get(
            status, (_GENERAL.get(status, "the server fails"), "try again later, or " + by_hand)
        )
        kind = Unreachable if status in (401, 403, 429) or status >= 500 else KitError
        return kind(f"{what} (HTTP {status})", where, remedy)
    if isinstance(error, gdown.exceptions.DownloadError) and not isinstance(
        error.__cause__, NETWORK_ERRORS
    ):
        return KitError(
            "Google Drive does not deliver it: it does not exist, is not shared, "
            "or was fetched too often today",
            where,
            "check DRIVE, try again tomorrow, or " + by_hand,
        )
    return Unreachable(
        "the network does not answer: " + _reason(error),
        where,
        "check the network and its proxy and run the same command again, or " + by_hand,
    )


def http_status(error: Optional[BaseException]) -> int:
    """Return the HTTP status behind an error, 0 if there was no answer."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__ or error.__context__
    return 0


def _reason(error: Optional[BaseException]) -> str:
    """Return the deepest known cause in our own words."""
    reason = "the transfer broke off"
    while error is not None:
        if isinstance(error, _TLS_ERRORS):
            reason = (
                "a TLS certificate is not trusted "
                "(set SSL_CERT_FILE to the certificates of a proxy that inspects TLS)"
            )
        elif isinstance(error, OfflineModeIsEnabled):
            reason = "HF_HUB_OFFLINE is set"
        elif isinstance(error, socket.gaierror):
            reason = "the server's name is unknown"
        elif isinstance(error, ConnectionRefusedError):
            reason = "the connection is refused"
        elif isinstance(
            error, (TimeoutError, requests.exceptions.Timeout, httpx2.TimeoutException)
        ):
            reason = "no answer arrived in time"
        elif isinstance(error, (requests.exceptions.ProxyError, httpx2.ProxyError)):
            reason = "the proxy refuses"
        error = error.__cause__ or error.__context__
    return reason


def is_fatal_for_server(error: KitError) -> bool:
    """Return whether the next file of the same server would fail for the same reason."""
    cause = error.__cause__
    return isinstance(error, Unreachable) or (
        isinstance(cause, OSError) and cause.errno in _DISK_ERRORS
    )


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed a moment later."""
    status = http_status(error)
    return (
        isinstance(error, NETWORK_ERRORS)
        and not isinstance(error, _TLS_ERRORS)
        and (not status or status == 429 or status >= 500)
    )


def retry_while_progressing(step: Callable[[], None], bytes_so_far: Callable[[], int]) -> None:
    """Repeat `step` while it fails for transient reasons.

    Raises the last error after ATTEMPTS failures in a row without a new byte. A failure that
    brought bytes restarts the count: a bad line may need many attempts for one large file, and each
    of them continues the last one.
    """
    failures = 0
    before = bytes_so_far()
    while True:
        try:
            return step()
        except Exception as error:
            if not is_transient(error):
                raise
            now = bytes_so_far()
            failures = (0 if now > before else failures) + 1
            before = now
            if failures >= ATTEMPTS:
                raise
            time.sleep(min(2.0**failures / 2, 30.0))


@contextlib.contextmanager
def stall_timeout(bytes_so_far: Callable[[], int], seconds: float) -> Iterator[None]:
    """Raise TimeoutError when `bytes_so_far` has not changed for `seconds`.

    Kaggle's client would wait forever. The error comes from a signal, so this works in the main
    thread only.
    """
    before = bytes_so_far()

    def check(*_: object) -> None:
        nonlocal before
        now = bytes_so_far()
        if now == before:
            raise TimeoutError(f"nothing came for {seconds:.0f} s")
        before = now

    previous = signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def trust_the_users_certificates() -> None:
    """Let one variable serve all clients.

    requests reads REQUESTS_CA_BUNDLE, httpx reads SSL_CERT_FILE, pip reads PIP_CERT.
    """
    certificates = (
        os.environ.get("SSL_CERT_FILE")
        or os.environ.get("PIP_CERT")
        or os.environ.get("REQUESTS_CA_BUNDLE")
    )
    if certificates:
        os.environ.setdefault("SSL_CERT_FILE", certificates)
        os.environ.setdefault("REQUESTS_CA_BUNDLE", certificates)
