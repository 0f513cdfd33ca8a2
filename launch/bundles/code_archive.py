"""The kit's own code as one archive, whose bytes depend on nothing but the files in it."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import tempfile
from pathlib import Path
from typing import Dict, List, Tuple

from launch import machine
from launch.bundles import bundled
from launch.registry import REPOSITORY
from leapkit.core.errors import KitError, explain_os_errors, printable

FILE = "code.tar"
TOP = "leap-kit"  # the folder that the archive unpacks to
_TIME = 315532800  # of every file: 1980, before which some tools know no time


def names() -> List[str]:
    """Return the kit's files, as they lie here: those that git tracks, and new ones of images.

    What an image holds, such as a member that is not committed yet, is on the other machine too.
    Where there is no clone, a bundle's record names them; without one, they are all files that git
    would not ignore. Raises KitError if git cannot be asked.
    """
    record = bundled.record()
    if (REPOSITORY / ".git").exists():
        listed = _ask_git(["-C", str(REPOSITORY), "ls-files", "-z"])
        listed += filter(_is_in_images, _new())
    elif record:
        listed = list(record.files)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _ask_git(["init", "--quiet", "--bare", folder])
            tree = [f"--git-dir={folder}", f"--work-tree={REPOSITORY}", "-C", str(REPOSITORY)]
            listed = _ask_git([*tree, "ls-files", "--others", "--exclude-standard", "-z"])
    return sorted(name for name in listed if (REPOSITORY / name).is_file())


def _ask_git(arguments: List[str]) -> List[str]:
    """Return the names that git prints, each with a NUL after it."""
    answer = machine.ask(["git", *arguments])
    if answer.code != 0:
        raise KitError(
            f"git cannot name the kit's files ({answer.complaint})",
            REPOSITORY,
            "install git, and own the folder or name it in git's safe.directory",
        )
    return [name for name in answer.output.split("\0") if name]


def untracked() -> List[str]:
    """Return the files of a clone that git neither tracks nor ignores, and no archive holds."""
    return [name for name in _new() if not _is_in_images(name)]


def _new() -> List[str]:
    """Return the files of a clone that git neither tracks nor ignores."""
    if not (REPOSITORY / ".git").exists():
        return []
    others = ["ls-files", "--others", "--exclude-standard", "-z"]
    return _ask_git(["-C", str(REPOSITORY), *others])


def _is_in_images(name: str) -> bool:
    return name.startswith(bundled.IN_IMAGES)


def content() -> bytes:
    """Return the archive. Equal files give equal bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in names():
            source = REPOSITORY / name
            with explain_os_errors(source):
                data = source.read_bytes()
                is_executable = source.stat().st_mode & stat.S_IXUSR
            entry = tarfile.TarInfo(f"{TOP}/{name}")
            entry.size = len(data)
            entry.mtime = _TIME
            entry.mode = 0o755 if is_executable else 0o644
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def sums(path: Path) -> Dict[str, str]:
    """Return {file: sha256} of an archive. Raises KitError if it is none of the kit's."""
    try:
        with tarfile.open(str(path)) as archive:
            return dict(_sum(archive, entry) for entry in archive)
    except (tarfile.TarError, ValueError) as error:
        raise KitError(
            f"is no archive of the kit ({error})", path, "copy the bundle again"
        ) from error


def _sum(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Tuple[str, str]:
    top, _, name = entry.name.partition("/")
    data = archive.extractfile(entry) if entry.isreg() else None
    if data is None or top != TOP or ".." in name.split("/"):
        raise ValueError(f"it holds {printable(entry.name)}")
    return name, hashlib.sha256(data.read()).hexdigest()
