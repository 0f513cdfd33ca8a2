"""Files that are either whole or absent: atomic writes, content hashes, free-disk checks (standard library only)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from leapkit.core.errors import KitError, explain_os_errors

TEMPORARY = ".partial-"  # prefix of every unfinished file; nothing with this prefix is ever read as a result
_BLOCK = 1 << 20
# An edit within one tick of the file system's clock leaves all times as they were: 2 s on FAT, 4 ms on older kernels.
_SETTLED_NS = 2 * 10**9
_TELL_EVERY, _AT_ONCE = (
    15.0,
    512,
)  # seconds between two lines about hashing; files whose hashes are waited for together


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it over `path` on success, removes it on failure.

    The content is on disk (fsync) before the new name is, so a crash leaves the old file or the new one.
    """
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        with explain_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()  # a killed publish_copy leaves a link: writing through it would change its source
            yield temporary
            rename_whole(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def rename_whole(temporary: Path, path: Path) -> None:
    """Gives a finished file its name, on disk before the name is."""
    with open(temporary, "rb") as handle:
        os.fsync(handle.fileno())
    os.replace(str(temporary), str(path))
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    handle = os.open(str(path), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path, remedy: str = "make the file again") -> Any:
    """Raises KitError when the file is missing or is no JSON."""
    try:
        with explain_os_errors(path, remedy):
            return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, or no text at all
        raise KitError(f"is not valid JSON ({error})", path, remedy) from error


def publish_copy(source: Path, target: Path) -> None:
    """Gives `source` a second name without a second copy where the file system can, else copies atomically."""
    with atomic(target) as temporary:
        try:
            os.link(
                os.path.realpath(str(source)), str(temporary)
            )  # of a symbolic link, the file and not the link
        except OSError:  # another file system, or a bind mount of a container
            shutil.copyfile(str(source), str(temporary))


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with explain_os_errors(path), open(path, "rb") as handle:
        for block in iter(lambda: handle.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """The hash of a value by its canonical JSON text."""
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, allow_nan=False).encode("utf-8")
    ).hexdigest()


class HashIndex:
    """sha256 of files by inode, re-read only when the inode says that the content may have changed.

    Content decides: the index never answers for a file whose size, inode, mtime or ctime (which no user
    program can set back) differs from what it was when the content was hashed. As git's index does, it does not
    remember a file that changed a moment ago.
    """

    def __init__(self, path: Optional[Path] = None) -> None:
        self._path, self._entries, self._dirty = path, {}, False  # type: ignore[var-annotated]
        if path is not None and path.exists():
            with contextlib.suppress(KitError):
                stored = read_json(path)
                self._entries = stored if isinstance(stored, dict) else {}

    def of(self, path: Path) -> str:
        return self._of(str(path), self._stamp(str(path)))

    def of_many(self, paths: Iterable[Path], root: Path) -> str:
        """One hash for a set of files: their names below `root` and their contents, in any order.

        Several files at a time; minutes of it are told on stderr, and kept in case the rest is interrupted.
        """
        names = [str(path) for path in paths]
        stamps = [self._stamp(name) for name in names]
        # Names of one file are read once. All four numbers: every disk has a file of every inode number.
        known = {tuple(stamp): self._known(stamp) for stamp in stamps}
        unread = {
            tuple(stamp): (name, stamp)
            for name, stamp in zip(names, stamps)
            if not known[tuple(stamp)]
        }
        known.update(self._read(list(unread.values()), root))
        return sha256_json(
            {
                os.path.relpath(name, str(root)): known[tuple(stamp)]
                for name, stamp in zip(names, stamps)
            }
        )

    def _read(
        self, files: Sequence[Tuple[str, List[int]]], root: Path
    ) -> Dict[Tuple[int, ...], str]:
        """{stamp: sha256} of files, some at a time."""
        found: Dict[Tuple[int, ...], str] = {}
        total, done = sum(stamp[0] for _, stamp in files), 0
        started = told = time.monotonic()
        with ThreadPoolExecutor() as threads:
            for at in range(0, len(files), _AT_ONCE):
                part = files[at : at + _AT_ONCE]
                digests = threads.map(lambda item: self._of(*item), part)
                found.update((tuple(stamp), digest) for (_, stamp), digest in zip(part, digests))
                done += sum(stamp[0] for _, stamp in part)
                if time.monotonic() - told > _TELL_EVERY and done:
                    told = time.monotonic()
                    self.save()
                    print(
                        f"hashing {root}: {done / 1e9:.1f} of {total / 1e9:.1f} GB, {(told - started) * (total / done - 1) / 60:.0f} minutes left",
                        file=sys.stderr,
                        flush=True,
                    )
        return found

    def _of(self, path: str, stamp: List[int]) -> str:
        known = self._known(stamp)
        if known:
            return known
        asked = time.time_ns()
        digest = sha256(Path(path))
        if asked - stamp[2] > _SETTLED_NS:
            self._entries[str(stamp[3])] = stamp + [digest]
            self._dirty = True
        return digest

    def _known(self, stamp: List[int]) -> str:
        known = self._entries.get(str(stamp[3]))
        return (
            str(known[4])
            if isinstance(known, list) and len(known) == 5 and known[:4] == stamp
            else ""
        )

    @staticmethod
    def _stamp(path: str) -> List[int]:
        """[size, mtime, ctime, inode]: a container sees the same ones under another path."""
        with explain_os_errors(path):
            status = os.stat(path)
        return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]

    def save(self) -> None:
        if self._path is not None and self._dirty:
            with contextlib.suppress(
                KitError
            ):  # an index that cannot be written costs time, not truth
                write_json(self._path, dict(self._entries))
            self._dirty = False


def require_free(path: Path, size: int, purpose: str) -> None:
    """Raises KitError when fewer than `size` bytes are free where `path` will lie."""
    folder = Path(path)
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(str(folder)).free
    if free < size:
        raise KitError(
            f"the disk has {free / 1e9:.2f} GB free and {purpose} needs {size / 1e9:.2f} GB",
            folder,
            "free some space and run the same command again",
        )
