"""Files that are either whole or absent: atomic writes, content hashes, free-disk checks."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, Iterator, Optional, Sequence

from leapkit.core import amounts, strict_json
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.lfs_pointer import refuse_pointer

# Prefix of every unfinished file. Nothing reads a file with this prefix as a result.
TEMPORARY = ".partial-"
_BLOCK = 1 << 20
# What a file system answers that cannot sync a folder, or nothing at all (CIFS, some FUSE). A
# folder that may be written to and not read cannot even be opened.
_CANNOT_SYNC = (
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EBADF,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
)
LONGEST_JSON = 1 << 24  # bytes; empty lists take 21 times that in memory


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    The content is on disk (fsync) before the new name is, so a crash leaves the old file or the
    new one. Raises KitError if the operating system refuses (a full disk, no permission).
    """
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        with explain_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # A killed publish_copy leaves a link: writing through it would change its source.
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            yield temporary
            rename_whole(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def rename_whole(temporary: Path, path: Path) -> None:
    """Give a finished file its final name, after its content is on disk."""
    with open(temporary, "rb") as handle:
        sync(handle.fileno())
    os.replace(str(temporary), str(path))
    sync_directory(path.parent)


def sync(handle: int) -> None:
    """Wait until the content of an open file or folder is on disk, if the file system can say so.

    If it cannot, a crash of the machine may cut the file, and the hash in its receipt shows that.
    """
    with _suppress(_CANNOT_SYNC):
        os.fsync(handle)


def sync_directory(path: Path) -> None:
    """Wait until the names in a folder are on disk, if the file system can say so."""
    with _suppress(_CANNOT_SYNC):
        handle = os.open(str(path), os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _suppress(numbers: Sequence[int]) -> Iterator[None]:
    """Suppress OSErrors of these numbers."""
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, keys sorted. Raises ValueError if a number is not finite."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(
    path: Path, remedy: str = "make the file again", most_bytes: int = LONGEST_JSON
) -> Any:
    """Return what a JSON file of at most `most_bytes` holds.

    Raises KitError if it is missing, longer, a git-lfs pointer, or not JSON as strict_json has it.
    """
    refuse_pointer(path)
    with explain_os_errors(path, remedy), open(path, "rb") as handle:
        content = handle.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise KitError(f"is longer than {most_bytes} bytes", path, remedy)
    try:
        return strict_json.parse(content)
    except strict_json.Unusable as error:
        raise KitError(f"holds {error}", path, remedy) from error
    except ValueError as error:  # not JSON, or not UTF-8
        raise KitError(f"is not valid JSON ({error})", path, remedy) from error


def publish_copy(source: Path, target: Path) -> None:
    """Give `source` a second name.

    Hard-links where the file system can, which costs no disk; copies atomically where it cannot.
    Of a symbolic link, the file that it points to is published.
    """
    with atomic(target) as temporary:
        try:
            os.link(os.path.realpath(str(source)), str(temporary))
        except OSError:  # another file system, or a bind mount of a container
            shutil.copyfile(str(source), str(temporary))


def sha256(path: Path) -> str:
    """Return the sha256 of a file's content. Raises KitError if it cannot be read."""
    digest = hashlib.sha256()
    with explain_os_errors(path), open(path, "rb") as handle:
        for block in iter(lambda: handle.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON text (sorted keys)."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def require_free(path: Path, size: int, purpose: str) -> None:
    """Raise KitError if fewer than `size` bytes are free on the disk where `path` will lie."""
    free = free_bytes(path)
    if free is not None and free < size:
        raise KitError(
            f"the disk has {amounts.size(free)} free, less than the {amounts.size(size)}"
            f" of {purpose}",
            existing_folder(path),
            "free some space and run the same command again",
        )


def free_bytes(path: Path) -> Optional[int]:
    """Return what is free on the disk where `path` will lie; None if its file system cannot say."""
    try:
        usage = shutil.disk_usage(str(existing_folder(path)))
    except OSError:
        return None
    return usage.free if usage.total else None  # some network drives say that they have no blocks


def is_full(path: Path) -> bool:
    """Return whether the disk where `path` will lie has no megabyte left."""
    free = free_bytes(path)
    return free is not None and free < _BLOCK


def existing_folder(path: Path) -> Path:
    """Return `path`, or the lowest folder above it that exists."""
    above = (path, *path.absolute().parents)
    return next(folder for folder in above if os.path.exists(str(folder)))
