"""A checkout on any machine: line ends as they are committed, whatever git is told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from launch.runtimes import pip, stacks
from tests.conftest import REPOSITORY


@pytest.mark.process
def test_a_clone_has_no_carriage_returns_whatever_git_is_told(tmp_path: Path) -> None:
    settings = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"]
    clone = ["git", *settings, "clone", "--quiet", "--depth=1", f"file://{REPOSITORY}", "clone"]
    done = subprocess.run(clone, cwd=str(tmp_path), capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this checkout cannot be cloned: {done.stderr.strip()[:200]}")
    paths = [Path(root) / name for root, _, names in os.walk(tmp_path / "clone") for name in names]
    checked = [path for path in paths if ".git" not in path.parts and path.suffix != ".bin"]
    assert len(checked) > 300
    assert [str(path) for path in checked if b"\r\n" in path.read_bytes()] == []


def test_a_lock_that_an_editor_gave_other_line_ends_names_the_same_packages(tmp_path: Path) -> None:
    lock = stacks.lock("blend")
    other = tmp_path / "blend.txt"
    other.write_bytes(lock.read_bytes().replace(b"\n", b"\r\n"))
    assert pip.locked(other) == pip.locked(lock) and len(pip.locked(lock)) > 5
