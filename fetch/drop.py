"""Files that came by hand: recognised in a folder and in zip archives, checked, given their place."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from fetch.outcome import Outcome, say
from fetch.places import Places
from fetch.publishing import unzip
from fetch.recognise import Claim, Recogniser
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import TEMPORARY, publish_copy, require_free, sha256
from leapkit.core.hash_index import HashIndex

_CONFLICT = "move one of the two away: nothing is written over"
_LONGEST_TABLE = 1 << 24
_JUNK = (".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Found:
    """A file of the drop folder, or a member of an archive in it."""

    path: Path
    member: Optional[zipfile.ZipInfo] = None

    @property
    def name(self) -> str:
        return f"{self.member.filename} in {self.path}" if self.member else str(self.path)

    @property
    def size(self) -> int:
        return self.member.file_size if self.member else self.path.stat().st_size

    def parts(self, root: Path) -> Tuple[str, ...]:
        """Folders and name, those inside the archive in the end."""
        parts = self.path.relative_to(root).parts
        if self.member:
            parts = parts[:-1] + tuple(
                part for part in self.member.filename.replace("\\", "/").split("/") if part
            )
        return parts

    def digest(self) -> str:
        """sha256, "" of a member that is too long to be a table of numbers."""
        if not self.member:
            return sha256(self.path)
        if self.size > _LONGEST_TABLE:
            return ""
        with zipfile.ZipFile(str(self.path)) as archive:
            return hashlib.sha256(archive.read(self.member)).hexdigest()

    def is_same(self, other: Path, index: HashIndex) -> bool:
        """Whether `other` holds the same bytes (of a member: the same length and CRC-32)."""
        if self.member:
            return other.stat().st_size == self.size and _crc(other) == self.member.CRC
        return os.path.samefile(str(self.path), str(other)) or (
            other.stat().st_size == self.size and index.of(other) == index.of(self.path)
        )


def _crc(path: Path) -> int:
    value = 0
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            value = zlib.crc32(block, value)
    return value


def take(root: Path, places: Places, outcome: Outcome) -> None:
    """Gives everything in a folder its place; what is unknown is told by name, what differs from a file that is there
    is refused. The folder itself is only read."""
    recogniser, index = Recogniser(places), HashIndex(places.raw.root / ".fetch-hashes.json")
    unknown: List[str] = []
    placed = there = 0
    for found in _files(root, outcome):
        try:
            with explain_os_errors(found.path):
                claim = recogniser.claim(found.parts(root), found.digest)
                if claim is None:
                    unknown.append(found.name)
                elif place(found, claim, index):
                    placed += 1
                else:
                    there += 1
        except (
            zipfile.BadZipFile,
            zlib.error,
            RuntimeError,
        ) as error:  # a password, a method that Python does not know
            outcome.refuse(
                KitError(
                    f"cannot be read ({type(error).__name__})", found.name, "unpack it by hand"
                )
            )
        except KitError as error:
            outcome.refuse(error)
    index.save()
    say("%s: %d files given their place, %d already there" % (root, placed, there))
    for name in unknown:
        say(f"not recognised: {name}")


def _files(root: Path, outcome: Outcome) -> Iterator[Found]:
    """Everything below a folder, archives opened, in order."""
    for folder, folders, names in os.walk(str(root)):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith(TEMPORARY) or name in _JUNK or not path.is_file():
                continue
            if path.suffix.lower() != ".zip":
                yield Found(path)
                continue
            try:
                with explain_os_errors(path), zipfile.ZipFile(str(path)) as archive:
                    members = [info for info in archive.infolist() if not info.is_dir()]
            except zipfile.BadZipFile:
                outcome.refuse(
                    KitError("is truncated, or no zip archive", path, "download it again")
                )
                continue
            except KitError as error:
                outcome.refuse(error)
                continue
            for member in members:
                if Path(member.filename).name not in _JUNK and not member.filename.startswith(
                    "__MACOSX/"
                ):
                    yield Found(path, member)


def place(found: Found, claim: Claim, index: HashIndex) -> bool:
    """False where the same file lies there already. Raises KitError for another one, for damage, for a full disk."""
    there = claim.found
    if there:
        if not found.is_same(there, index):
            raise KitError(f"is another file than {there}", found.name, _CONFLICT)
        return False
    if found.member:
        require_free(claim.target, found.size, claim.target.name)
        unzip(found.path, found.member, claim.target, claim.check)
        return True
    claim.check(found.path)
    if not _links(found.path, claim.target):
        require_free(claim.target, found.size, claim.target.name)
    publish_copy(found.path, claim.target)
    return True


def _links(source: Path, target: Path) -> bool:
    """Whether a second name costs no space."""
    folder = target.parent
    while not folder.exists():
        folder = folder.parent
    return os.stat(str(source)).st_dev == os.stat(str(folder)).st_dev
