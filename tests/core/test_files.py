"""Files are whole or absent, hashes follow content, and a full disk is one sentence."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import leapkit
from leapkit.core import files
from leapkit.core.errors import EXIT_INTERRUPTED, EXIT_REFUSED, KitError, explain_os_errors, run_cli
from leapkit.core.files import (
    HashIndex,
    atomic,
    publish_copy,
    read_json,
    require_free,
    sha256,
    write_json,
    write_text,
)
from tests.helpers.refusals import refused


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def names(folder: Path) -> list:
    return sorted(p.name for p in folder.iterdir())


# --- atomic ----------------------------------------------------------------------------------------------------------


def test_a_new_file_appears_whole_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "x.txt"
    with atomic(target) as temporary:
        temporary.write_text("all of it")
        assert not target.exists()
    assert target.read_text() == "all of it"
    assert names(target.parent) == ["x.txt"]


def test_an_old_file_is_replaced_as_a_whole_even_by_a_shorter_one(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    target.write_text("a long old text")
    with atomic(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "a long old text"
    assert target.read_text() == "new"


@pytest.mark.parametrize(
    "failure", [ValueError("a bug"), KeyboardInterrupt(), KitError("refused", "x", "do")]
)
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, failure: BaseException
) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")
    with pytest.raises(type(failure)):
        with atomic(target) as temporary:
            temporary.write_text("half")
            raise failure
    assert target.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_a_failure_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        with atomic(tmp_path / "x.txt") as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError
    assert names(tmp_path) == []


def test_a_killed_process_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\nfrom pathlib import Path\n"
        "from leapkit.core.files import atomic\nwith atomic(Path(sys.argv[2])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    shared = str(Path(leapkit.__file__).parent.parent)
    assert (
        subprocess.run([sys.executable, "-c", code, shared, str(tmp_path / "x.txt")]).returncode
        == -9
    )
    assert not (tmp_path / "x.txt").exists()
    write_text(tmp_path / "x.txt", "the next run")  # goes over what the killed one left
    assert names(tmp_path) == ["x.txt"]


def test_the_unfinished_name_is_one_that_nobody_reads(tmp_path: Path) -> None:
    with atomic(tmp_path / "a.b.parquet") as temporary:
        assert temporary.name.startswith(files.TEMPORARY)
        assert temporary.parent == tmp_path  # the same file system, or the rename would be a copy
        temporary.write_text("")


def test_the_content_is_synced_before_the_name_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("fsync"), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *a: (calls.append("replace"), replace(*a))[1])
    write_text(tmp_path / "x.txt", "x")
    assert calls == ["fsync", "replace", "fsync"]  # content, name, folder


def test_a_hard_link_that_a_killed_run_left_is_not_written_through(tmp_path: Path) -> None:
    source, target = tmp_path / "source.nc", tmp_path / "target.nc"
    source.write_text("the user's data")
    os.link(
        str(source), str(tmp_path / (files.TEMPORARY + "target.nc"))
    )  # publish_copy, killed before its rename
    write_text(target, "something else")
    assert source.read_text() == "the user's data"


# --- JSON and hashes -------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.floats(allow_nan=False, allow_infinity=False)
        | st.integers()
        | st.text(max_size=5)
        | st.lists(st.booleans(), max_size=3),
        max_size=5,
    )
)
@settings(max_examples=30, deadline=None)
def test_json_reads_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, value: Dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.json"
    write_json(path, value)
    assert read_json(path) == value


@pytest.mark.parametrize(
    "content", [b"", b"{", b"not json", b'{"a": 1} trailing', b"\xff\xfe\x00broken"]
)
def test_a_damaged_json_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mean.json"
    path.write_bytes(content)
    with refused(path, "JSON"):
        read_json(path)


def test_a_missing_json_is_refused_by_name(tmp_path: Path) -> None:
    with refused(tmp_path / "no.json", "missing"):
        read_json(tmp_path / "no.json")


def test_a_nan_never_gets_into_a_json_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert names(tmp_path) == []


@pytest.mark.parametrize("size", [0, 1, files._BLOCK - 1, files._BLOCK, files._BLOCK + 1])
def test_sha256_is_that_of_the_whole_content(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "x").write_bytes(data)
    assert sha256(tmp_path / "x") == digest(data)


def test_sha256_of_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with refused(tmp_path / "x", "missing"):
        sha256(tmp_path / "x")


def test_the_hash_of_a_value_does_not_depend_on_the_order_of_its_keys() -> None:
    assert (
        files.sha256_json({"a": 1, "b": 2})
        == files.sha256_json({"b": 2, "a": 1})
        != files.sha256_json({"a": 1})
    )


# --- HashIndex -------------------------------------------------------------------------------------------------------


def edit_in_place(path: Path, data: bytes) -> None:
    """Another content of the same size, on the same inode, with the old modification time."""
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
    path, index = tmp_path / "x", HashIndex()
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
        """A status whose times tick once a second, as old kernels' tick once in 4 ms and FAT's once in 2 s."""

        def __init__(self, path: str) -> None:
            status = real(path)
            self.st_size, self.st_ino = status.st_size, status.st_ino
            self.st_mtime_ns = status.st_mtime_ns // 10**9 * 10**9
            self.st_ctime_ns = status.st_ctime_ns // 10**9 * 10**9

    path, index = tmp_path / "x", HashIndex()
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(
            files.os, "stat", lambda p, **k: Coarse(p) if str(p).endswith("x") else real(p, **k)
        )
        assert index.of(path) == digest(b"old")
        with open(path, "r+b") as handle:
            handle.write(b"new")
        assert index.of(path) == digest(b"new")


def test_a_replaced_file_with_equal_size_and_times_is_noticed(tmp_path: Path) -> None:
    path, index = tmp_path / "x", HashIndex()
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
    """Lets the index believe that every file is old enough for its times to be told apart from an edit's."""
    monkeypatch.setattr(files, "_SETTLED_NS", -(10**18))


def test_a_remembered_file_whose_time_was_set_back_after_an_edit_is_read_again(
    tmp_path: Path, settled: None
) -> None:
    path, stored = tmp_path / "x", tmp_path / "hashes.json"
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
    path, stored, reads = tmp_path / "x", tmp_path / "hashes.json", []
    path.write_bytes(b"content")
    monkeypatch.setattr(files, "sha256", lambda p: (reads.append(p), sha256(p))[1])
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
    path, stored = tmp_path / "x", tmp_path / "hashes.json"
    path.write_bytes(b"content")
    status = os.stat(str(path))
    stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    stored.write_bytes(
        content.replace(b"KEY", str(status.st_ino).encode()).replace(
            b"STAMP", json.dumps(stamp).encode()
        )
    )
    assert HashIndex(stored).of(path) == digest(b"content")


def test_an_index_that_cannot_be_saved_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    index = HashIndex(tmp_path / "x" / "below-a-file.json")
    index.of(tmp_path / "x")
    index.save()


def test_the_hash_of_a_set_follows_names_and_contents_and_not_their_order(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1")
    b.write_bytes(b"2")
    index = HashIndex()
    whole = index.of_many([a, b], tmp_path)
    assert whole == index.of_many([b, a], tmp_path)
    assert whole != index.of_many([a], tmp_path)
    b.rename(tmp_path / "c")
    assert whole != index.of_many([a, tmp_path / "c"], tmp_path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> List[Path]:
    """The files that are read, one by one."""
    found: List[Path] = []
    monkeypatch.setattr(files, "sha256", lambda path: (found.append(path), sha256(path))[1])
    return found


def some_files(root: Path, contents: Iterable[bytes]) -> List[Path]:
    paths = [root / ("0008-%02d" % (k % 3)) / ("%d.nc" % k) for k, _ in enumerate(contents)]
    for path, content in zip(paths, contents):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return paths


@given(
    contents=st.lists(st.binary(max_size=4), max_size=12), at_once=st.integers(1, 5), data=st.data()
)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_hash_of_a_set_is_that_of_its_files_one_by_one(
    tmp_path_factory: pytest.TempPathFactory,
    contents: List[bytes],
    at_once: int,
    data: st.DataObject,
) -> None:
    root = tmp_path_factory.mktemp("set")
    paths = some_files(root, contents)
    one_by_one = HashIndex()
    expected = files.sha256_json(
        {str(path.relative_to(root)): one_by_one.of(path) for path in paths}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_AT_ONCE", at_once)
        assert HashIndex().of_many(data.draw(st.permutations(paths), "order"), root) == expected
    assert all(one_by_one.of(path) == digest(content) for path, content in zip(paths, contents))


@pytest.mark.parametrize("at_once", [1, 3, 512])
def test_a_set_asks_each_file_once_and_reads_it_once(
    tmp_path: Path, settled: None, reads: List[Path], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """195,048 pairs on a network drive: every further question would be minutes."""
    monkeypatch.setattr(files, "_AT_ONCE", at_once)
    paths, asked, real = some_files(tmp_path, [b"%d" % k for k in range(7)]), [], os.stat
    monkeypatch.setattr(
        files.os, "stat", lambda path, **k: (asked.append(Path(str(path))), real(path, **k))[1]
    )
    stored = tmp_path / "hashes.json"
    index = HashIndex(stored)
    first = index.of_many(paths, tmp_path)
    assert sorted(path for path in asked if path in paths) == sorted(paths) == sorted(reads)
    index.save()
    del asked[:]
    assert HashIndex(stored).of_many(paths, tmp_path) == first
    assert sorted(path for path in asked if path in paths) == sorted(paths) and len(reads) == 7


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
    paths, stored = some_files(tmp_path, [b"1", b"2"]), tmp_path / "hashes.json"
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
            files.os, "stat", lambda p, **k: stat if str(p) == str(paths[3]) else real(p, **k)
        )
    with refused(paths[3]):
        HashIndex().of_many(paths, tmp_path)


def test_an_interrupted_set_goes_on_from_what_was_saved(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(files, "_AT_ONCE", 2)
    monkeypatch.setattr(files, "_TELL_EVERY", -1.0)
    root, stored, read = tmp_path / "set", tmp_path / "hashes.json", []
    paths = some_files(root, [b"%d" % k for k in range(9)])

    def interrupted(path: Path) -> str:
        if len(read) >= 6:
            raise KeyboardInterrupt
        read.append(path)
        return sha256(path)

    monkeypatch.setattr(files, "sha256", interrupted)
    with pytest.raises(KeyboardInterrupt):
        HashIndex(stored).of_many(paths, root)
    assert sorted(read) == sorted(paths[:6]) and len(read_json(stored)) == 6
    rest: List[Path] = []
    monkeypatch.setattr(files, "sha256", lambda path: (rest.append(path), sha256(path))[1])
    index = HashIndex(stored)
    assert index.of_many(paths, root) == HashIndex().of_many(paths, root)
    assert sorted(rest[:3]) == sorted(paths[6:])


def test_minutes_of_hashing_are_told_and_what_is_known_is_not(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(files, "_AT_ONCE", 2)
    paths, index = some_files(tmp_path, [b"x" * 1000] * 5), HashIndex()
    index.of_many(paths[:2], tmp_path)
    assert capsys.readouterr().err == ""  # too short to speak of
    monkeypatch.setattr(files, "_TELL_EVERY", -1.0)
    index.of_many(paths, tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(
        line.startswith(f"hashing {tmp_path}: ") for line in lines
    )  # of the other three
    assert all("of 0.0 GB" in line and line.endswith("minutes left") for line in lines)
    assert lines[-1].endswith(" 0 minutes left")
    index.of_many(paths, tmp_path)
    assert capsys.readouterr().err == ""


def test_empty_files_have_no_share_in_the_minutes(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_AT_ONCE", 1)
    monkeypatch.setattr(files, "_TELL_EVERY", -1.0)
    paths = some_files(tmp_path, [b"", b"", b"1"])
    assert HashIndex().of_many(paths[:2], tmp_path) != HashIndex().of_many(paths, tmp_path)


def test_an_empty_set_has_a_hash(tmp_path: Path) -> None:
    assert HashIndex().of_many([], tmp_path) == files.sha256_json({})


def test_hard_links_share_an_entry(tmp_path: Path, settled: None, reads: List[Path]) -> None:
    """The split maker links step files instead of copying them."""
    source, link, stored = tmp_path / "a.nc", tmp_path / "world" / "b.nc", tmp_path / "hashes.json"
    source.write_bytes(b"content")
    publish_copy(source, link)
    index = HashIndex(stored)
    assert index.of(source) == index.of(link) == digest(b"content")
    index.save()
    assert reads == [source] and list(read_json(stored)) == [str(source.stat().st_ino)]
    with open(link, "r+b") as handle:  # through either name
        handle.write(b"changed")
    assert index.of(source) == index.of(link) == digest(b"changed") and len(reads) == 2


def test_the_same_inode_under_another_path_needs_no_second_read(
    tmp_path: Path, settled: None, reads: List[Path]
) -> None:
    """What a container sees under its own paths."""
    root, stored = tmp_path / "here", tmp_path / "hashes.json"
    paths = some_files(root, [b"%d" % k for k in range(5)])
    index = HashIndex(stored)
    found = index.of_many(paths, root)
    index.save()
    (tmp_path / "there").symlink_to(root)
    moved = [tmp_path / "there" / path.relative_to(root) for path in paths]
    assert HashIndex(stored).of_many(moved, tmp_path / "there") == found
    assert len(reads) == 5


def test_a_bind_mount_needs_no_second_read(
    tmp_path: Path, settled: None, reads: List[Path]
) -> None:
    root, there = tmp_path / "here", tmp_path / "there"
    paths, index = some_files(root, [b"%d" % k for k in range(5)]), HashIndex()
    found = index.of_many(paths, root)
    there.mkdir()
    try:
        done = subprocess.run(["mount", "--bind", str(root), str(there)], capture_output=True)
    except OSError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        assert index.of_many([there / path.relative_to(root) for path in paths], there) == found
    finally:
        subprocess.run(["umount", "-l", str(there)], check=True)
    assert len(reads) == 5


def test_two_names_of_one_file_in_a_set_are_one_read(
    tmp_path: Path, settled: None, reads: List[Path]
) -> None:
    paths = some_files(tmp_path, [b"1", b"2"])
    os.link(str(paths[0]), str(tmp_path / "link.nc"))
    found = HashIndex().of_many(paths + [tmp_path / "link.nc"], tmp_path)
    assert len(reads) == 2
    assert found == files.sha256_json(
        {"0008-00/0.nc": digest(b"1"), "0008-01/1.nc": digest(b"2"), "link.nc": digest(b"1")}
    )


@pytest.mark.parametrize("at_once", [1, 512])
def test_files_of_two_disks_with_one_inode_number_are_two_files(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Months may lie on several disks, behind links or mounts, and every disk counts its files from 1."""
    monkeypatch.setattr(files, "_AT_ONCE", at_once)
    paths, real = some_files(tmp_path, [b"one", b"another", b"a third"]), os.stat

    class Numbered:
        """A status as all disks' first file has it."""

        def __init__(self, path: str) -> None:
            status = real(path)
            self.st_size, self.st_ino = status.st_size, 1
            self.st_mtime_ns, self.st_ctime_ns = status.st_mtime_ns, status.st_ctime_ns

    monkeypatch.setattr(
        files.os,
        "stat",
        lambda path, **k: Numbered(path) if str(path).endswith(".nc") else real(path, **k),
    )
    index = HashIndex()
    for _ in range(2):
        assert index.of_many(paths, tmp_path) == files.sha256_json(
            {
                "0008-00/0.nc": digest(b"one"),
                "0008-01/1.nc": digest(b"another"),
                "0008-02/2.nc": digest(b"a third"),
            }
        )


def test_another_file_that_took_over_an_inode_is_read(tmp_path: Path, settled: None) -> None:
    """File systems give a number out again at once."""
    index, seen = HashIndex(), set()
    for k in range(20):
        path = tmp_path / ("%d" % k)
        path.write_bytes(b"%02d" % k)
        assert index.of(path) == digest(b"%02d" % k)
        seen.add(path.stat().st_ino)
        path.unlink()
        time.sleep(0.005)  # a tick of the clock


def test_a_missing_file_has_no_hash(tmp_path: Path) -> None:
    with refused(tmp_path / "x", "missing"):
        HashIndex().of(tmp_path / "x")


# --- publish_copy ----------------------------------------------------------------------------------------------------


def test_a_published_copy_costs_no_second_copy_on_the_same_disk(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "deep" / "b"
    source.write_bytes(b"content")
    publish_copy(source, target)
    assert target.read_bytes() == b"content"
    assert os.path.samefile(str(source), str(target))
    assert names(target.parent) == ["b"]


def test_a_published_copy_is_a_real_one_where_links_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "link", refuse)
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"content")
    target.write_bytes(b"an older one")
    publish_copy(source, target)
    assert target.read_bytes() == b"content"
    assert not os.path.samefile(str(source), str(target))


def test_publishing_twice_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"content")
    for _ in range(2):
        publish_copy(source, target)
    assert names(tmp_path) == ["a", "b"]
    assert target.read_bytes() == source.read_bytes() == b"content"


def test_publishing_over_what_a_killed_run_left_works(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / (files.TEMPORARY + "b")).write_bytes(b"half")
    publish_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"content"
    assert names(tmp_path) == ["a", "b"]


def test_a_published_symbolic_link_is_the_file_that_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_bytes(b"content")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a").symlink_to(Path("..") / "real" / "a")
    target = tmp_path / "somewhere" / "else" / "a"
    publish_copy(tmp_path / "links" / "a", target)
    assert target.read_bytes() == b"content" and not target.is_symlink()


def test_publishing_a_missing_file_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with refused(tmp_path / "a", "missing"):
        publish_copy(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path) == []


# --- a full disk and other refusals of the system --------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_write_that_finds_no_space_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with refused(tmp_path / "x", "the disk is full", "free some space"):
        with atomic(tmp_path / "x") as temporary:
            temporary.write_text("half")
            with open("/dev/full", "w") as full:
                full.write("the other half")
    assert names(tmp_path) == []


def test_a_real_full_disk_keeps_the_old_file_and_takes_no_space(small_disk: Path) -> None:
    target = small_disk / "x.json"
    write_json(target, {"old": 1})
    with refused(target, "the disk is full"):
        write_json(target, {"new": "x" * 100_000})
    assert read_json(target) == {"old": 1}
    assert names(small_disk) == ["x.json"]
    write_json(target, {"new": "x" * 10_000})  # the failed try gave its space back


def test_a_copy_onto_a_full_disk_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 100_000)
    with refused(small_disk / "big", "the disk is full"):
        publish_copy(tmp_path / "big", small_disk / "big")
    assert names(small_disk) == []


@pytest.mark.parametrize(
    "number, words",
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EFBIG, "the disk is full"),
        (errno.ENOENT, "the file is missing"),
        (errno.EACCES, "permission denied"),
        (errno.EPERM, "permission denied"),
        (errno.EIO, os.strerror(errno.EIO)),
        (errno.EROFS, os.strerror(errno.EROFS)),
    ],
)
def test_each_refusal_of_the_system_says_what_and_where(number: int, words: str) -> None:
    with refused("/some/place", words):
        with explain_os_errors("/some/place", "do this"):
            raise OSError(number, os.strerror(number))


def test_a_missing_file_is_named_rather_than_the_file_that_was_wanted(tmp_path: Path) -> None:
    with refused(tmp_path / "inner", "missing"):
        with explain_os_errors("/outer"):
            open(str(tmp_path / "inner"))


def test_too_little_free_disk_is_refused_before_the_work(tmp_path: Path) -> None:
    free = shutil.disk_usage(str(tmp_path)).free
    with refused(tmp_path, "the cache needs", "GB free", "free some space"):
        require_free(tmp_path / "not" / "there" / "yet", free * 2, "the cache")
    require_free(tmp_path / "not" / "there" / "yet", 1, "the cache")
    assert names(tmp_path) == []


def test_the_small_disk_has_room_for_small_things_only(small_disk: Path) -> None:
    require_free(small_disk / "x", 60_000, "x")
    with refused(small_disk):
        require_free(small_disk / "x", 70_000, "x")


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure, code, words",
    [
        (
            KitError("is cut off", "test.csv", "download it again"),
            EXIT_REFUSED,
            "error: test.csv: is cut off; download",
        ),
        (KeyboardInterrupt(), EXIT_INTERRUPTED, "stopped"),
    ],
)
def test_a_failure_reaches_the_terminal_as_its_sentence_and_its_code(
    capsys: pytest.CaptureFixture, failure: BaseException, code: int, words: str
) -> None:
    def main(_: list) -> int:
        raise failure

    with pytest.raises(SystemExit) as left:
        run_cli(main, [])
    assert left.value.code == code != 0
    err = capsys.readouterr().err
    assert words in err and "Traceback" not in err and err.count("\n") == 1


def test_a_success_leaves_with_zero() -> None:
    with pytest.raises(SystemExit) as left:
        run_cli(lambda argv: None, [])
    assert left.value.code == 0
