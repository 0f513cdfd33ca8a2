"""The kit's code as an archive: the files of git as they lie here, in equal bytes each time."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import List

import pytest

from launch.bundles import bundled, code_archive
from launch.bundles.bundled import Record
from tests.helpers.refusals import refused


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small kit that is no clone; make it the one that the launcher is of."""
    root = tmp_path / "kit"
    (root / "shared").mkdir(parents=True)
    (root / "shared" / "a.py").write_text("a = 1\n")
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o755)
    (root / ".gitignore").write_text("/data/\n*.pt\n")
    (root / "data").mkdir()
    (root / "data" / "secret.csv").touch()
    for module in (code_archive, bundled):
        monkeypatch.setattr(module, "REPOSITORY", root)
    monkeypatch.setattr(bundled, "PATH", root / ".bundle" / "record.json")
    return root


def git(kit: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(kit), *words], check=True, capture_output=True)


def names(content: bytes) -> List[str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getnames()


@pytest.mark.process
def test_the_archive_holds_what_git_tracks_or_images_hold_and_nothing_that_is_ignored(
    kit: Path,
) -> None:
    everything = ["leap-kit/.gitignore", "leap-kit/run", "leap-kit/shared/a.py"]
    assert names(code_archive.content()) == everything  # no clone
    git(kit, "init", "--quiet")
    git(kit, "add", ".")
    (kit / "note.txt").touch()
    assert names(code_archive.content()) == everything
    assert code_archive.untracked() == ["note.txt"]
    (kit / "members" / "alice").mkdir(parents=True)  # of `make member`, and not committed
    (kit / "members" / "alice" / "networks.py").touch()
    (kit / "members" / "alice" / "a.pt").touch()
    with_alice = sorted([*everything, "leap-kit/members/alice/networks.py"])
    assert names(code_archive.content()) == with_alice
    assert code_archive.untracked() == ["note.txt"]


@pytest.mark.process
def test_equal_files_give_equal_bytes_whenever_they_were_written(kit: Path, tmp_path: Path) -> None:
    first = code_archive.content()
    os.utime(kit / "run", (1, 1))
    (kit / "shared" / "a.py").write_text("a = 1\n")
    assert code_archive.content() == first
    (tmp_path / "code.tar").write_bytes(first)
    with tarfile.open(tmp_path / "code.tar") as archive:
        modes = {entry.name: entry.mode for entry in archive}
    assert modes["leap-kit/run"] == 0o755 and modes["leap-kit/shared/a.py"] == 0o644
    record = Record("abc", code_archive.sums(tmp_path / "code.tar"))
    assert record.changed() == []
    (kit / "shared" / "a.py").write_text("a = 2\n")
    assert record.changed() == ["shared/a.py"]
    assert code_archive.content() != first


def test_what_was_unbundled_is_bundled_again_without_git(
    kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Record("abc", {"run": "0", "gone": "0"}).write()
    monkeypatch.setenv("PATH", "")
    assert code_archive.names() == ["run"] and code_archive.untracked() == []


@pytest.mark.process
def test_a_kit_that_git_cannot_read_is_refused(kit: Path) -> None:
    (kit / ".git").mkdir()
    with refused(kit, "git cannot name the kit's files", "install git"):
        code_archive.names()


def entry(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    made.linkname = "/etc/passwd"
    return made


@pytest.mark.parametrize(
    "hostile",
    [
        entry("leap-kit/../../etc/passwd"),
        entry("/etc/passwd"),
        entry("other/a.py"),
        entry("leap-kit/a.py", tarfile.SYMTYPE),
        entry("leap-kit/a.py", tarfile.CHRTYPE),
    ],
    ids=lambda one: f"{one.name} {one.type!r}",
)
def test_an_archive_with_anything_but_the_kits_files_is_refused(
    tmp_path: Path, hostile: tarfile.TarInfo
) -> None:
    path = tmp_path / "code.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(hostile)
    with refused(path, "is no archive of the kit", hostile.name):
        code_archive.sums(path)
    path.write_bytes(b"no archive")
    with refused(path, "is no archive of the kit"):
        code_archive.sums(path)
