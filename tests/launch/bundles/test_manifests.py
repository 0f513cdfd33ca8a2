"""The manifest of a bundle: whatever came to a folder on its way is found before it is used."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from launch.bundles import manifests
from launch.bundles.manifests import NAME, SUMS, Manifest
from leapkit.core.errors import KitError
from tests.helpers.refusals import refused

FILES = {"code.tar": b"code", "wheels/a-1-py3-none-any.whl": b"wheel"}


def manifest_of(folder: Path, **changed: Any) -> Manifest:
    entries = {path: manifests.entry(folder / path) for path in FILES if (folder / path).exists()}
    values: Dict[str, Any] = {
        **dict(code="abc1234", made="2026-01-01", runtime="venv", stack="modern"),
        **dict(accelerator="cpu", experiments="", machine="x86_64", glibc="2.28"),
        **dict(pythons=["3.11"], locks=["blend"], files=entries),
    }
    return Manifest(**{**values, **changed})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a whole bundle of two small files."""
    root = tmp_path / "bundle"
    (root / "wheels").mkdir(parents=True)
    for path, content in FILES.items():
        (root / path).write_bytes(content)
    assert manifests.write(root, manifest_of(root))
    return root


def test_a_whole_bundle_is_what_was_written(folder: Path) -> None:
    assert manifests.verified(folder) == manifest_of(folder)
    assert manifests.verified(folder).total == 9


@pytest.mark.process
def test_sha256sum_reads_the_sums(folder: Path) -> None:
    check = ["sha256sum", "--check", "--strict", SUMS]
    done = subprocess.run(check, cwd=str(folder), capture_output=True, text=True)
    assert (done.returncode, done.stdout.count(": OK")) == (0, 3), done
    (folder / "code.tar").write_bytes(b"c0de")
    assert subprocess.run(check, cwd=str(folder), capture_output=True).returncode == 1


def test_an_equal_manifest_leaves_the_files_as_they_are(folder: Path) -> None:
    before = {name: (folder / name).stat().st_mtime_ns for name in (NAME, SUMS)}
    assert not manifests.write(folder, manifest_of(folder, made="2026-02-02"))
    assert before == {name: (folder / name).stat().st_mtime_ns for name in (NAME, SUMS)}
    assert manifests.read(folder).made == "2026-01-01"
    (folder / SUMS).unlink()  # a stop between the two
    manifests.write(folder, manifest_of(folder))
    manifests.verified(folder)


def _link(folder: Path) -> None:
    (folder / "code.tar").rename(folder.parent / "elsewhere")
    (folder / "code.tar").symlink_to(folder.parent / "elsewhere")


def _linked_folder(folder: Path) -> None:
    (folder / "wheels").rename(folder.parent / "elsewhere")
    (folder / "wheels").symlink_to(folder.parent / "elsewhere")


DAMAGES: Dict[str, Any] = {
    "a byte changed": (lambda f: (f / "code.tar").write_bytes(b"c0de"), "has changed since"),
    "a file cut off": (lambda f: (f / "code.tar").write_bytes(b"cod"), "has not its 4 bytes"),
    "a file more": (lambda f: (f / "wheels" / "b.whl").touch(), "b.whl: is not named in"),
    "a file of a stop": (lambda f: (f / ".partial-code.tar").touch(), "is not named in"),
    "a file missing": (lambda f: (f / "code.tar").unlink(), "code.tar: the file is missing"),
    "a link": (_link, "code.tar: is a link or no plain file"),
    "a linked folder": (_linked_folder, "wheels: is a link or no plain file"),
    "a pipe": (lambda f: os.mkfifo(f / "pipe"), "pipe: is a link or no plain file"),
    "sums of another": (lambda f: (f / SUMS).write_text("0" * 64), "does not agree with"),
    "no sums": (lambda f: (f / SUMS).unlink(), "does not agree with"),
    "no manifest": (lambda f: (f / NAME).unlink(), "holds no finished bundle"),
    "a manifest cut off": (
        lambda f: (f / NAME).write_bytes((f / NAME).read_bytes()[:-9]),
        "is not valid JSON",
    ),
    "a manifest that was edited": (
        lambda f: (f / NAME).write_text((f / NAME).read_text().replace("abc1234", "def5678")),
        "does not agree with",
    ),
}


@pytest.mark.parametrize("damage, complaint", DAMAGES.values(), ids=list(DAMAGES))
def test_what_is_not_as_it_was_made_is_named_in_one_sentence(
    folder: Path, damage: Callable[[Path], object], complaint: str
) -> None:
    damage(folder)
    with refused(folder, complaint):
        manifests.verified(folder)


def test_a_folder_that_does_not_exist_is_no_bundle(tmp_path: Path) -> None:
    with refused(tmp_path / "none", "holds no finished bundle", "make bundle"):
        manifests.verified(tmp_path / "none")


PATHS = [
    *("../code.tar", "/etc/passwd", "wheels/../../x", "a/b/c", ".hidden", "wheels/.partial-x"),
    *("-rf", "", "wheels/", "a b", "a\nb", "a\\b", "caf\u00e9", NAME, SUMS, "./code.tar"),
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leaves_the_folder_or_that_no_bundle_has_is_refused(
    folder: Path, path: str
) -> None:
    files = {path: {"bytes": 4, "sha256": "0" * 64}}
    manifests.write(folder, manifest_of(folder, files=files))
    with refused(NAME, "names a file that no bundle holds"):
        manifests.read(folder)


ENTRY = {"bytes": 4, "sha256": "0" * 64}
CRAFTED = {
    "a list": ("[]", "is no manifest of format 1"),
    "another format": ('{"format": 2}', "is no manifest of format 1"),
    "no entries": ('{"format": 1}', "has not the entries of a manifest"),
    "a key twice": ('{"format": 1, "code": "a", "code": "b"}', "holds the key code twice"),
    "numbers for text": ({"code": 7}, "code is of another kind"),
    "text for a list": ({"pythons": "3.11"}, "pythons is of another kind"),
    "numbers in a list": ({"locks": [7]}, "locks are not all text"),
    "a list of files": ({"files": []}, "files is of another kind"),
    "a file without sum": ({"files": {"a": {"bytes": 4}}}, "the bytes and the sha256 of a"),
    "bytes as text": ({"files": {"a": {**ENTRY, "bytes": "4"}}}, "no bytes or no sha256 of a"),
    "true bytes": ({"files": {"a": {**ENTRY, "bytes": True}}}, "no bytes or no sha256 of a"),
    "a short sum": ({"files": {"a": {**ENTRY, "sha256": "0"}}}, "no bytes or no sha256 of a"),
    "an entry more": ({"run": "rm"}, "has not the entries of a manifest: ['run']"),
}


@pytest.mark.parametrize("crafted, complaint", CRAFTED.values(), ids=list(CRAFTED))
def test_a_manifest_of_another_make_is_refused(folder: Path, crafted: Any, complaint: str) -> None:
    if not isinstance(crafted, str):
        crafted = json.dumps({**json.loads((folder / NAME).read_text()), **crafted})
    (folder / NAME).write_text(crafted)
    with refused(NAME, complaint):
        manifests.read(folder)
    assert manifests.read_if_whole(folder) is None


def test_a_change_is_found_in_a_file_of_equal_length_and_time(folder: Path) -> None:
    path = folder / "code.tar"
    status = path.stat()
    path.write_bytes(b"c0de")
    os.utime(str(path), ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(KitError, match="has changed since the bundle was made"):
        manifests.verified(folder)
