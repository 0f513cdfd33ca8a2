"""make evaluate: the same choices in every runtime, and files by the names that a process knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest

from launch import evaluating, settings
from launch.choices import Choice
from launch.runtimes import image_runtimes
from tests.helpers.refusals import refused


def chosen(tmp_path: Path, runtime: str) -> settings.Settings:
    folders = {"SUBMISSION": str(tmp_path / "out"), "RAW_DATA": str(tmp_path), "PROFILE": "sample"}
    run = settings.choose("reproduce", folders, needs_runtime=False)
    return replace(run, choices={**run.choices, "RUNTIME": Choice(runtime, "")})


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """Return what is started instead of a process or a container."""
    calls: List[Any] = []

    def in_environment(arguments: List[str]) -> int:
        calls.append(arguments)
        return 0

    def on_folder(
        settings: Any, service: str, arguments: List[str], mounts: Dict[str, Path], made: Path
    ) -> int:
        calls.append((service, arguments, mounts, made))
        return 0

    monkeypatch.setattr(evaluating, "in_environment", in_environment)
    monkeypatch.setattr(image_runtimes, "on_folder", on_folder)
    return calls


@pytest.fixture
def files(tmp_path: Path) -> Dict[str, str]:
    """Return the variables of an evaluation of two files and their truth, which exist."""
    for name in ("a.nc", "b.parquet", "elsewhere/truth.nc"):
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    folder = tmp_path / "mine"
    return {
        "PREDICTIONS": f"{folder}/a.nc,{folder}/b.parquet",
        "TRUTH": f"{folder}/elsewhere/truth.nc",
    }


def test_an_environment_gets_the_files_by_their_own_paths(
    tmp_path: Path, started: List[Any], files: Dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluating.run(chosen(tmp_path, "venv"), {"ROWS": "validation", **files}) == 0
    folder = tmp_path / "mine"
    assert started == [
        [
            *("-m", "evaluation", "--rows=validation", "--artifacts="),
            f"--prediction={folder}/a.nc",
            f"--prediction={folder}/b.parquet",
            f"--truth={folder}/elsewhere/truth.nc",
            f"--raw-data={tmp_path}",
            f"--submission={tmp_path}/out",
        ]
    ]
    assert capsys.readouterr().out == f"pages: {tmp_path}/out/evaluation/index.html\n"


@pytest.mark.parametrize("runtime", ["docker", "apptainer"])
def test_a_container_sees_the_folders_of_the_files_and_their_names(
    tmp_path: Path, started: List[Any], files: Dict[str, str], runtime: str
) -> None:
    assert evaluating.run(chosen(tmp_path, runtime), {"ARTIFACTS": "x", **files}) == 0
    [(service, arguments, mounts, made)] = started
    assert service == "evaluate" and made == tmp_path / "out" / "evaluation"
    assert arguments == [
        *("--rows=", "--artifacts=x", "--prediction=/predictions/a.nc"),
        *("--prediction=/predictions/b.parquet", "--truth=/truth/truth.nc"),
    ]
    folder = tmp_path / "mine"
    assert mounts == {"LEAP_PREDICTIONS": folder, "LEAP_TRUTH": folder / "elsewhere"}


def test_without_files_nothing_more_is_mounted(tmp_path: Path, started: List[Any]) -> None:
    assert evaluating.run(chosen(tmp_path, "docker"), {}) == 0
    assert started[0][1:3] == (["--rows=", "--artifacts="], {})


def test_files_that_do_not_exist_or_that_a_container_cannot_see_together_are_refused(
    tmp_path: Path, started: List[Any], files: Dict[str, str]
) -> None:
    with refused("PREDICTIONS=" + str(tmp_path / "none.nc"), "does not exist"):
        evaluating.run(chosen(tmp_path, "venv"), {"PREDICTIONS": str(tmp_path / "none.nc")})
    several = f"{files['PREDICTIONS']},{files['TRUTH']}"
    with refused("PREDICTIONS", "its files lie in 2 folders", "RUNTIME=venv"):
        evaluating.run(chosen(tmp_path, "docker"), {"PREDICTIONS": several})
    assert not started
