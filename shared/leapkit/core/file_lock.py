"""One lock between processes and containers: flock on a file or folder that all of them see.

The kernel gives a lock back however its holder ends, so a killed run leaves nothing behind. On a
file system without locks (Lustre, some NFS and FUSE) a name in the kernel takes their place, which
only the processes of one machine or container see. That is said once.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import socket
import sys
import time
from pathlib import Path
from typing import Iterator, Optional

from leapkit.core.errors import KitError, explain_os_errors

# What flock answers where the file system has no locks.
_WITHOUT_LOCKS = (
    errno.ENOLCK,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.EBADF,  # NFS locks only what is open for writing, which a folder never is
)
_POLL_SECONDS = 0.1  # between two tries to get a name that another process has


@contextlib.contextmanager
def hold(path: Path, refusal: Optional[KitError] = None) -> Iterator[None]:
    """Hold the lock of `path`, a folder, or a file that is created if it does not exist.

    refusal  raised if another process holds the lock; None waits for it instead
    Raises KitError if the operating system refuses the file or the lock.
    """
    with _locked(path, waits=refusal is None) as is_held:
        if not is_held:
            assert refusal is not None
            raise refusal
        yield


@contextlib.contextmanager
def try_hold(path: Path) -> Iterator[bool]:
    """Hold the lock of `path` unless another process holds it; yield whether it is held.

    Raises KitError if the operating system refuses the file or the lock.
    """
    with _locked(path, waits=False) as is_held:
        yield is_held


@contextlib.contextmanager
def _locked(path: Path, waits: bool) -> Iterator[bool]:
    with _opened(path) as handle:
        is_held = _flock(handle, path, waits)
        if is_held is None:
            with _kernel_name(os.fstat(handle), waits) as is_name_held:
                yield is_name_held
        else:
            yield is_held


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


def _flock(handle: int, path: Path, waits: bool) -> Optional[bool]:
    """Lock; return whether it is held, None if the file system has no locks."""
    with explain_os_errors(path):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
            _say_what_is_lost(_mount_point(path), os.strerror(error.errno or 0))
            return None
    return True


def _mount_point(path: Path) -> str:
    folder = os.path.realpath(str(path))
    while not os.path.ismount(folder):
        folder = os.path.dirname(folder)
    return folder


@functools.lru_cache(maxsize=None)
def _say_what_is_lost(file_system: str, answer: str) -> None:
    """Say it once in a process."""
    print(
        f"note: the file system at {file_system} has no locks ({answer}): runs on this machine"
        " still wait for each other, but not for those in other containers and on other machines;"
        " start no two runs in one folder from there.",
        file=sys.stderr,
        flush=True,
    )


@contextlib.contextmanager
def _kernel_name(status: os.stat_result, waits: bool) -> Iterator[bool]:
    """Hold the name of a file among Linux's abstract sockets; yield whether it is held.

    Only one socket has a name, until its process closes it or ends.
    """
    with socket.socket(socket.AF_UNIX) as holder:
        yield _bind(holder, f"\0leapkit {status.st_dev}:{status.st_ino}", waits)


def _bind(holder: socket.socket, name: str, waits: bool) -> bool:
    while True:
        try:
            holder.bind(name)
            return True
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return True  # no Linux: nothing keeps two runs apart
            if not waits:
                return False
            time.sleep(_POLL_SECONDS)
