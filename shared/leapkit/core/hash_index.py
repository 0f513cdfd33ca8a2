"""Hashes of files: a file is read again only if its inode says that it may have changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

from leapkit.core import allotment, amounts
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import read_json, sha256, sha256_json, write_json

# An edit within one tick of the file system's clock leaves all times as they were: a tick is 2 s on
# FAT, 4 ms on older kernels. A server's clock may differ from this machine's by seconds too.
_SETTLED_NS = 10 * 10**9
_COARSE_NS = 10**6  # times that are multiples of this come from a clock of few ticks
_CHECK = "sha256"  # in the stored index, beside the inodes
_BLOCK = 1 << 20
_PROGRESS_SECONDS = 15.0  # between two lines about hashing
_LONGEST = 1 << 29  # bytes of the stored index: 420,000 step files take 72 million
_FILES_AT_ONCE = 512  # files whose hashes are waited for together


class _Stamp(NamedTuple):
    """What the file system says of a file; a container sees the same numbers under another path.

    name  of a file whose times are coarse, "" of others. Step files have one size, several are made
          in a second, and FUSE numbers inodes anew after each mount: only the name tells them apart
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    name: str = ""

    @classmethod
    def of(cls, path: str) -> _Stamp:
        """Raises KitError if the file is missing."""
        with explain_os_errors(path):
            return cls.of_status(os.stat(path), path)

    @classmethod
    def of_status(cls, status: os.stat_result, path: str) -> _Stamp:
        is_coarse = status.st_ctime_ns % _COARSE_NS == 0
        name = os.path.basename(path) if is_coarse else ""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, name)

    @property
    def key(self) -> str:
        """The key of the file in the index."""
        return f"{self.inode} {self.name}" if self.name else str(self.inode)


class HashIndex:
    """sha256 of files by inode.

    Content decides: the index never answers for a file whose size, inode, mtime or ctime (which no
    user program can set back) differs from what it was when the content was hashed. Like git's
    index, it does not remember a file that changed a moment ago.

    `path` is the JSON file that stores the index between runs; None keeps it in memory. `budget` is
    how many bytes it may read in all to learn what it does not know; None is no limit.
    """

    def __init__(self, path: Optional[Path] = None, budget: Optional[int] = None) -> None:
        self._path = path
        self._budget = budget
        self._entries = _load(path) if path is not None else {}
        self._dirty = False

    def of(self, path: Path) -> str:
        """Return the sha256 of a file. Raises KitError if it cannot be read, or not any more."""
        stamp = _Stamp.of(str(path))
        if not self._stored(stamp):
            self._spend(stamp.size, path)
        return self._hash(str(path), stamp)

    def of_open(self, handle: int, path: Path) -> str:
        """Return the sha256 of a file opened as `path`, whatever that name stands for by now."""
        stamp = _Stamp.of_status(os.fstat(handle), str(path))
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
        self._spend(sum(stamp.size for stamp in unread), root)
        hashes.update(self._read(unread, root))
        return sha256_json(
            {os.path.relpath(name, str(root)): hashes[stamp] for name, stamp in stamps.items()}
        )

    def save(self) -> None:
        """Write the index where it has a path; one that cannot be written costs time, not truth."""
        if self._path is not None and self._dirty:
            with contextlib.suppress(KitError):
                entries = dict(self._entries)
                write_json(self._path, {**entries, _CHECK: _check(entries)})
            self._dirty = False

    def _spend(self, size: int, path: Path) -> None:
        """Take what is about to be read from the budget. Raises KitError if that is not enough."""
        if self._budget is None:
            return
        if size > self._budget:
            what = f"its hash is not known, and {amounts.size(size)} would have to be read"
            raise KitError(what, path, "run `make plan`, which reads it and remembers it")
        self._budget -= size

    def _read(self, names: Dict[_Stamp, str], root: Path) -> Dict[_Stamp, str]:
        """{stamp: sha256} of the named files, read by several threads."""
        stamps = list(names)
        hashes: Dict[_Stamp, str] = {}
        progress = _Progress(root, sum(stamp.size for stamp in stamps))
        with ThreadPoolExecutor(min(32, allotment.cores() + 4)) as threads:
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
            self._entries[stamp.key] = [*stamp[:4], digest]
            self._dirty = True
        return digest

    def _stored(self, stamp: _Stamp) -> str:
        """The hash that the index has for this stamp, "" where it has none."""
        *stored, digest = self._entries.get(stamp.key, [""])
        return digest if stored == list(stamp[:4]) else ""


def _load(path: Path) -> Dict[str, List[Any]]:
    """Return {key: [size, mtime, ctime, inode, sha256]}; {} of a damaged index."""
    with contextlib.suppress(KitError, AttributeError, TypeError, ValueError):
        entries = read_json(path, most_bytes=_LONGEST)
        check = entries.pop(_CHECK, None)  # an index of an older kit has none
        for _size, _mtime, _ctime, _inode, digest in entries.values():
            int(digest, 16)
        if check in (None, _check(entries)):
            return dict(entries)
    return {}


def _check(entries: Mapping[str, List[Any]]) -> str:
    """Return a hash of all hashes: a flipped bit in one of them would be believed."""
    return sha256_json([entries[key][4] for key in sorted(entries)])


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
            f"hashing {self._root}: {amounts.size(self._done)} of {amounts.size(self._total)}, "
            f"{minutes_left:.0f} minutes left",
            file=sys.stderr,
            flush=True,
        )
