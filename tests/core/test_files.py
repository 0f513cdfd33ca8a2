"""Files are whole or absent, hashes follow content, and a full disk is one sentence."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import leapkit
from leapkit.core import files
from leapkit.core.errors import KitError
from leapkit.core.files import (
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


# --- atomic ---------------------------------------------------------------------------------------


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
    source = tmp_path / "source.nc"
    target = tmp_path / "target.nc"
    source.write_text("the user's data")
    os.link(
        str(source), str(tmp_path / (files.TEMPORARY + "target.nc"))
    )  # publish_copy, killed before its rename
    write_text(target, "something else")
    assert source.read_text() == "the user's data"


CANNOT_SYNC = ["EINVAL", "ENOSYS", "EOPNOTSUPP", "EBADF", "EISDIR", "EACCES"]


def answer(call: Callable, number: int, applies: Callable[..., bool]) -> Callable:
    """Return a system call that fails with an errno where `applies` says so."""

    def answering(*arguments: Any, **options: Any) -> Any:
        if applies(*arguments):
            raise OSError(number, os.strerror(number))
        return call(*arguments, **options)

    return answering


def is_folder(handle: int) -> bool:
    return stat.S_ISDIR(os.fstat(handle).st_mode)


@pytest.mark.parametrize("name", CANNOT_SYNC)
@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_file_is_made_where_folders_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, name: str
) -> None:
    applies = is_folder if call == "fsync" else lambda path, flags: os.path.isdir(path)
    monkeypatch.setattr(os, call, answer(getattr(os, call), getattr(errno, name), applies))
    write_text(tmp_path / "x.txt", "whole")
    assert (tmp_path / "x.txt").read_text() == "whole" and names(tmp_path) == ["x.txt"]


@pytest.mark.parametrize("name", ["EINVAL", "ENOSYS", "EOPNOTSUPP"])
def test_a_file_is_made_where_nothing_can_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(os, "fsync", answer(os.fsync, getattr(errno, name), lambda handle: True))
    write_text(tmp_path / "x.txt", "whole")
    assert names(tmp_path) == ["x.txt"]


@pytest.mark.parametrize("name, words", [("EIO", "error"), ("ENOSPC", "the disk is full")])
def test_a_file_whose_content_does_not_reach_the_disk_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.setattr(os, "fsync", answer(os.fsync, getattr(errno, name), lambda handle: True))
    with refused(tmp_path / "x.txt", words):
        write_text(tmp_path / "x.txt", "whole")
    assert names(tmp_path) == []


# --- JSON and hashes ------------------------------------------------------------------------------


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


# --- publish_copy ---------------------------------------------------------------------------------


def test_a_published_copy_costs_no_second_copy_on_the_same_disk(tmp_path: Path) -> None:
    source = tmp_path / "a"
    target = tmp_path / "deep" / "b"
    source.write_bytes(b"content")
    publish_copy(source, target)
    assert target.read_bytes() == b"content"
    assert os.path.samefile(str(source), str(target))
    assert names(target.parent) == ["b"]


@pytest.mark.parametrize("name", ["EXDEV", "EPERM", "EOPNOTSUPP", "EMLINK", "ENOSPC"])
def test_a_published_copy_is_a_real_one_where_links_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(os, "link", answer(os.link, getattr(errno, name), lambda *_: True))
    source = tmp_path / "a"
    target = tmp_path / "b"
    source.write_bytes(b"content")
    target.write_bytes(b"an older one")
    publish_copy(source, target)
    assert target.read_bytes() == b"content"
    assert not os.path.samefile(str(source), str(target))


def test_publishing_twice_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a"
    target = tmp_path / "b"
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


# --- a full disk and other refusals of the system -------------------------------------------------


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


def test_too_little_free_disk_is_refused_before_the_work(tmp_path: Path) -> None:
    free = shutil.disk_usage(str(tmp_path)).free
    with refused(tmp_path, "B of the cache", "B free", "free some space"):
        require_free(tmp_path / "not" / "there" / "yet", free * 2, "the cache")
    require_free(tmp_path / "not" / "there" / "yet", 1, "the cache")
    assert names(tmp_path) == []


def test_the_small_disk_has_room_for_small_things_only(small_disk: Path) -> None:
    require_free(small_disk / "x", 60_000, "x")
    with refused(small_disk):
        require_free(small_disk / "x", 70_000, "x")


@pytest.mark.parametrize("name", ["ENOSYS", "EACCES"])
def test_a_disk_that_cannot_tell_its_free_space_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(os, "statvfs", answer(os.statvfs, getattr(errno, name), lambda path: True))
    require_free(tmp_path / "x", 1 << 60, "x")
    assert files.free_bytes(tmp_path) is None


def test_a_network_drive_that_says_it_has_no_blocks_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = os.statvfs_result([4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255])
    monkeypatch.setattr(os, "statvfs", lambda path: nothing)
    require_free(tmp_path / "x", 1 << 60, "x")


def test_a_full_disk_is_no_disk_without_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.statvfs_result([4096, 4096, 1000, 0, 0, 0, 0, 0, 0, 255])
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with refused(tmp_path, "0 bytes free"):
        require_free(tmp_path / "x", 1, "x")
