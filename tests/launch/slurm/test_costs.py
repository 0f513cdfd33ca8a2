"""The hours of each job."""

from __future__ import annotations

from launch import planning
from launch.settings import Settings
from launch.slurm import job_graph
from launch.slurm.costs import Costs


def test_each_job_says_its_share_of_the_hours_of_its_network(settings: Settings) -> None:
    plan = planning.make(settings, settings.experiments(), with_blend=True)
    jobs = job_graph.graph(plan)
    costs = Costs(plan, jobs, settings)
    words = {job.name: costs.of(job) for job in jobs}
    assert words["joseph/912sep groups"].startswith("7 tasks of about ")
    assert words["joseph/907"].startswith("about ")
    assert words["blend"] == ""
    [total] = costs.lines(jobs)
    assert costs.estimator.hardware.name in total
