"""A checked file under its final name: never over another one, never half."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Callable

from fetch.checks import Damaged
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY, atomic, sync_directory

Check = Callable[[Path], None]


def part_of(target: Path) -> Path:
    """The unfinished file of a target that is fetched in pieces, beside it. Safe to append to.

    A drop that was killed leaves this name as a second name of the user's own file: it is taken away.
    """
    part = target.with_name(TEMPORARY + target.name)
    with explain_os_errors(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        if part.is_symlink() or (part.exists() and part.stat().st_nlink > 1):
            part.unlink()
    return part


def length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def publish(part: Path, target: Path) -> None:
    """Renames a whole file on the same file system; its content is on disk before its name is."""
    with explain_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "rb") as handle:
            os.fsync(handle.fileno())
        require_free_name(target)
        os.replace(str(part), str(target))
        sync_directory(target.parent)


def require_free_name(target: Path) -> None:
    if os.path.lexists(str(target)):
        raise KitError(
            "another file came to lie there meanwhile", target, "move one of the two away"
        )


def unzip(archive: Path, member: zipfile.ZipInfo, target: Path, check: Check) -> None:
    """Unpacks a member to `target`, as a stream, its checksum and `check` done before it gets its name.

    Raises Damaged where the archive is or the check fails, KitError where it cannot be unpacked; nothing is left then.
    """
    remedy = "fetch this archive again"
    require_free_name(target)
    with atomic(target) as temporary:
        try:
            with zipfile.ZipFile(str(archive)) as opened, opened.open(member) as source, open(
                temporary, "wb"
            ) as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise Damaged(f"its part {member.filename} is damaged", archive, remedy) from error
        except (
            RuntimeError,
            NotImplementedError,
        ) as error:  # a password, or a method that Python does not know
            raise KitError(
                f"its part {member.filename} cannot be unpacked here",
                archive,
                "unpack it by hand into the drop folder",
            ) from error
        try:
            check(temporary)
        except Damaged as error:  # named as the user knows it
            raise Damaged(error.what, f"{member.filename} in {archive}", error.remedy) from error
