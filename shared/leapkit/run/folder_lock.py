"""A lock on a folder, held by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path
from typing import Iterator

from leapkit.core.errors import KitError, explain_os_errors


@contextlib.contextmanager
def locked(folder: Path, refusal: str = "") -> Iterator[None]:
    """Hold the lock of `folder`, which is made if it is missing.

    Waits while another process holds the lock. With a `refusal` it does not wait but raises
    KitError with that reason. The kernel releases the lock however its holder ends.
    """
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / ".lock", "w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except OSError as error:
            raise KitError(refusal, folder, "wait for it or stop it") from error
        yield
