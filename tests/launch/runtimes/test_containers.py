"""The docker runtime: what Compose is given."""

from __future__ import annotations

import sys

import pytest

from launch import settings
from launch.runtimes import containers
from launch.runtimes.container_user import User
from leapkit.core.errors import KitError
from tests.helpers.refusals import refused


def chosen(**requested: str) -> settings.Settings:
    return settings.choose("reproduce", requested)


@pytest.mark.parametrize("suffix", [".csv", ".pt"])
def test_tables_of_the_users_own_are_mounted_whatever_their_kind(tmp_path, suffix):
    user_table = tmp_path / ("my.v2" + suffix)
    user_table.touch()
    tables, folder = containers.tables_inside(
        chosen(TABLE=f"v10, {user_table},searched.ridge.group")
    )
    assert tables == ["v10", f"/tables/my.v2{suffix}", "searched.ridge.group"]
    assert folder == str(tmp_path)
    assert containers.tables_inside(chosen(TABLE="v10,searched")) == (["v10", "searched"], "")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.csv").touch()
    with pytest.raises(KitError, match="lie in 2 folders"):
        containers.tables_inside(chosen(TABLE=f"{user_table},{tmp_path / 'sub' / 'b.csv'}"))


def test_compose_is_given_folders_and_images_and_no_arguments_of_a_step(monkeypatch, tmp_path):
    monkeypatch.setattr(containers.os, "environ", {"HOME": "/home/me"})
    monkeypatch.setattr(containers.engine, "memory", lambda: 10_000_000)
    run = chosen(RAW_DATA=str(tmp_path), PROFILE="sample")
    variables = containers.variables(run, "abc1234", User(12, 34))
    assert (variables["LEAP_UID"], variables["LEAP_GID"]) == ("12", "34")
    assert variables["LEAP_MEMORY"] == "9000000"
    assert variables["HOME"] == "/home/me" and variables["LEAP_CODE"] == "abc1234"
    assert variables["LEAP_RAW_DATA"] == str(tmp_path)
    assert not {name for name in variables if name.startswith("LEAP_EXPERIMENTS")}
    carried = ("MODE", "PROFILE", "DEVICE", "TABLE", "ARTIFACTS", "POSTPROCESS")
    assert not {f"LEAP_{name}" for name in carried} & set(variables)


def test_the_callers_own_limit_of_memory_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("LEAP_MEMORY", "12g")
    monkeypatch.setattr(containers.engine, "memory", lambda: 10_000_000)
    variables = containers.variables(chosen(PROFILE="sample"), "abc1234", User(12, 34))
    assert variables["LEAP_MEMORY"] == "12g"


@pytest.mark.parametrize("cores, given", [(1, "1"), (10_000, None)])
def test_containers_get_the_cores_that_the_launcher_may_use(monkeypatch, cores, given):
    monkeypatch.delenv("LEAP_CORES", raising=False)
    monkeypatch.setattr(containers.allotment.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(containers.allotment, "cores", lambda: cores)
    variables = containers.variables(chosen(PROFILE="sample"), "abc1234", User(12, 34))
    assert variables.get("LEAP_CORES") == given


def test_a_step_runs_in_one_container_that_is_removed_afterwards(tmp_path):
    run = chosen(SUBMISSION=str(tmp_path))
    python, wrapper, name, *command = containers.step(run, "adam", ["reproduce", "--device=cpu"])
    assert python == sys.executable and wrapper.endswith("launch/runtimes/container_run.py")
    assert command[:2] == ["docker", "compose"]
    assert command[command.index("run") :] == [
        *("run", "--rm", "--no-deps", "-T", "--name", name, "adam"),
        *("reproduce", "--device=cpu"),
    ]
    other = chosen(SUBMISSION=str(tmp_path / "other"))
    assert containers.project(other) != containers.project(run)
    assert containers.project(run) in command and name.startswith(containers.project(run))


def test_an_image_is_built_the_same_whatever_folder_its_run_writes_to(monkeypatch, tmp_path):
    builds = []
    monkeypatch.setattr(containers.process, "run", lambda command, env: builds.append(command))
    for name in ("one", "other"):
        run = chosen(SUBMISSION=str(tmp_path / name), PROFILE="sample")
        containers.build(run, ["blend"], {})
    assert builds[0] == builds[1]


def test_an_image_that_a_bundle_lacks_and_that_cannot_be_built_is_named(monkeypatch):
    student, blend = "leap-student:modern-cpu", "leap-blend:cpu"
    monkeypatch.setattr(containers.bundled, "images", lambda: {blend: "sha256:1"})
    monkeypatch.setattr(containers.bundled, "has_images", lambda names: names == [blend])
    monkeypatch.setattr(containers, "names_of", lambda *_: {"student": student, "blend": blend})
    monkeypatch.setattr(containers, "compose", lambda *_: ["docker", "compose"])
    monkeypatch.setattr(containers.process, "run", lambda *_: 1)
    with refused("student, blend", "could not be built", f"a bundle that holds {student} (STACK"):
        containers.build(chosen(PROFILE="sample"), ["student", "blend"], {})
