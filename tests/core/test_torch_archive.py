"""An archive without checksums is read, and that is said; one with a wrong checksum is refused."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from leapkit.core.pickle_limits import CHECKPOINT
from leapkit.core.torch_archive import opened
from leapkit.data.checkpoints import read_tensors
from tests.helpers import crafted as craft
from tests.helpers.refusals import refusal_in_little_memory, refused

pytestmark = pytest.mark.stack


def good(path: Path) -> Path:
    return craft.write(path, craft.program({"a": craft.tensor()}))


def with_checksums(path: Path, checksum: int, only: str = "") -> Path:
    """Write a good file whose table of entries has this checksum for all, or for one."""
    content = bytearray(good(path).read_bytes())
    position = content.find(b"PK\1\2")
    while position >= 0:
        [length] = struct.unpack_from("<H", content, position + 28)
        name = bytes(content[position + 46 : position + 46 + length]).decode()
        if only in name:
            struct.pack_into("<I", content, position + 16, checksum)
        position = content.find(b"PK\1\2", position + 1)
    path.write_bytes(content)
    return path


def test_an_archive_without_checksums_is_read_and_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_checksums(tmp_path / "n.pt", 0)
    with zipfile.ZipFile(str(path)) as archive:
        assert archive.testzip() is not None  # Python alone calls it damaged
    for _ in range(2):
        assert read_tensors(path)["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    said = capsys.readouterr().err
    assert said.count("carries no checksums") == 1 and str(path) in said


def test_torchs_own_files_without_checksums_are_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if not hasattr(torch.serialization, "set_crc32_options"):
        pytest.skip("this torch always writes checksums")
    path = tmp_path / "n.pt"
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.arange(6.0)}, str(path))
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_tensors(path)["a"].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("only", ["data.pkl", "data/0"])
@pytest.mark.parametrize("checksum", [0, 1])
def test_one_wrong_checksum_is_damage_even_if_it_is_zero(
    only: str, checksum: int, tmp_path: Path
) -> None:
    path = with_checksums(tmp_path / "n.pt", checksum, only)
    with refused(path, "is truncated, or not a checkpoint"):
        read_tensors(path)


def test_a_file_with_data_descriptors_is_read(tmp_path: Path) -> None:
    """Writers to a pipe put the checksum behind the content, and zero before it."""
    source = good(tmp_path / "source.pt")

    class Pipe:
        """A file that cannot seek."""

        def __init__(self) -> None:
            self.content = b""

        def write(self, data: bytes) -> int:
            self.content += bytes(data)
            return len(data)

        def flush(self) -> None:
            pass

    pipe = Pipe()
    with zipfile.ZipFile(str(source)) as entries, zipfile.ZipFile(pipe, "w") as archive:  # type: ignore[call-overload]
        for entry in entries.infolist():
            archive.writestr(entry.filename, entries.read(entry))
    path = tmp_path / "n.pt"
    path.write_bytes(pipe.content)
    assert struct.unpack_from("<I", pipe.content, 14) == (0,)
    assert read_tensors(path)["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_archive_of_a_hundred_thousand_entries_is_refused_before_they_are_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "n.pt"
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", *(0,) * 6, 0, 0, 0, 1, *(0,) * 4, 0, 0) + b"a"
    count = 100_000
    table = entry * count
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(table), 0, 0)
    path.write_bytes(table + end)
    error = refusal_in_little_memory(read_tensors, path)
    with refused(path, "an archive's table that is longer than a megabyte"):
        raise error


def test_the_table_of_contents_is_what_the_limits_are_about(tmp_path: Path) -> None:
    with opened(good(tmp_path / "n.pt")) as archive:
        assert archive.pickled(CHECKPOINT).startswith(craft.PROTOCOL)
