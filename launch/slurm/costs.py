"""What the jobs of a plan take: hours of each task, GPU hours of each job and of all."""

from __future__ import annotations

from typing import Dict, List, Sequence

from launch.costs import estimates
from launch.costs.estimates import Estimate, Estimator
from launch.planning import Plan
from launch.settings import Settings
from launch.slurm.job_graph import Job, Task
from leapkit.core.amounts import rough_hours, rounded

LEAST = 0.05  # GPU hours that are worth a word


class Costs:
    """Estimates of the networks that a plan runs, as its jobs divide them.

    jobs  in which groups may be tasks of their own, whose network then only predicts
    """

    def __init__(self, plan: Plan, jobs: Sequence[Job], settings: Settings) -> None:
        self.estimator: Estimator = estimates.estimator_of_cluster(settings, plan.rows)
        self._estimates: Dict[str, Estimate] = {
            one.experiment.name: self.estimator.of(one) for one in plan.experiments if one.runs
        }
        tasks = [task for job in jobs for task in job.tasks]
        self._in_parts = {task.experiment.name for task in tasks if task.group >= 0}

    def of(self, job: Job) -> str:
        """Return a job's hours and GPU hours in words, "" if nothing tells them."""
        costs = [self._estimates[task.experiment.name] for task in job.tasks]
        if not costs or not all(cost.is_known for cost in costs):
            return ""
        hours = [self._hours(task) for task in job.tasks]
        longest = rough_hours(max(hours))
        text = f"{len(hours)} tasks of about {longest}" if job.is_array else f"about {longest}"
        gpu_hours = sum(map(self._gpu_hours, job.tasks))
        return text + (f"; {rounded(gpu_hours)} GPU hours" if gpu_hours >= LEAST else "")

    def lines(self, jobs: Sequence[Job]) -> List[str]:
        """Return the GPU hours of all jobs, and what the hours rest on."""
        gpu_hours = sum(self._gpu_hours(task) for job in jobs for task in job.tasks)
        steps = [step for cost in self._estimates.values() for step in cost.steps]
        bases = "; ".join(dict.fromkeys(step.basis for step in steps))
        total = f"{rounded(gpu_hours)} GPU hours in all" if gpu_hours >= LEAST else "hours"
        return [f"{total}, on {self.estimator.hardware.name}: {bases}"] if bases else []

    def _hours(self, task: Task) -> float:
        cost = self._estimates[task.experiment.name]
        if task.group >= 0:
            return cost.hours_of_part
        if task.experiment.name in self._in_parts:
            return (cost.infer.hours or 0.0) if cost.infer else 0.0
        return cost.hours

    def _gpu_hours(self, task: Task) -> float:
        """Return GPU hours of a task. A job holds its GPUs while one of them predicts."""
        return self._hours(task) * self._estimates[task.experiment.name].gpus
