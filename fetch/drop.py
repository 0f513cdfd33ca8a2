"""The user's own downloads: recognised in a folder and its zip archives, checked, then placed."""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from fetch.layout import FetchLayout
from fetch.outcome import Outcome, log
from fetch.publishing import unzip
from fetch.recognise import Claim, Recogniser
from leapkit.core.errors import KitError, explain_os_errors, printable
from leapkit.core.files import TEMPORARY, existing_folder, publish_copy, require_free
from leapkit.core.hash_index import HashIndex

_CONFLICT = "move one of the two away: an existing file is never overwritten"
_MOST_TABLE_BYTES = 1 << 24  # of a file that is read to recognise it
_JUNK = (".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class DroppedFile:
    """A file of the drop folder, or a member of an archive in it.

    path    the file, or the archive
    member  None for a file
    """

    path: Path
    member: Optional[zipfile.ZipInfo] = None

    @property
    def name(self) -> str:
        return (
            f"{printable(self.member.filename)} in {self.path}" if self.member else str(self.path)
        )

    @property
    def size(self) -> int:
        return self.member.file_size if self.member else self.path.stat().st_size

    def path_parts(self, root: Path) -> Tuple[str, ...]:
        """Return the folders below `root`, then those inside the archive, then the name."""
        parts = self.path.relative_to(root).parts
        if self.member:
            inside = self.member.filename.replace("\\", "/").split("/")
            parts = parts[:-1] + tuple(part for part in inside if part)
        return parts

    def table(self) -> bytes:
        """Return the content, b"" of what is too large to be a table of numbers."""
        if self.size > _MOST_TABLE_BYTES:
            return b""
        if not self.member:
            return self.path.read_bytes()
        with zipfile.ZipFile(str(self.path)) as archive:
            return archive.read(self.member)

    def is_same(self, other: Path, index: HashIndex) -> bool:
        """Return whether `other` holds the same bytes (for a member: the same size and CRC-32)."""
        if self.member:
            return other.stat().st_size == self.size and _crc32(other) == self.member.CRC
        return os.path.samefile(str(self.path), str(other)) or (
            other.stat().st_size == self.size and index.of(other) == index.of(self.path)
        )


def _crc32(path: Path) -> int:
    value = 0
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            value = zlib.crc32(block, value)
    return value


def place_folder(root: Path, layout: FetchLayout, outcome: Outcome) -> None:
    """Put every recognised file of a folder where it belongs. The folder itself is only read.

    Prints the unknown files by name. Refuses damaged files and those that differ from an existing
    file.
    """
    recogniser = Recogniser(layout)
    index = HashIndex(layout.raw.root / ".fetch-hashes.json")
    unknown: List[str] = []
    placed = 0
    already_placed = 0
    for dropped in _files(root, outcome):
        try:
            with explain_os_errors(dropped.path):
                claim = recogniser.claim(dropped.path_parts(root), dropped.table)
                if claim is None:
                    unknown.append(dropped.name)
                elif place_file(dropped, claim, index):
                    placed += 1
                else:
                    already_placed += 1
        except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:
            # A RuntimeError means a password, or a method that Python does not know.
            what = f"cannot be read ({type(error).__name__})"
            outcome.refuse(KitError(what, dropped.name, "unpack it by hand"))
        except KitError as error:
            outcome.refuse(error)
    index.save()
    log(f"{root}: {placed} files placed, {already_placed} already in place")
    for name in unknown:
        log(f"not recognised: {printable(name)}")


def _files(root: Path, outcome: Outcome) -> Iterator[DroppedFile]:
    """Yield the files below a folder in order; instead of an archive, its members."""
    for folder, folders, names in os.walk(str(root)):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith(TEMPORARY) or name in _JUNK or not path.is_file():
                continue
            if path.suffix.lower() == ".zip":
                yield from _members(path, outcome)
            else:
                yield DroppedFile(path)


def _members(path: Path, outcome: Outcome) -> Iterator[DroppedFile]:
    """Yield the files of an archive; refuse an archive that cannot be read."""
    try:
        with explain_os_errors(path), zipfile.ZipFile(str(path)) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
    except zipfile.BadZipFile:
        outcome.refuse(KitError("is truncated or not a zip archive", path, "download it again"))
        return
    except KitError as error:
        outcome.refuse(error)
        return
    for member in members:
        is_junk = Path(member.filename).name in _JUNK or member.filename.startswith("__MACOSX/")
        if not is_junk:
            yield DroppedFile(path, member)


def place_file(dropped: DroppedFile, claim: Claim, index: HashIndex) -> bool:
    """Put a file where it belongs; return False if the same file exists already.

    Raises KitError if another file exists, if the file is damaged, or if the disk is full.
    """
    existing = claim.existing
    if existing:
        if not dropped.is_same(existing, index):
            raise KitError(f"is another file than {existing}", dropped.name, _CONFLICT)
        return False
    if dropped.member:
        require_free(claim.target, dropped.size, claim.target.name)
        unzip(dropped.path, dropped.member, claim.target, claim.check)
        return True
    claim.check(dropped.path)
    if not _can_link(dropped.path, claim.target):
        require_free(claim.target, dropped.size, claim.target.name)
    publish_copy(dropped.path, claim.target)
    return True


def _can_link(source: Path, target: Path) -> bool:
    """Return whether a second name (hard link) costs no space: both are on one file system."""
    return os.stat(str(source)).st_dev == os.stat(str(existing_folder(target.parent))).st_dev
