"""Give checked files their final names.

An existing file is never overwritten, a file is whole or absent.
"""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Callable

from fetch.checks import Damaged
from leapkit.core.errors import KitError, explain_os_errors, printable
from leapkit.core.files import TEMPORARY, atomic, sync, sync_directory

Check = Callable[[Path], None]


def partial_file(target: Path) -> Path:
    """Return the path of the unfinished file beside a target, safe to append to.

    A killed run can leave this name as a second name (hard link) of the user's own file. That name
    is removed.
    """
    path = target.with_name(TEMPORARY + target.name)
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and path.stat().st_nlink > 1):
            path.unlink()
    return path


def file_size(path: Path) -> int:
    """Return the size in bytes, 0 if the file does not exist."""
    return path.stat().st_size if path.exists() else 0


def publish(finished: Path, target: Path) -> None:
    """Rename a whole file on the same file system. Its content reaches the disk before its name.

    Raises KitError if the target exists.
    """
    with explain_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(finished, "rb") as handle:
            sync(handle.fileno())
        require_free_name(target)
        os.replace(str(finished), str(target))
        sync_directory(target.parent)


def require_free_name(target: Path) -> None:
    """Raise KitError if the target exists."""
    if os.path.lexists(str(target)):
        raise KitError(
            "another program made this file meanwhile",
            target,
            "move it away and run the same command again",
        )


def unzip(archive: Path, member: zipfile.ZipInfo, target: Path, check: Check) -> None:
    """Unpack a member to `target` as a stream; its checksum and `check` precede its final name.

    Raises Damaged if the archive is damaged or the check fails, KitError if it cannot be unpacked.
    Nothing is left then.
    """
    remedy = "fetch this archive again"
    name = printable(member.filename)
    require_free_name(target)
    with atomic(target) as temporary:
        try:
            with zipfile.ZipFile(str(archive)) as opened, opened.open(member) as source, open(
                temporary, "wb"
            ) as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise Damaged(f"its member {name} is damaged", archive, remedy) from error
        except (RuntimeError, NotImplementedError) as error:
            # It needs a password, or a method that Python does not know.
            raise KitError(
                f"its member {name} cannot be unpacked here",
                archive,
                "unpack it by hand into the drop folder",
            ) from error
        try:
            check(temporary)
        except Damaged as error:  # named as the user knows it, not by its temporary name
            raise Damaged(error.what, f"{name} in {archive}", error.remedy) from error
