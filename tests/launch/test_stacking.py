"""make stack: the same choices in every runtime, on the modern stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest

from launch import process, settings, stacking
from launch.choices import Choice
from launch.runtimes import environments, image_runtimes
from tests.helpers.refusals import refused


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """Return what is started instead of a process or a container."""
    calls: List[Any] = []

    def on_results(settings: Any, steps: Dict[str, List[str]]) -> int:
        calls.append((steps, settings["STACK"]))
        return 0

    def run(command: List[str], env: Dict[str, str]) -> int:
        calls.append((command, env["LEAP_STACK"]))
        return 0

    monkeypatch.setattr(image_runtimes, "on_results", on_results)
    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(environments, "member_python", lambda *names: Path("/".join(names[1:])))
    return calls


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dict[str, str]:
    """Return the folders of a run, and let every runtime be there."""
    folders = {"RAW_DATA": str(tmp_path), "SUBMISSION": str(tmp_path / "out"), "PROFILE": "sample"}
    choose = settings.choose

    def chosen(mode: str, values: Dict[str, str], **more: Any) -> settings.Settings:
        run = choose(mode, {**values, "RUNTIME": "venv"}, needs_runtime=False)
        runtime = Choice(values.get("RUNTIME", "venv"), "")
        return replace(
            run,
            choices={
                **run.choices,
                "RUNTIME": runtime,
                "ACCELERATOR": Choice("cpu", ""),
                "STACK": Choice("modern", ""),
            },
        )

    monkeypatch.setattr(settings, "choose", chosen)
    return folders


def test_an_environment_of_the_modern_stack_gets_this_machines_folders(
    world: Dict[str, str], started: List[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert stacking.stack({**world, "RUNTIME": "venv"}) == 0
    given = ["--table=searched", "--artifacts=", "--device=auto", "--threads=1"]
    folders = [f"--raw-data={world['RAW_DATA']}", f"--submission={world['SUBMISSION']}"]
    assert started == [(["modern/cpu", "-m", "stacking", *given, *folders], "modern")]
    result = f"result: {world['SUBMISSION']}/subs/stack_searched.parquet\n"
    assert capsys.readouterr().out.endswith(result)


@pytest.mark.parametrize("runtime", ["docker", "apptainer"])
def test_a_container_knows_a_table_of_the_users_own_where_it_is_mounted(
    world: Dict[str, str], started: List[Any], runtime: str
) -> None:
    table = Path(world["RAW_DATA"], "mine.csv")
    table.write_text("artifact,weight\na,1\n")
    assert stacking.stack({**world, "RUNTIME": runtime, "TABLE": str(table)}) == 0
    given = ["--table=/tables/mine.csv", "--artifacts=", "--device=auto", "--threads=1"]
    assert started == [({"stacking": given}, "modern")]


def test_several_tables_and_missing_parquets_are_refused_before_anything_starts(
    world: Dict[str, str], started: List[Any]
) -> None:
    with refused("TABLE=v10,searched", "a stack is of one blend"):
        stacking.stack({**world, "TABLE": "v10,searched"})
    with refused("nothing.parquet", "does not exist"):
        stacking.stack({**world, "ARTIFACTS": "nothing"})
    assert not started
