"""The index of hashes follows content, remembers what cannot have changed, and reports minutes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from pathlib import Path
from random import Random
from typing import Iterable, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leapkit.core import hash_index
from leapkit.core.files import publish_copy, read_json, sha256, sha256_json
from leapkit.core.hash_index import HashIndex
from tests.helpers.refusals import refused


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def edit_in_place(path: Path, data: bytes) -> None:
    """Write content of the same size to the same inode, and restore the modification time."""
    status = os.stat(str(path))
    assert status.st_size == len(data)
    with open(path, "r+b") as handle:
        handle.write(data)
    os.utime(str(path), ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (
        os.stat(str(path)).st_mtime_ns == status.st_mtime_ns
        and os.stat(str(path)).st_ino == status.st_ino
    )


def test_an_edit_of_the_same_size_with_the_time_set_back_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    index = HashIndex()
    for k in range(20):
        path.write_bytes(b"old %02d" % k)
        index.of(path)
        edit_in_place(path, b"new %02d" % k)
        assert index.of(path) == digest(b"new %02d" % k)


def test_an_edit_within_one_tick_of_a_coarse_clock_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    class Coarse:
        """A file status whose times tick once a second; old kernels tick in 4 ms, FAT in 2 s."""

        def __init__(self, path: str) -> None:
            status = real(path)
            self.st_size, self.st_ino = status.st_size, status.st_ino
            self.st_mtime_ns = status.st_mtime_ns // 10**9 * 10**9
            self.st_ctime_ns = status.st_ctime_ns // 10**9 * 10**9

    path = tmp_path / "x"
    index = HashIndex()
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(
            hash_index.os,
            "stat",
            lambda p, **k: Coarse(p) if str(p).endswith("x") else real(p, **k),
        )
        assert index.of(path) == digest(b"old")
        with open(path, "r+b") as handle:
            handle.write(b"new")
        assert index.of(path) == digest(b"new")


def test_a_replaced_file_with_equal_size_and_times_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    index = HashIndex()
    path.write_bytes(b"old")
    index.of(path)
    status = os.stat(str(path))
    other = tmp_path / "other"
    other.write_bytes(b"new")
    os.utime(str(other), ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(str(other), str(path))
    assert index.of(path) == digest(b"new")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the index believe that no file is so new that an edit could leave its times."""
    monkeypatch.setattr(hash_index, "_SETTLED_NS", -(10**18))


def test_a_remembered_file_whose_time_was_set_back_after_an_edit_is_read_again(
    tmp_path: Path, settled: None
) -> None:
    path = tmp_path / "x"
    stored = tmp_path / "hashes.json"
    path.write_bytes(b"old")
    index = HashIndex(stored)
    index.of(path)
    index.save()
    assert str(path.stat().st_ino) in read_json(
        stored
    )  # so that it is ctime, and not forgetfulness, that notices
    time.sleep(0.05)  # more than a tick of any kernel's clock
    edit_in_place(path, b"new")
    assert index.of(path) == HashIndex(stored).of(path) == digest(b"new")


def test_an_untouched_file_is_read_once_over_two_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> None:
    path = tmp_path / "x"
    stored = tmp_path / "hashes.json"
    reads = []
    path.write_bytes(b"content")
    monkeypatch.setattr(hash_index, "sha256", lambda p: (reads.append(p), sha256(p))[1])
    for _ in range(2):
        index = HashIndex(stored)
        assert index.of(path) == index.of(path) == digest(b"content")
        index.save()
    assert len(reads) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"7",
        b'{"a": 1}',
        b"\xff\xfe",
        b'{"KEY": []}',
        b'{"KEY": [1, 2]}',
        b'{"KEY": "text"}',
        b'{"KEY": STAMP}',
    ],
)
def test_a_damaged_index_costs_time_and_never_truth(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    stored = tmp_path / "hashes.json"
    path.write_bytes(b"content")
    status = os.stat(str(path))
    stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    stored.write_bytes(
        content.replace(b"KEY", str(status.st_ino).encode()).replace(
            b"STAMP", json.dumps(stamp).encode()
        )
    )
    assert HashIndex(stored).of(path) == digest(b"content")


def test_no_mutation_of_a_stored_index_gives_a_wrong_hash(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = tmp_path / "hashes.json"
    paths = some_files(tmp_path, [b"%d" % k for k in range(4)])
    index = HashIndex(stored)
    expected = [index.of(path) for path in paths]
    index.save()
    content = stored.read_bytes()
    random = Random(12)
    for _ in range(300):
        stored.write_bytes(mutated(content, random))
        index = HashIndex(stored)
        assert [index.of(path) for path in paths] == expected


def mutated(content: bytes, random: Random) -> bytes:
    """Return the content with a flipped bit, a cut, a repeated part, or noise in its middle."""
    start, end = sorted(random.randrange(len(content)) for _ in range(2))
    kind = random.randrange(4)
    if kind == 0:
        flipped = bytes([content[start] ^ 1 << random.randrange(8)])
        return content[:start] + flipped + content[start + 1 :]
    if kind == 1:
        return content[:start]
    if kind == 2:
        return content[:end] + content[start:]
    return content[:start] + bytes(random.randrange(256) for _ in range(8)) + content[start + 8 :]


def test_the_index_of_an_older_kit_is_still_believed(
    tmp_path: Path, settled: None, reads: List[Path]
) -> None:
    stored = tmp_path / "hashes.json"
    (path,) = some_files(tmp_path, [b"1"])
    index = HashIndex(stored)
    index.of(path)
    index.save()
    older = read_json(stored)
    del older["sha256"]
    stored.write_text(json.dumps(older))
    assert HashIndex(stored).of(path) == digest(b"1") and len(reads) == 1


def test_an_index_that_cannot_be_saved_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    index = HashIndex(tmp_path / "x" / "below-a-file.json")
    index.of(tmp_path / "x")
    index.save()


def test_the_hash_of_a_set_follows_names_and_contents_and_not_their_order(tmp_path: Path) -> None:
    a = tmp_path / "a"
    b = tmp_path / "b"
    a.write_bytes(b"1")
    b.write_bytes(b"2")
    index = HashIndex()
    hash_of_both = index.of_many([a, b], tmp_path)
    assert hash_of_both == index.of_many([b, a], tmp_path)
    assert hash_of_both != index.of_many([a], tmp_path)
    b.rename(tmp_path / "c")
    assert hash_of_both != index.of_many([a, tmp_path / "c"], tmp_path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> List[Path]:
    """Return a list that collects the path of each file that is read."""
    paths_read: List[Path] = []
    monkeypatch.setattr(
        hash_index, "sha256", lambda path: (paths_read.append(path), sha256(path))[1]
    )
    return paths_read


def some_files(root: Path, contents: Iterable[bytes]) -> List[Path]:
    paths = [root / f"0008-{k % 3:02d}" / f"{k}.nc" for k, _ in enumerate(contents)]
    for path, content in zip(paths, contents):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return paths


@given(
    contents=st.lists(st.binary(max_size=4), max_size=12),
    set_size=st.integers(1, 5),
    data=st.data(),
)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_hash_of_a_set_is_that_of_its_files_one_by_one(
    tmp_path_factory: pytest.TempPathFactory,
    contents: List[bytes],
    set_size: int,
    data: st.DataObject,
) -> None:
    root = tmp_path_factory.mktemp("set")
    paths = some_files(root, contents)
    single_index = HashIndex()
    expected = sha256_json({str(path.relative_to(root)): single_index.of(path) for path in paths})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_index, "_FILES_AT_ONCE", set_size)
        assert HashIndex().of_many(data.draw(st.permutations(paths), "order"), root) == expected
    assert all(single_index.of(path) == digest(content) for path, content in zip(paths, contents))


@pytest.mark.parametrize("set_size", [1, 3, 512])
def test_a_set_asks_each_file_once_and_reads_it_once(
    tmp_path: Path, settled: None, reads: List[Path], monkeypatch: pytest.MonkeyPatch, set_size: int
) -> None:
    """On a network drive, any further question about 195,048 pairs would take minutes."""
    monkeypatch.setattr(hash_index, "_FILES_AT_ONCE", set_size)
    paths = some_files(tmp_path, [b"%d" % k for k in range(7)])
    paths_asked = []
    real = os.stat
    monkeypatch.setattr(
        hash_index.os,
        "stat",
        lambda path, **k: (paths_asked.append(Path(str(path))), real(path, **k))[1],
    )
    stored = tmp_path / "hashes.json"
    index = HashIndex(stored)
    first = index.of_many(paths, tmp_path)
    assert sorted(path for path in paths_asked if path in paths) == sorted(paths) == sorted(reads)
    index.save()
    del paths_asked[:]
    assert HashIndex(stored).of_many(paths, tmp_path) == first
    assert (
        sorted(path for path in paths_asked if path in paths) == sorted(paths) and len(reads) == 7
    )


def test_of_a_set_only_what_changed_is_read_again(
    tmp_path: Path, settled: None, reads: List[Path]
) -> None:
    paths = some_files(tmp_path, [b"%d" % k for k in range(7)])
    index = HashIndex()
    before = index.of_many(paths, tmp_path)
    paths[4].write_bytes(b"changed")
    assert index.of_many(paths, tmp_path) != before
    assert reads[7:] == [paths[4]]


def test_what_changed_a_moment_ago_is_read_and_not_remembered(
    tmp_path: Path, reads: List[Path]
) -> None:
    paths = some_files(tmp_path, [b"1", b"2"])
    stored = tmp_path / "hashes.json"
    index = HashIndex(stored)
    assert index.of_many(paths, tmp_path) == index.of_many(paths, tmp_path)
    assert len(reads) == 4
    index.save()
    assert not stored.exists()


@pytest.mark.parametrize("damage", ["missing", "a folder", "vanishing"])
def test_a_set_with_a_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    paths = some_files(tmp_path, [b"%d" % k for k in range(7)])
    stat = os.stat(str(paths[3]))
    paths[3].unlink()
    if damage == "a folder":
        paths[3].mkdir()
    elif damage == "vanishing":  # after it was asked, before it is read
        real = os.stat
        monkeypatch.setattr(
            hash_index.os, "stat", lambda p, **k: stat if str(p) == str(paths[3]) else real(p, **k)
        )
    with refused(paths[3]):
        HashIndex().of_many(paths, tmp_path)


def test_an_interrupted_set_goes_on_from_what_was_saved(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(hash_index, "_FILES_AT_ONCE", 2)
    monkeypatch.setattr(hash_index, "_PROGRESS_SECONDS", -1.0)
    root = tmp_path / "set"
    stored = tmp_path / "hashes.json"
    read = []
    paths = some_files(root, [b"%d" % k for k in range(9)])

    def interrupted(path: Path) -> str:
        if len(read) >= 6:
            raise KeyboardInterrupt
        read.append(path)
        return sha256(path)

    monkeypatch.setattr(hash_index, "sha256", interrupted)
    with pytest.raises(KeyboardInterrupt):
        HashIndex(stored).of_many(paths, root)
    assert sorted(read) == sorted(paths[:6]) and len(read_json(stored)) == 6 + 1
    paths_read: List[Path] = []
    monkeypatch.setattr(
        hash_index, "sha256", lambda path: (paths_read.append(path), sha256(path))[1]
    )
    index = HashIndex(stored)
    assert index.of_many(paths, root) == HashIndex().of_many(paths, root)
    assert sorted(paths_read[:3]) == sorted(paths[6:])


def test_minutes_of_hashing_are_told_and_what_is_known_is_not(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(hash_index, "_FILES_AT_ONCE", 2)
    paths = some_files(tmp_path, [b"x" * 1000] * 5)
    index = HashIndex()
    index.of_many(paths[:2], tmp_path)
    assert capsys.readouterr().err == ""  # too short to speak of
    monkeypatch.setattr(hash_index, "_PROGRESS_SECONDS", -1.0)
    index.of_many(paths, tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(
        line.startswith(f"hashing {tmp_path}: ") for line in lines
    )  # of the other three
    assert all("of 3.0 kB" in line and line.endswith("minutes left") for line in lines)
    assert lines[-1].endswith(" 0 minutes left")
    index.of_many(paths, tmp_path)
    assert capsys.readouterr().err == ""


def test_empty_files_have_no_share_in_the_minutes(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hash_index, "_FILES_AT_ONCE", 1)
    monkeypatch.setattr(hash_index, "_PROGRESS_SECONDS", -1.0)
    paths = some_files(tmp_path, [b"", b"", b"1"])
    assert HashIndex().of_many(paths[:2], tmp_path) != HashIndex().of_many(paths, tmp_path)


def test_an_empty_set_has_a_hash(tmp_path: Path) -> None:
    assert HashIndex().of_many([], tmp_path) == sha256_json({})


def test_hard_links_share_an_entry(tmp_path: Path, settled: None, reads: List[Path]) -> None:
    """The split maker links step files instead of copying them."""
    source = tmp_path / "a.nc"
    link = tmp_path / "world" / "b.nc"
    stored = tmp_path / "hashes.json"
    source.write_bytes(b"content")
    publish_copy(source, link)
    index = HashIndex(stored)
    assert index.of(source) == index.of(link) == digest(b"content")
    index.save()
    assert reads == [source] and str(source.stat().st_ino) in read_json(stored)
    with open(link, "r+b") as handle:  # through either name
        handle.write(b"changed")
    assert index.of(source) == index.of(link) == digest(b"changed") and len(reads) == 2


def test_the_same_inode_under_another_path_needs_no_second_read(
    tmp_path: Path, settled: None, reads: List[Path]
) -> None:
    """A container sees the same files under its own paths."""
    root = tmp_path / "here"
    stored = tmp_path / "hashes.json"
    paths = some_files(root, [b"%d" % k for k in range(5)])
    index = HashIndex(stored)
    set_hash = index.of_many(paths, root)
    index.save()
    (tmp_path / "there").symlink_to(root)
    moved = [tmp_path / "there" / path.relative_to(root) for path in paths]
    assert HashIndex(stored).of_many(moved, tmp_path / "there") == set_hash
    assert len(reads) == 5


def test_a_bind_mount_needs_no_second_read(
    tmp_path: Path, settled: None, reads: List[Path]
) -> None:
    root = tmp_path / "here"
    bind_mount = tmp_path / "there"
    paths = some_files(root, [b"%d" % k for k in range(5)])
    index = HashIndex()
    set_hash = index.of_many(paths, root)
    bind_mount.mkdir()
    try:
        done = subprocess.run(["mount", "--bind", str(root), str(bind_mount)], capture_output=True)
    except OSError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        assert (
            index.of_many([bind_mount / path.relative_to(root) for path in paths], bind_mount)
            == set_hash
        )
    finally:
        subprocess.run(["umount", "-l", str(bind_mount)], check=True)
    assert len(reads) == 5


def test_two_names_of_one_file_in_a_set_are_one_read(
    tmp_path: Path, settled: None, reads: List[Path]
) -> None:
    paths = some_files(tmp_path, [b"1", b"2"])
    os.link(str(paths[0]), str(tmp_path / "link.nc"))
    set_hash = HashIndex().of_many(paths + [tmp_path / "link.nc"], tmp_path)
    assert len(reads) == 2
    assert set_hash == sha256_json(
        {"0008-00/0.nc": digest(b"1"), "0008-01/1.nc": digest(b"2"), "link.nc": digest(b"1")}
    )


@pytest.mark.parametrize("set_size", [1, 512])
def test_files_of_two_disks_with_one_inode_number_are_two_files(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch, set_size: int
) -> None:
    """Months may lie on several disks, and every disk counts its files from 1."""
    monkeypatch.setattr(hash_index, "_FILES_AT_ONCE", set_size)
    paths = some_files(tmp_path, [b"one", b"another", b"a third"])
    real = os.stat

    class Numbered:
        """A file status with the inode number that the first file of every disk has."""

        def __init__(self, path: str) -> None:
            status = real(path)
            self.st_size = status.st_size
            self.st_ino = 1
            self.st_mtime_ns, self.st_ctime_ns = status.st_mtime_ns, status.st_ctime_ns

    monkeypatch.setattr(
        hash_index.os,
        "stat",
        lambda path, **k: Numbered(path) if str(path).endswith(".nc") else real(path, **k),
    )
    index = HashIndex()
    for _ in range(2):
        assert index.of_many(paths, tmp_path) == sha256_json(
            {
                "0008-00/0.nc": digest(b"one"),
                "0008-01/1.nc": digest(b"another"),
                "0008-02/2.nc": digest(b"a third"),
            }
        )


@pytest.mark.parametrize("tick", [10**6, 10**7, 10**9, 2 * 10**9])
def test_files_that_a_coarse_clock_and_a_new_mount_make_alike_are_two_files(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch, tick: int
) -> None:
    """sshfs numbers inodes in the order of look-ups, and step files have one size."""
    stored = tmp_path / "hashes.json"
    first, second = some_files(tmp_path, [b"one", b"two"])
    real = os.stat
    now = real(str(first)).st_mtime_ns // tick * tick

    class Remounted:
        """A file status as the first file of a mount has it, by a clock of few ticks."""

        def __init__(self, path: str) -> None:
            self.st_size = real(path).st_size
            self.st_ino = 1
            self.st_mtime_ns = self.st_ctime_ns = now

    monkeypatch.setattr(
        hash_index.os,
        "stat",
        lambda path, **k: Remounted(path) if str(path).endswith(".nc") else real(path, **k),
    )
    index = HashIndex(stored)
    assert index.of(first) == digest(b"one")
    index.save()
    assert HashIndex(stored).of(second) == digest(b"two")
    assert index.of_many([first, second], tmp_path) == sha256_json(
        {"0008-00/0.nc": digest(b"one"), "0008-01/1.nc": digest(b"two")}
    )


@pytest.mark.parametrize("hours", [-24, -1, 1])
def test_a_clock_that_was_set_never_gives_an_old_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    index = HashIndex(tmp_path / "hashes.json")
    index.of(path)
    now = time.time_ns()
    monkeypatch.setattr(hash_index.time, "time_ns", lambda: now + hours * 3600 * 10**9)
    assert index.of(path) == digest(b"old")
    time.sleep(0.05)  # more than a tick of any kernel's clock
    edit_in_place(path, b"new")
    assert index.of(path) == digest(b"new")


def test_another_file_that_took_over_an_inode_is_read(tmp_path: Path, settled: None) -> None:
    """File systems reuse an inode number at once."""
    index = HashIndex()
    inodes = set()
    for k in range(20):
        path = tmp_path / str(k)
        path.write_bytes(b"%02d" % k)
        assert index.of(path) == digest(b"%02d" % k)
        inodes.add(path.stat().st_ino)
        path.unlink()
        time.sleep(0.005)  # a tick of the clock


def test_a_missing_file_has_no_hash(tmp_path: Path) -> None:
    with refused(tmp_path / "x", "missing"):
        HashIndex().of(tmp_path / "x")


def test_an_open_file_is_hashed_whatever_has_its_name_by_now(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"checked" * (1 << 18))
    expected = sha256(path)
    with open(path, "rb") as handle:
        handle.seek(5)
        path.rename(tmp_path / "aside")
        path.write_bytes(b"a stranger's")
        index = HashIndex()
        assert index.of_open(handle.fileno(), path) == expected != index.of(path)
        assert handle.tell() == 5


def test_what_is_written_into_an_open_file_is_noticed(tmp_path: Path, settled: None) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"checked")
    index = HashIndex()
    with open(path, "rb") as handle:
        first = index.of_open(handle.fileno(), path)
        assert index.of_open(handle.fileno(), path) == index.of(path) == first
        with open(path, "r+b") as other:
            other.write(b"CHECKED, and more")
        assert index.of_open(handle.fileno(), path) == sha256(path) != first
