"""The whole run, decided before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Dict

import pytest

from launch import plan_lines, planning, registry, settings
from launch.costs import estimate_lines, row_counts
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData
from tests.conftest import REPOSITORY
from tests.helpers.kit_members import KIT


def test_a_plan_says_what_is_missing_and_never_starts_anything(tmp_path):
    requested = {
        "RAW_DATA": str(tmp_path / "nothing"),
        "SUBMISSION": str(tmp_path / "submission"),
        "WEIGHTS": str(tmp_path),
    }
    chosen = settings.choose("infer-only", requested, needs_runtime=False)
    plan = planning.make(chosen, registry.chosen("", "", "infer-only", False), with_blend=True)
    assert len(plan.blocked) == 16 and not plan.is_done
    assert all(
        "the checkpoint is missing" in experiment_plan.blocked and experiment_plan.remedy
        for experiment_plan in plan.blocked
    )
    assert "cannot run" in plan.lines()[-1]


def test_a_table_whose_parquets_are_not_all_made_names_the_missing(tmp_path, tiny_world):
    requested = {
        "RAW_DATA": str(tiny_world),
        "PROFILE": "sample",
        "TABLE": "v10",
        "SUBMISSION": str(tmp_path),
    }
    plan = planning.make(
        settings.choose("reproduce", requested, needs_runtime=False),
        registry.chosen("adam/195,197,200", "", "reproduce", True),
        with_blend=True,
    )
    assert not plan.blocked and plan.members_to_run == ["adam"]
    assert "13 of 16 parquets are missing" in plan.blend_problem
    assert "make verify" in plan.blend_problem


def test_a_plan_says_how_long_what_has_to_run_takes(tmp_path, tiny_world):
    requested = {"RAW_DATA": str(tiny_world), "PROFILE": "sample", "SUBMISSION": str(tmp_path)}
    chosen = settings.choose("reproduce", requested, needs_runtime=False)
    run = registry.chosen("adam/195,adam/197,adam/200", "", "reproduce", True)
    plan = planning.make(chosen, run, with_blend=False)
    first, *others = estimate_lines.lines(plan, chosen)
    assert first.startswith("time and cost") and "networks at a time" in first
    assert others[0].split()[0::3] == ["adam/195", "adam/197", "adam/200"]
    plan.members["adam"][0].checkpoints[0].train = False
    plan.members["adam"][0].infer = False
    assert "adam/195" not in " ".join(estimate_lines.lines(plan, chosen))
    blocked = {"RAW_DATA": str(tmp_path), "PROFILE": "sample", "SUBMISSION": str(tmp_path)}
    chosen = settings.choose("reproduce", blocked, needs_runtime=False)
    assert estimate_lines.lines(planning.make(chosen, run, with_blend=False), chosen) == []


def test_a_blend_without_its_report_or_scores_is_not_done(tmp_path, maker, sixteen):
    pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
    from blend.naming import BlendName
    from tests.helpers.small_blend import V10, blend

    requested = {"RAW_DATA": str(maker.raw.root), "SUBMISSION": str(sixteen.root)}
    chosen = settings.choose("reproduce", requested, needs_runtime=False)
    (tmp_path / "half.csv").write_text(f"artifact,weight\n{V10[7]},0.5\n{V10[8]},0.5\n")
    name = str(tmp_path / "half.csv")
    assert blend(maker, sixteen, "--table", name) == 0

    def verdict() -> str:
        blend_verdict = planning._judge_blend(BlendName.parse(name), chosen, {}, {}, HashIndex())
        return "done" if blend_verdict.done else blend_verdict.reason

    assert verdict() == "done"
    (sixteen.blend / "report_half.html").unlink()
    assert verdict() == "its report is missing"
    (sixteen.blend / "scores_half.json").unlink()
    assert verdict() == "its scores are missing"


def test_a_plan_names_the_months_that_train_and_what_of_them_is_not_whole(tmp_path):
    raw = RawData(tmp_path)
    for month, files in {
        "0008-05": [
            "E3SM-MMF.mli.0008-05-01-00000.nc",
            "E3SM-MMF.mlo.0008-05-01-00000.nc",
            "x.part",
        ],
        "0008-07": ["E3SM-MMF.mli.0008-07-02-01200.nc"],
    }.items():
        (raw.steps / month).mkdir(parents=True)
        for name in files:
            (raw.steps / month / name).touch()
    first, second, third = plan_lines.month_lines(raw, row_counts.read_months(raw))
    assert first.endswith("1 months train, 1 validate (published: 89, 7)")
    assert second.strip() == "0008-05: 1 of 2232 steps; not step files: x.part"
    assert third.endswith(
        "0008-07: 0 of 2232 steps; without their counterpart: E3SM-MMF.mli.0008-07-02-01200.nc"
    )
    nothing = RawData(tmp_path / "nothing")
    assert plan_lines.month_lines(nothing, row_counts.read_months(nothing)) == []


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


def experiment_plan(
    name: str, reasons: Dict[str, str], runs: bool = True, blocked: str = ""
) -> SimpleNamespace:
    return SimpleNamespace(
        experiment=SimpleNamespace(name=name),
        reasons=reasons,
        train=runs,
        infer=runs,
        blocked=blocked,
        remedy="make it",
    )


def test_a_plan_says_in_one_line_what_is_the_same_for_sixty_experiments() -> None:
    reasons = {"train": "not made yet", "infer": "not made yet"}
    plans = [experiment_plan(f"adam/{number}", reasons) for number in range(58)]
    plans.insert(7, experiment_plan("zuiye/A", {"infer": "test.csv has changed"}))
    plans.append(experiment_plan("zuiye/B", reasons, runs=False))
    lines = plan_lines.experiment_lines(plans)
    assert lines[0].split(maxsplit=2)[:2] == ["58", "experiments"]
    assert lines[0].endswith("train and infer run: not made yet")
    names = " ".join(line.strip() for line in lines[1:-2]).split(", ")
    assert names == [f"adam/{number}" for number in range(58)]
    assert lines[-2].split(maxsplit=1) == ["zuiye/A", "infer runs: test.csv has changed"]
    assert lines[-1].split(maxsplit=1) == ["zuiye/B", "train and infer are skipped: not made yet"]
    assert all(len(line) <= 100 for line in lines)


def test_steps_with_reasons_of_their_own_are_told_apart_and_so_is_what_cannot_run() -> None:
    plans = [
        experiment_plan(f"adam/{number}", {"train": "not made yet", "infer": "later"})
        for number in range(3)
    ]
    plans += [experiment_plan("joseph/907", {}, blocked="test.csv: the file is missing")]
    lines = plan_lines.experiment_lines(plans)
    assert lines[0].endswith("train runs: not made yet; infer runs: later")
    assert lines[2].endswith("cannot run: test.csv: the file is missing; make it")


def test_the_plan_of_a_fresh_clone_needs_no_line_for_each_experiment(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "sample_world", lambda: tmp_path / "sample")
    monkeypatch.setattr(settings, "sample_world", lambda: tmp_path / "sample")
    requested = {"SUBMISSION": str(tmp_path), "RAW_DATA": str(tmp_path / "sample")}
    chosen = settings.choose("reproduce", {**requested, "PROFILE": "sample"}, needs_runtime=False)
    plan = planning.make(chosen, chosen.experiments(), with_blend=True)
    summaries = [line for line in plan.lines() if " experiments " in line]
    shipped = [one for one in plan.experiments if one.experiment.member in KIT]
    assert len(shipped) == 31 and len(summaries) == 2
    assert all("the sample world is about to be made" in line for line in summaries)
