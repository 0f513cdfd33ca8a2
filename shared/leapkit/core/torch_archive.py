"""The zip archive that torch.save writes: a pickle (data.pkl) beside the bytes of the tensors."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path
from typing import Iterator

from leapkit.core.errors import say_once
from leapkit.core.pickle_limits import Limits, Refused

_DIRECTORY_BYTES = 1 << 20  # of the archive's own table, 160 entries in the longest published file


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive, whatever its table says of itself.

    Raises Refused, zipfile.BadZipFile and OSError.
    """
    with _BoundedFile(str(path)) as file, zipfile.ZipFile(file) as archive:
        file.longest_read = file.size
        if not any(entry.CRC for entry in archive.infolist()):
            # torch.serialization.set_crc32_options(False) writes such files, and torch reads them.
            say_once(f"{path} carries no checksums: damage inside it cannot be seen")
            for entry in archive.infolist():
                del entry.CRC  # then zipfile compares nothing
        yield Archive(archive, file.size)


class _BoundedFile(io.FileIO):
    """A file that refuses to be read in longer pieces than the table of an archive may be.

    zipfile reads that table at once, and makes objects of ten times its size of it.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.size = self.seek(0, io.SEEK_END)
        self.longest_read = _DIRECTORY_BYTES
        self.seek(0)

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        wanted = self.size - self.tell() if size is None or size < 0 else size
        if wanted > self.longest_read:
            raise Refused("an archive's table that is longer than a megabyte")
        return super().read(wanted) or b""


class Archive:
    """The entries of an archive. Only those that are not compressed are read whole."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        contents = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(contents) != 1:  # readers disagree on which of two counts
            raise Refused(f"{len(contents)} tables of contents (data.pkl) instead of one")
        self._archive = archive
        self._root = contents[0][: -len("data.pkl")]
        self._bytes_left = size
        order = self._root + "byteorder"
        if order in archive.namelist():
            with archive.open(order) as entry:  # not read whole: it may unpack to gigabytes
                if entry.read(8) != b"little":
                    raise Refused("the numbers of a big-endian machine")

    def pickled(self, limits: Limits) -> bytes:
        entry = self._archive.getinfo(self._root + "data.pkl")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise Refused("a compressed table of contents")  # gigabytes out of a few bytes
        if entry.file_size > limits.pickle_bytes:
            raise Refused(f"a table of contents of {entry.file_size} bytes")
        return self._read(entry)

    def storage(self, key: str, size: int) -> bytes:
        """Return the bytes of a tensor's storage, which must be `size` of them."""
        entry = self._archive.getinfo(f"{self._root}data/{key}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != size:
            raise Refused("a storage whose size is not what the file says")
        return self._read(entry)

    def _read(self, entry: zipfile.ZipInfo) -> bytes:
        self._bytes_left -= entry.file_size
        if self._bytes_left < 0:  # entries that share their bytes
            raise Refused("entries that together are longer than the file")
        return self._archive.read(entry)
