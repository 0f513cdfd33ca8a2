"""Failures of the network: each client's exceptions become one sentence of our own.

The clients' own texts are never shown, because their URLs hold tokens.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from typing import Any, Iterator, Mapping, Optional, Tuple

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
_BROKEN_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)
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
        raise KitError(
            f"the answer is not what this client expects ({type(error).__name__})",
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
    return int(getattr(response_of(error), "status_code", 0))


def response_of(error: Optional[BaseException]) -> Optional[Any]:
    """Return the answer behind an error, of requests or httpx; None if there was none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(getattr(response, "status_code", None), int):
            return response
        error = error.__cause__ or error.__context__
    return None


def is_untrusted(error: BaseException) -> bool:
    """Return whether TLS refuses the server; a connection that breaks off is an SSLError too."""
    chain = list(_chain(error))
    return any(isinstance(each, _TLS_ERRORS) for each in chain) and not any(
        isinstance(each, _BROKEN_TLS) for each in chain
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that led to it, the nearest first; clients wrap them in each other.

    urllib3 keeps what TLS raised as an argument alone.
    """
    chain = [error]
    for each in chain:
        yield each
        behind = (each.__cause__, each.__context__, *each.args)
        chain += [one for one in behind if isinstance(one, BaseException) and one not in chain]


def _reason(failure: BaseException) -> str:
    """Return the deepest known cause in our own words."""
    if is_untrusted(failure):
        return (
            "a TLS certificate is not trusted "
            "(set SSL_CERT_FILE to the certificates of a proxy that inspects TLS)"
        )
    reason = "the transfer broke off"
    for error in _chain(failure):
        if isinstance(error, OfflineModeIsEnabled):
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
    return reason


def is_fatal_for_server(error: KitError) -> bool:
    """Return whether the next file of the same server would fail for the same reason."""
    cause = error.__cause__
    return isinstance(error, Unreachable) or (
        isinstance(cause, OSError) and cause.errno in _DISK_ERRORS
    )


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
