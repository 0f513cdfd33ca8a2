"""One list of arguments for both runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from launch import process, registry, run, settings, step_arguments
from launch.runtimes import containers, environments
from launch.runtimes.container_user import User
from leapkit.core import job_runner
from leapkit.core.training_options import parse


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> List[List[str]]:
    """Return the list that collects the commands of a run; none is executed."""
    started: List[List[str]] = []

    def run_one(command: Any, env: Any, quiet: bool = False) -> int:
        started.append(list(command))
        return 0

    def run_jobs(jobs: Any) -> int:
        started.extend(job.command for job in jobs)
        return 0

    monkeypatch.setattr(process, "run", run_one)
    monkeypatch.setattr(job_runner, "run", run_jobs)
    monkeypatch.setattr(environments, "member_python", lambda *key: Path("/venv/bin/python"))
    monkeypatch.setattr(environments, "blend_python", lambda: Path("/venv/bin/python"))
    return started


def run_settings(runtime: str, tmp_path: Path, **requested: str) -> settings.Settings:
    choice = settings.Choice(runtime, "in this test")
    chosen = settings.choose("reproduce", {"SUBMISSION": str(tmp_path), **requested})
    return settings.Settings(chosen.mode, {**chosen.choices, "RUNTIME": choice})


@pytest.mark.parametrize("names", ["195,200", "195,joseph/907"], ids=["one member", "two"])
def test_members_get_the_same_arguments_in_both_runtimes(tmp_path, commands, names):
    chosen = run_settings("venv", tmp_path, EXPERIMENTS=names, DEVICE="cpu")
    experiments = chosen.experiments()
    expected: Dict[str, List[str]] = {
        member: step_arguments.member_arguments(chosen, chosen_experiments)
        for member, chosen_experiments in experiments.items()
    }
    assert run.run_members(chosen, experiments) == 0
    for member, command in zip(experiments, commands):
        folders = [
            f"--raw-data={chosen.raw.root}",
            f"--submission={tmp_path}",
            f"--weights={chosen.weights(member)}",
        ]
        python = ["/venv/bin/python", "-m", f"members.{member}"]
        assert command == python + expected[member] + folders
    commands.clear()
    assert (
        run.run_members(
            run_settings("docker", tmp_path, EXPERIMENTS=names, DEVICE="cpu"), experiments
        )
        == 0
    )
    assert "build" in commands[0]
    for member, command in zip(experiments, commands[1:]):
        assert command[command.index(member) :] == [member, *expected[member]]


def test_the_arguments_of_a_member_are_those_that_its_command_line_takes(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from leapkit.run import member

    chosen = run_settings("venv", tmp_path, EXPERIMENTS="195,200", PROFILE="sample", DEVICE="cpu")
    arguments = step_arguments.member_arguments(chosen, chosen.experiments()["adam"])
    options = member.arguments("adam", arguments)
    assert (options.command, options.profile, options.device) == ("reproduce", "sample", "cpu")
    assert options.experiments == "195,200"


def test_step_files_in_float32_are_accepted_by_members_only_where_the_user_says_so(
    tmp_path: Path,
) -> None:
    pytest.importorskip("torch")
    from leapkit.run import member

    for given, expected in (({}, "float64"), ({"STEP_PRECISION": "float32"}, "float32")):
        chosen = run_settings("venv", tmp_path, EXPERIMENTS="195", **given)
        arguments = step_arguments.member_arguments(chosen, chosen.experiments()["adam"])
        assert member.arguments("adam", arguments).step_precision == expected


def test_a_member_gets_the_gpus_of_one_network_if_the_user_says_how_many(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from leapkit.run import member

    for given, expected in (({}, 1), ({"GPUS": "4"}, 4)):
        chosen = run_settings("venv", tmp_path, EXPERIMENTS="195", **given)
        arguments = step_arguments.member_arguments(chosen, chosen.experiments()["adam"])
        assert member.arguments("adam", arguments).gpus == expected


def test_a_member_trains_with_the_options_that_the_plan_was_made_with(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from leapkit.run import member

    for given in ({}, {"OPTIONS": "ema=0.9,positivity"}):
        chosen = run_settings("venv", tmp_path, EXPERIMENTS="195", **given)
        [experiment] = chosen.experiments()["adam"]
        arguments = step_arguments.member_arguments(chosen, [experiment])
        options = parse(member.arguments("adam", arguments).options)
        assert options == experiment.recipe["full"].options


def test_the_blend_gets_the_same_arguments_in_both_runtimes(tmp_path, commands):
    requested = {"TABLE": "v10,searched.ridge", "POSTPROCESS": "fluxes", "EXPERIMENTS": "195,197"}
    for runtime in ("venv", "docker"):
        chosen = run_settings(runtime, tmp_path, **requested)
        assert run.run_blend(chosen, chosen.experiments()) == 0
    in_environment, _, in_container = commands
    arguments = [
        *("run", "--table=v10,searched.ridge"),
        "--artifacts=searched=" + ",".join(registry.artifacts(chosen.experiments())),
        "--postprocess=fluxes",
    ]
    folders = [f"--raw-data={chosen.raw.root}", f"--submission={tmp_path}"]
    assert in_environment == ["/venv/bin/python", "-m", "blend", *arguments, *folders]
    assert in_container[in_container.index("blend") :] == ["blend", *arguments]


def test_a_step_inside_a_container_knows_the_users_table_by_its_mounted_name(tmp_path, commands):
    (tmp_path / "my.csv").write_text("artifact,weight\nadam_200_78362.oof,1.0\n")
    chosen = run_settings("docker", tmp_path, TABLE=str(tmp_path / "my.csv"))
    assert run.run_blend(chosen, chosen.experiments()) == 0
    assert "--table=/tables/my.csv" in commands[-1]
    assert containers.variables(chosen, "", User(12, 34))["LEAP_TABLES"] == str(tmp_path)
