"""The launcher's choices and plans: what it takes, why, and what it would run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from launch import containers, machine, planning, registry, settings
from leapkit.core.errors import KitError
from leapkit.core.layout import RawData
from tests.conftest import REPOSITORY

VARIABLES = (
    "RUNTIME",
    "STACK",
    "PROFILE",
    "RAW_DATA",
    "SUBMISSION",
    "EXPERIMENTS",
    "TABLE",
    "POSTPROCESS",
    "DEVICE",
    "MODE",
)


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No user's choices, no engine, no GPU, every interpreter."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        machine, "engine_problem", lambda: "no container engine answers `docker info`"
    )
    monkeypatch.setattr(machine, "gpu_capability", lambda: None)
    monkeypatch.setattr(machine, "engine_has_gpu", lambda: False)
    monkeypatch.setattr(machine, "interpreter", lambda version: "/usr/bin/python" + version)
    monkeypatch.setattr(machine, "has_image", lambda name: False)
    monkeypatch.setattr(machine, "registry_answers", lambda name: False)


def test_without_an_engine_the_venv_runtime_is_taken_and_the_reason_said():
    chosen = settings.choose("reproduce").choices["RUNTIME"]
    assert chosen.value == "venv" and "docker info" in chosen.reason


def test_an_engine_without_bases_or_registry_is_no_runtime(monkeypatch):
    monkeypatch.setattr(machine, "engine_problem", lambda: "")
    chosen = settings.runtime()
    assert chosen.value == "venv" and "containers/make-bases" in chosen.reason
    monkeypatch.setenv("RUNTIME", "docker")
    with pytest.raises(KitError, match="containers/make-bases"):
        settings.runtime()


@pytest.mark.parametrize("has", ["has_image", "registry_answers"])
def test_an_engine_with_local_bases_or_a_registry_is_taken(monkeypatch, has):
    monkeypatch.setattr(machine, "engine_problem", lambda: "")
    monkeypatch.setattr(machine, has, lambda name: True)
    assert settings.runtime().value == "docker"


def test_the_published_stack_is_taken_where_its_interpreter_is_and_modern_else(monkeypatch):
    assert settings.stack(docker=False).value == "published"
    monkeypatch.setattr(
        machine, "interpreter", lambda version: None if version == "3.8" else "python"
    )
    chosen = settings.stack(docker=False)
    assert chosen.value == "modern" and "python3.8 is not installed" in chosen.reason
    assert settings.stack(docker=True).value == "published"  # its image brings the interpreter
    monkeypatch.setenv("STACK", "published")
    with pytest.raises(KitError, match="PYTHON_3_8"):
        settings.stack(docker=False)


@pytest.mark.parametrize(
    "capability, stack", [((8, 9), "published"), ((9, 0), "modern"), ((12, 0), "modern")]
)
def test_a_gpu_that_the_published_wheels_do_not_know_takes_the_modern_stack(
    monkeypatch, capability, stack
):
    monkeypatch.setattr(machine, "gpu_capability", lambda: capability)
    assert settings.stack(docker=True).value == stack


def test_a_gpu_that_the_engine_cannot_pass_on_is_not_reserved(monkeypatch):
    monkeypatch.setattr(machine, "gpu_capability", lambda: (8, 0))
    assert (
        settings.accelerator(docker=True).value == "cpu"
        and settings.accelerator(docker=False).value == "cuda"
    )
    monkeypatch.setattr(machine, "engine_has_gpu", lambda: True)
    assert settings.accelerator(docker=True).value == "cuda"


def test_profile_and_world_follow_from_what_lies_in_raw_data(monkeypatch, tmp_path):
    chosen = settings.choose("reproduce", needs_runtime=False)
    if not (REPOSITORY / "raw_data" / "kaggle-data" / "test.csv").exists():
        assert chosen["PROFILE"] == "sample" and chosen.is_sample_world
        assert chosen.tables == ["searched", "searched-zuiye"]
    (tmp_path / "kaggle-data").mkdir()
    (tmp_path / "kaggle-data" / "test.csv").touch()
    monkeypatch.setenv("RAW_DATA", str(tmp_path))
    chosen = settings.choose("reproduce", needs_runtime=False)
    assert (
        chosen["PROFILE"] == "full"
        and chosen["TABLE"] == "v10"
        and chosen.raw.root == tmp_path.resolve()
    )
    assert settings.choose("infer-only", needs_runtime=False)["PROFILE"] == "full"
    monkeypatch.setenv("PROFILE", "sample")
    chosen = settings.choose("reproduce", needs_runtime=False)
    assert chosen.tables == ["searched", "searched-zuiye"] and not chosen.is_sample_world


@pytest.mark.parametrize("name", ["RUNTIME", "STACK", "PROFILE", "DEVICE"])
def test_a_choice_that_does_not_exist_is_refused_with_those_that_do(monkeypatch, name):
    monkeypatch.setenv(name, "nonsense")
    with pytest.raises(KitError, match="choose "):
        settings.choose("reproduce")


def names(experiments, only="", mode="reproduce", everything=True):
    table = registry.chosen(experiments, only, mode, everything)
    return [row.name for rows in table.values() for row in rows]


def test_experiments_are_chosen_by_any_of_their_names_and_unknown_ones_refused():
    assert names("200, adam/195") == ["adam/195", "adam/200"]
    assert names("max_exp22", mode="infer-only") == ["max2020/022"]
    assert names("Jo_ex907_cv7855,014_group_finetune.npy") == [
        "joseph/907",
        "max2020/014-stage1",
        "max2020/014",
    ]
    with pytest.raises(KitError, match="choose from adam/195"):
        names("999")


def test_without_experiments_a_run_is_about_the_blend_or_everything():
    assert len(names("", mode="infer-only", everything=False)) == 16
    full, sample = names("", everything=False), names("")
    assert len(full) == 16 + 11 and not [
        name for name in full if name.startswith(("zuiye", "forcewithme/mixed"))
    ]
    assert set(sample) - set(full) == {
        "forcewithme/mixed-stage1",
        "forcewithme/mixed",
        "zuiye/A",
        "zuiye/B",
    }
    assert names("", only="zuiye") == ["zuiye/A", "zuiye/B"]
    with pytest.raises(KitError, match="no checkpoints were published"):
        names("", only="zuiye", mode="infer-only")


def test_every_search_chooses_among_its_own():
    searches = registry.searches(registry.chosen("", "", "reproduce", True))
    assert list(searches) == ["searched", "searched-zuiye"]
    assert len(searches["searched"]) == 16 and searches["searched-zuiye"] == ["zuiye_A", "zuiye_B"]


def test_a_plan_says_what_is_missing_and_never_starts_anything(monkeypatch, tmp_path):
    monkeypatch.setenv("RAW_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("SUBMISSION", str(tmp_path / "submission"))
    monkeypatch.setenv("WEIGHTS", str(tmp_path))
    chosen = settings.choose("infer-only", needs_runtime=False)
    decided = planning.make(chosen, registry.chosen("", "", "infer-only", False), with_blend=True)
    assert len(decided.blocked) == 16 and not decided.is_done
    assert all(
        "the checkpoint is missing" in experiment_plan.blocked and experiment_plan.remedy
        for experiment_plan in decided.blocked
    )
    assert "cannot run" in decided.lines()[-1]


def test_a_table_whose_parquets_are_not_all_made_names_the_missing(
    monkeypatch, tmp_path, tiny_world
):
    monkeypatch.setenv("RAW_DATA", str(tiny_world))
    monkeypatch.setenv("PROFILE", "sample")
    monkeypatch.setenv("TABLE", "v10")
    monkeypatch.setenv("SUBMISSION", str(tmp_path))
    decided = planning.make(
        settings.choose("reproduce", needs_runtime=False),
        registry.chosen("adam/195,197,200", "", "reproduce", True),
        with_blend=True,
    )
    assert not decided.blocked and decided.members_to_run == ["adam"]
    assert (
        "13 of 16 parquets are missing" in decided.blend_problem
        and "make verify" in decided.blend_problem
    )


@pytest.mark.parametrize("suffix", [".csv", ".pt"])
def test_tables_of_the_users_own_are_mounted_whatever_their_kind(monkeypatch, tmp_path, suffix):
    own = tmp_path / ("my.v2" + suffix)
    own.touch()
    monkeypatch.setenv("TABLE", f"v10, {own},searched.ridge.group")
    found = containers._table_variables(settings.choose("reproduce"))
    assert found == {
        "LEAP_TABLE": f"v10,/tables/my.v2{suffix},searched.ridge.group",
        "LEAP_TABLES": str(tmp_path),
    }
    monkeypatch.setenv("TABLE", "v10,searched")
    assert containers._table_variables(settings.choose("reproduce")) == {
        "LEAP_TABLE": "v10,searched"
    }
    (tmp_path / "sub").mkdir()
    monkeypatch.setenv("TABLE", "{},{}".format(own, tmp_path / "sub" / "b.csv"))
    with pytest.raises(KitError, match="lie in 2 folders"):
        containers._table_variables(settings.choose("reproduce"))


def test_post_processing_is_off_unless_asked_for_and_its_names_are_checked_at_once(monkeypatch):
    assert settings.choose("reproduce").options == ()
    monkeypatch.setenv("POSTPROCESS", "fluxes,positivity")
    assert settings.choose("reproduce").options == ("positivity", "fluxes")
    monkeypatch.setenv("POSTPROCESS", "clip")
    with pytest.raises(KitError, match="choose from positivity, fluxes"):
        settings.choose("reproduce")


def test_a_blend_without_its_report_or_scores_is_not_done(monkeypatch, tmp_path, maker, sixteen):
    pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
    from tests.helpers.small_blend import V10, blend

    monkeypatch.setenv("RAW_DATA", str(maker.raw.root))
    monkeypatch.setenv("SUBMISSION", str(sixteen.root))
    chosen = settings.choose("reproduce", needs_runtime=False)
    (tmp_path / "half.csv").write_text(f"artifact,weight\n{V10[7]},0.5\n{V10[8]},0.5\n")
    name = str(tmp_path / "half.csv")
    assert blend(maker, sixteen, "--table", name) == 0

    def verdict() -> str:
        found = planning._judge_blend(name, chosen, {}, {}, planning.HashIndex())
        return "done" if found.done else found.reason

    assert verdict() == "done"
    (sixteen.blend / "report_half.html").unlink()
    assert verdict() == "its report is missing"
    (sixteen.blend / "scores_half.json").unlink()
    assert verdict() == "its scores are missing"


def test_a_plan_names_the_months_that_train_and_what_of_them_is_not_whole(tmp_path):
    raw = RawData(tmp_path)
    for month, names in {
        "0008-05": [
            "E3SM-MMF.mli.0008-05-01-00000.nc",
            "E3SM-MMF.mlo.0008-05-01-00000.nc",
            "x.part",
        ],
        "0008-07": ["E3SM-MMF.mli.0008-07-02-01200.nc"],
    }.items():
        (raw.steps / month).mkdir(parents=True)
        for name in names:
            (raw.steps / month / name).touch()
    first, second, third = planning.months_taken(raw)
    assert first.endswith("1 months train, 1 validate (published: 89, 7)")
    assert second.split() == [
        "0008-05:",
        "1",
        "of",
        "2232",
        "steps;",
        "not",
        "step",
        "files:",
        "x.part",
    ]
    assert third.endswith(
        "0008-07: 0 of 2232 steps; without their counterpart: E3SM-MMF.mli.0008-07-02-01200.nc"
    )
    assert planning.months_taken(RawData(tmp_path / "nothing")) == []


def test_planning_needs_the_standard_library_only(tmp_path):
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": "shared:.",
        "RAW_DATA": str(tmp_path),
        "SUBMISSION": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-S", "-m", "launch", "plan"],
        cwd=str(REPOSITORY),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0 and b"adam/195" in done.stdout, done.stdout


def test_an_unknown_command_ends_in_one_sentence():
    env = dict(os.environ, PYTHONPATH="shared:.")
    done = subprocess.run(
        [sys.executable, "-m", "launch", "fly"],
        cwd=str(REPOSITORY),
        env=env,
        stderr=subprocess.PIPE,
    )
    assert (
        done.returncode == 2
        and done.stderr.decode().count("\n") == 1
        and b"choose from" in done.stderr
    )
