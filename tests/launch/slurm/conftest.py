"""A plan of five networks, and its jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

import pytest

from launch import planning, registry
from launch.costs import row_counts
from launch.settings import Settings, choose_for_jobs
from launch.slurm import job_graph
from launch.slurm.job_graph import Job
from leapkit.core.plan import CheckpointPlan, ExperimentPlan

NAMES = "joseph/907,joseph/912sep,zuiye/A"
EXPERIMENTS = {one.name: one for one in registry.flat(registry.members())}


@pytest.fixture
def settings(tmp_path: Path, tiny_world: Path) -> Settings:
    values = {"RAW_DATA": str(tiny_world), "PROFILE": "sample", "SUBMISSION": str(tmp_path)}
    return choose_for_jobs("reproduce", {**values, "EXPERIMENTS": NAMES})


def jobs_of(settings: Settings, pack: int = 1) -> Dict[str, Job]:
    plan = planning.make(settings, settings.experiments(), with_blend=True)
    return {job.name: job for job in job_graph.graph(plan, pack)}


def planned(name: str, trains: List[int], infers: bool = True) -> ExperimentPlan:
    """Return the plan of a network, of whose groups some are to be trained."""
    experiment = EXPERIMENTS[name]
    checkpoints = [
        CheckpointPlan(group, Path(), group in trains) for group in experiment.checkpoint_groups
    ]
    return ExperimentPlan(experiment, checkpoints, infers, {"infer": "because"})


def plan_of(*plans: ExperimentPlan) -> planning.Plan:
    members: Dict[str, List[ExperimentPlan]] = {}
    for plan in plans:
        members.setdefault(plan.experiment.member, []).append(plan)
    return planning.Plan(None, [], row_counts.of_sample_world(), members, {}, "")
