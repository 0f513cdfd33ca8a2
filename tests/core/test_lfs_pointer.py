"""What git-lfs leaves in place of a file is named as that, with the command that gets the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from leapkit.core.lfs_pointer import is_pointer, refuse_pointer
from tests.helpers.refusals import refused

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 12345\n"
)


def test_a_pointer_is_refused_and_the_remedy_is_git_lfs_pull(tmp_path: Path) -> None:
    path = tmp_path / "195.pt"
    path.write_bytes(POINTER)
    assert is_pointer(POINTER[:64])
    with refused(path, "`git lfs pull`"):
        refuse_pointer(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"CDF\x05", b"sample_id,state_t_0\n", POINTER + b"x" * 1024],
)
def test_any_other_file_is_left_to_its_reader(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    refuse_pointer(path)


def test_a_missing_file_and_a_folder_are_left_to_their_reader(tmp_path: Path) -> None:
    refuse_pointer(tmp_path / "none")
    refuse_pointer(tmp_path)
