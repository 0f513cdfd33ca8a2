"""What waits for what."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

from launch import planning
from launch.costs import row_counts
from launch.settings import Settings
from launch.slurm import job_graph, sbatch_arguments
from launch.slurm.job_graph import Job
from leapkit.core.receipts import Verdict
from tests.launch.slurm.conftest import EXPERIMENTS, jobs_of, plan_of, planned


def after(jobs: Dict[str, Job]) -> Dict[str, List[str]]:
    return {name: list(job.after) for name, job in jobs.items()}


def test_parts_wait_for_the_parent_the_prediction_for_the_parts_and_the_blend_for_all(
    settings: Settings,
) -> None:
    jobs = jobs_of(settings)
    assert after(jobs) == {
        "joseph/907": [],
        "joseph/912": [],
        "joseph/912sep groups": ["joseph/912"],
        "joseph/912sep": ["joseph/912sep groups"],
        "zuiye/A": [],
        "blend": ["joseph/907", "joseph/912sep", "zuiye/A"],
    }
    assert [task.group for task in jobs["joseph/912sep groups"].tasks] == [0, 1, 2, 3, 4, 5, 6]
    assert "not made yet" in jobs["joseph/907"].why


def test_a_world_that_must_be_made_is_made_first(settings: Settings) -> None:
    plan = planning.Plan(
        Verdict(False, "not made yet"),
        [],
        row_counts.of_sample_world(),
        {
            "joseph": [
                planning._before_the_world(EXPERIMENTS["joseph/" + n]) for n in ("912", "912sep")
            ]
        },
        {"searched": Verdict(False, "later")},
        "",
    )
    jobs = {job.name: job for job in job_graph.graph(plan)}
    assert after(jobs) == {
        "sample world": [],
        "joseph/912": ["sample world"],
        "joseph/912sep groups": ["joseph/912"],
        "joseph/912sep": ["joseph/912sep groups"],
        "blend": ["joseph/912sep"],
    }
    assert len(jobs["joseph/912sep groups"].tasks) == 7


def test_only_groups_that_have_to_be_trained_are_in_the_array() -> None:
    parent = planned("joseph/912", [], infers=False)
    [parts, infers] = job_graph.graph(plan_of(parent, planned("joseph/912sep", [2, 5])))
    assert [task.group for task in parts.tasks] == [2, 5] and parts.after == ()
    given = sbatch_arguments.arguments(parts, sbatch_arguments.Allocation(), Path("/s"), Path("/w"))
    assert "--array=2,5" in given
    assert infers.after == (parts.name,)
    # Where all are trained, and where nothing is trained by design, one job predicts.
    [infers] = job_graph.graph(plan_of(parent, planned("joseph/912sep", [])))
    assert infers.name == "joseph/912sep" and not infers.is_array and not infers.after


def test_what_is_proven_by_receipts_is_no_job() -> None:
    assert job_graph.graph(plan_of(planned("joseph/912", [], infers=False))) == []


def test_packs_hold_what_waits_for_the_same_and_their_followers_wait_for_whole_packs(
    settings: Settings,
) -> None:
    jobs = jobs_of(settings, pack=4)
    names = {name: [task.name for task in job.tasks] for name, job in jobs.items()}
    assert names == {
        "pack 1": ["joseph/907", "joseph/912", "zuiye/A"],
        "pack 2": [f"joseph/912sep group {k}" for k in range(4)],
        "pack 3": [f"joseph/912sep group {k}" for k in range(4, 7)],
        "pack 4": ["joseph/912sep"],
        "blend": [],
    }
    assert after(jobs) == {
        "pack 1": [],
        "pack 2": ["pack 1"],
        "pack 3": ["pack 1"],
        "pack 4": ["pack 2", "pack 3"],
        "blend": ["pack 4"],
    }
    asked = sbatch_arguments.allocation({"PACK": "4"}, "auto")
    assert {"--exclusive", "--ntasks=3", "--gres=gpu:3"} <= set(asked.of(jobs["pack 1"]))
    assert "--exclusive" not in asked.of(jobs["pack 4"])
