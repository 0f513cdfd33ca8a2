"""One lock between processes and containers: flock on a file or folder that all of them see.

The kernel gives a lock back however its holder ends, so a killed run leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import Iterator, Optional

from leapkit.core.errors import KitError, explain_os_errors

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def hold(path: Path, refusal: Optional[KitError] = None, required: bool = True) -> Iterator[None]:
    """Hold the lock of `path`, a folder, or a file that is created if it does not exist.

    refusal   raised if another process holds the lock; None waits for it instead
    required  False continues without a lock on a file system that has none
    Raises KitError if the operating system refuses the file or the lock.
    """
    with _opened(path) as handle:
        if not _lock(handle, path, refusal is None, required):
            assert refusal is not None
            raise refusal
        yield


@contextlib.contextmanager
def try_hold(path: Path) -> Iterator[bool]:
    """Hold the lock of `path` unless another process holds it; yield whether it is held.

    Raises KitError if the operating system refuses the file or the lock.
    """
    with _opened(path) as handle:
        yield _lock(handle, path, waits=False, required=True)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    with explain_os_errors(path):
        if path.is_dir():
            handle = os.open(str(path), os.O_RDONLY)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(str(path), os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int, path: Path, waits: bool, required: bool) -> bool:
    """Lock; return False if another process holds the lock and this one does not wait."""
    with explain_os_errors(path):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError as error:
            if required or error.errno not in _WITHOUT_LOCKS:
                raise
    return True
