"""make bundle: what goes into a folder, and that nothing of the user's is touched in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from launch.__main__ import main
from launch.bundles import bundle, code_archive, readme_text, scope, wheelhouse
from launch.bundles.bundle import Contents
from leapkit.core.errors import KitError
from tests.conftest import REPOSITORY
from tests.helpers.refusals import refused
from tests.launch.bundles.test_manifests import manifest_of


@pytest.fixture
def two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a bundle hold one small wheel and one small archive."""

    def make(folder: Path, *_: Any) -> Contents:
        wheel = folder / wheelhouse.FOLDER / "a-1-py3-none-any.whl"
        wheel.parent.mkdir(exist_ok=True)
        if not wheel.exists():
            wheel.write_text("wheel")
        return Contents([wheel], ["3.11"], ["blend"], "2.28")

    monkeypatch.setitem(bundle._MAKERS, "venv", make)
    monkeypatch.setattr(code_archive, "content", lambda: b"code")
    monkeypatch.setattr(code_archive, "untracked", lambda: ["note.txt"])
    monkeypatch.setattr(bundle, "code_version", lambda: "abc1234")


def make(folder: Path, *more: str) -> int:
    return main(["bundle", f"--bundle={folder}", "--runtime=venv", "--device=cpu", *more])


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


WHOLE = {
    *("README.txt", "SHA256SUMS", "code.tar", "manifest.json"),
    "wheels/a-1-py3-none-any.whl",
}


@pytest.mark.usefixtures("two_files")
def test_a_second_call_repairs_what_is_wrong_and_leaves_what_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "bundle"
    assert make(folder) == 0 and files_of(folder) == WHOLE
    assert "not in it, as git does not track them: note.txt" in capsys.readouterr().out
    times = {path: (folder / path).stat().st_mtime_ns for path in WHOLE}
    assert make(folder) == 0
    assert "nothing to do: the bundle is whole" in capsys.readouterr().out
    assert times == {path: (folder / path).stat().st_mtime_ns for path in WHOLE}
    # what a killed call, a bad disk and another choice leave
    (folder / ".partial-images.tar").write_text("half")
    (folder / "images.tar").write_text("of a bundle with RUNTIME=docker")
    (folder / "code.tar").write_text("c0de")
    (folder / "SHA256SUMS").unlink()
    assert make(folder) == 0 and files_of(folder) == WHOLE
    assert (folder / "code.tar").read_text() == "code"
    kept = "wheels/a-1-py3-none-any.whl"
    assert (folder / kept).stat().st_mtime_ns == times[kept]


@pytest.mark.usefixtures("two_files")
def test_a_killed_first_call_is_continued(tmp_path: Path) -> None:
    (tmp_path / bundle.UNFINISHED).touch()
    (tmp_path / "code.tar").write_text("code")
    before = (tmp_path / "code.tar").stat().st_mtime_ns
    assert make(tmp_path) == 0 and files_of(tmp_path) == WHOLE
    assert (tmp_path / "code.tar").stat().st_mtime_ns == before


@pytest.mark.usefixtures("two_files")
@pytest.mark.parametrize("name", ["thesis.tex", "code.tar", "manifest.json"])
def test_a_folder_of_the_users_own_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with refused(tmp_path, f"holds {name}, and is no bundle", "name an empty folder"):
        make(tmp_path)
    assert files_of(tmp_path) == {name} and (tmp_path / name).read_text() == "mine"


@pytest.mark.usefixtures("two_files")
@pytest.mark.parametrize("name", ["thesis.tex", "data/train.csv", "wheels/deep/a.whl"])
def test_a_file_that_came_into_a_bundle_is_named_and_left(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with refused(tmp_path / name, "is no file of a bundle"):
        make(tmp_path)
    assert files_of(tmp_path) == {*WHOLE, name}


@pytest.mark.usefixtures("two_files")
@pytest.mark.process
def test_a_full_disk_is_one_sentence_and_the_same_command_continues(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_archive, "content", lambda: b"c" * 200_000)
    with refused(small_disk, "the disk is full", "free some space and run the same command again"):
        make(small_disk)
    monkeypatch.setattr(code_archive, "content", lambda: b"code")
    assert make(small_disk) == 0 and files_of(small_disk) == WHOLE


def test_a_folder_must_be_named_and_lie_outside_of_the_kit() -> None:
    with refused("make bundle", "lacks BUNDLE", "make bundle BUNDLE=folder"):
        main(["bundle"])
    with refused("make unbundle", "lacks BUNDLE"):
        main(["unbundle"])
    for folder in (REPOSITORY, REPOSITORY / "docs" / "bundle"):
        with refused(folder, "lies in the kit itself"):
            make(folder)


def test_a_bundle_for_a_gpu_needs_none_here_and_a_wrong_network_is_named_at_once() -> None:
    asked = {"RUNTIME": "venv", "STACK": "modern", "DEVICE": "cuda", "EXPERIMENTS": "joseph/907"}
    settings = scope.of_this_machine(asked)
    assert settings["ACCELERATOR"] == "cuda" and scope.members(settings) == ["joseph"]
    assert scope.of_this_machine({**asked, "DEVICE": "auto"})["ACCELERATOR"] == "cpu"
    with pytest.raises(KitError, match="joseph/9999"):
        scope.of_this_machine({**asked, "EXPERIMENTS": "joseph/9999"})


def test_the_readme_names_the_needs_and_the_commands_in_their_order(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, files={}, experiments="joseph/907")
    text = readme_text.text(manifest)
    commands = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    assert [command.split()[0] for command in commands] == [
        "sha256sum",
        "tar",
        "cd",
        "make",
        "make",
    ]
    assert commands[-1] == (
        "make reproduce RUNTIME=venv STACK=modern DEVICE=cpu EXPERIMENTS=joseph/907"
    )
    assert "python3.11, glibc 2.28 or newer" in text and "Docker" not in text
    of_cuda = manifest_of(tmp_path, files={}, runtime="docker", accelerator="cuda", glibc="")
    assert "Docker Engine" in readme_text.text(of_cuda)
    assert "DEVICE=" not in scope.command(of_cuda)
