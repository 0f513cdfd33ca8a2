"""Requests that are repeated: after a failure that may pass, and after a server's long silence."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import Callable, Iterator

from fetch.network import NETWORK_ERRORS, http_status, is_untrusted, response_of

ATTEMPTS = 4  # in a row that transfer no byte
_LONGEST_PAUSE = 60.0  # seconds before the next one, if the server asks for more


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed a moment later."""
    status = http_status(error)
    return (
        isinstance(error, NETWORK_ERRORS)
        and not is_untrusted(error)
        and (not status or status in (408, 429) or status >= 500)
    )


def is_busy(error: BaseException) -> bool:
    """Return whether the server has not looked at the request: it received too many."""
    return http_status(error) == 429


def retry_while_progressing(
    step: Callable[[], None],
    bytes_so_far: Callable[[], int],
    may_repeat: Callable[[BaseException], bool] = is_transient,
) -> None:
    """Repeat `step` while it fails for reasons that may pass, after the pause the server asks for.

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
            if not may_repeat(error):
                raise
            now = bytes_so_far()
            failures = (0 if now > before else failures) + 1
            before = now
            if failures >= ATTEMPTS:
                raise
            time.sleep(max(min(2.0**failures / 2, 30.0), pause_asked_for(error)))


def pause_asked_for(error: BaseException) -> float:
    """Return the seconds for which a server asks not to be asked again, at most _LONGEST_PAUSE."""
    stated = getattr(response_of(error), "headers", {}).get("Retry-After", "")
    return min(float(stated), _LONGEST_PAUSE) if stated.isdigit() else 0.0  # else it is a date


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
