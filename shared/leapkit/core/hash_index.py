"""Hashes of files: a file is read again only if its inode says that it may have changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterable, NamedTuple, Optional, Sequence

from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import read_json, sha256, sha256_json, write_json

# An edit within one tick of the file system's clock leaves all times as they were: a tick is 2 s on
# FAT, 4 ms on older kernels.
_SETTLED_NS = 2 * 10**9
_BLOCK = 1 << 20
_PROGRESS_SECONDS = 15.0  # between two lines about hashing
_FILES_AT_ONCE = 512  # files whose hashes are waited for together


class _Stamp(NamedTuple):
    """What the file system says of a file; a container sees the same numbers under another path."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str) -> _Stamp:
        """Raises KitError if the file is missing."""
        with explain_os_errors(path):
            return cls.of_status(os.stat(path))

    @classmethod
    def of_status(cls, status: os.stat_result) -> _Stamp:
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class HashIndex:
    """sha256 of files by inode.

    Content decides: the index never answers for a file whose size, inode, mtime or ctime (which no
    user program can set back) differs from what it was when the content was hashed. Like git's
    index, it does not remember a file that changed a moment ago.

    `path` is the JSON file that stores the index between runs; None keeps it in memory.
    """

    def __init__(self, path: Optional[Path] = None) -> None:
        self._path = path
        self._entries: Dict[str, Any] = {}  # inode -> [size, mtime, ctime, inode, sha256]
        self._dirty = False
        if path is not None and path.exists():
            with contextlib.suppress(KitError):
                stored = read_json(path)
                self._entries = stored if isinstance(stored, dict) else {}

    def of(self, path: Path) -> str:
        """Return the sha256 of a file. Raises KitError if it cannot be read."""
        return self._hash(str(path), _Stamp.of(str(path)))

    def of_open(self, handle: int) -> str:
        """Return the sha256 of an open file, whatever its name stands for by now."""
        stamp = _Stamp.of_status(os.fstat(handle))
        stored = self._stored(stamp)
        if stored:
            return stored
        started = time.time_ns()
        return self._remembered(stamp, started, _sha256_of_open(handle))

    def of_many(self, paths: Iterable[Path], root: Path) -> str:
        """Return one hash for a set of files: their names below `root` and their contents.

        The order of `paths` does not matter. Several files are read at a time. A long reading
        reports its progress on stderr and saves the index, in case the rest is interrupted.
        Raises KitError if a file cannot be read.
        """
        stamps = {str(path): _Stamp.of(str(path)) for path in paths}
        # Several names of one file are read once. The whole stamp tells files apart: every disk
        # has a file of every inode number.
        hashes = {stamp: self._stored(stamp) for stamp in stamps.values()}
        unread = {stamp: name for name, stamp in stamps.items() if not hashes[stamp]}
        hashes.update(self._read(unread, root))
        return sha256_json(
            {os.path.relpath(name, str(root)): hashes[stamp] for name, stamp in stamps.items()}
        )

    def save(self) -> None:
        """Write the index where it has a path; one that cannot be written costs time, not truth."""
        if self._path is not None and self._dirty:
            with contextlib.suppress(KitError):
                write_json(self._path, dict(self._entries))
            self._dirty = False

    def _read(self, names: Dict[_Stamp, str], root: Path) -> Dict[_Stamp, str]:
        """{stamp: sha256} of the named files, read by several threads."""
        stamps = list(names)
        hashes: Dict[_Stamp, str] = {}
        progress = _Progress(root, sum(stamp.size for stamp in stamps))
        with ThreadPoolExecutor() as threads:
            for start in range(0, len(stamps), _FILES_AT_ONCE):
                chunk = stamps[start : start + _FILES_AT_ONCE]
                digests = threads.map(lambda stamp: self._hash(names[stamp], stamp), chunk)
                hashes.update(zip(chunk, digests))
                if progress.is_due(chunk):
                    self.save()
                    progress.report()
        return hashes

    def _hash(self, path: str, stamp: _Stamp) -> str:
        stored = self._stored(stamp)
        if stored:
            return stored
        started = time.time_ns()
        return self._remembered(stamp, started, sha256(Path(path)))

    def _remembered(self, stamp: _Stamp, started: int, digest: str) -> str:
        """Return the digest; store it if the file had been at rest when its reading began."""
        if started - stamp.ctime_ns > _SETTLED_NS:
            self._entries[str(stamp.inode)] = [*stamp, digest]
            self._dirty = True
        return digest

    def _stored(self, stamp: _Stamp) -> str:
        """The hash that the index has for this stamp, "" where it has none."""
        entry = self._entries.get(str(stamp.inode))
        if not isinstance(entry, list) or len(entry) != 5:
            return ""
        return str(entry[4]) if entry[:4] == list(stamp) else ""


def _sha256_of_open(handle: int) -> str:
    """Return the sha256 of an open file; its position, which others may use, stays as it is."""
    digest = hashlib.sha256()
    size = os.fstat(handle).st_size
    for position in range(0, size, _BLOCK):
        digest.update(os.pread(handle, _BLOCK, position))
    return digest.hexdigest()


class _Progress:
    """Lines on stderr about a long hashing."""

    def __init__(self, root: Path, total: int) -> None:
        self._root = root
        self._total = total
        self._done = 0
        self._started = time.monotonic()
        self._reported = self._started

    def is_due(self, chunk: Sequence[_Stamp]) -> bool:
        """Count `chunk` as read and say whether the next line is due."""
        self._done += sum(stamp.size for stamp in chunk)
        return self._done > 0 and time.monotonic() - self._reported > _PROGRESS_SECONDS

    def report(self) -> None:
        self._reported = time.monotonic()
        seconds = self._reported - self._started
        minutes_left = seconds * (self._total / self._done - 1) / 60
        print(
            f"hashing {self._root}: {self._done / 1e9:.1f} of {self._total / 1e9:.1f} GB, "
            f"{minutes_left:.0f} minutes left",
            file=sys.stderr,
            flush=True,
        )
