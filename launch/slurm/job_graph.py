"""The plan as a graph of batch jobs: what runs after what, and why.

A network is one job, which trains and predicts it. If its groups of targets are to be fine-tuned it
is two: an array with a task for each group, then a job that predicts. The blend comes last. Each
job is a command whose receipts make it a no-op where its work is done, so to submit everything
again is always right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from launch import plan_lines
from launch.planning import Plan
from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.plan import ExperimentPlan

WORLD = "sample world"
BLEND = "blend"
PACK = "pack"


@dataclass(frozen=True)
class Task:
    """One command of a member: a network, or one group of its targets (0 to 6)."""

    experiment: Experiment
    group: int = -1

    @property
    def name(self) -> str:
        """The network's name, with its group."""
        return self.experiment.name + (f" group {self.group}" if self.group >= 0 else "")


@dataclass(frozen=True)
class Job:
    """One submission to Slurm.

    name      names it among the jobs of a plan
    queue     what its name in the queue ends in: jobs of one network share it
    why       the reason of its steps
    after     names of jobs that must have ended well before it starts
    tasks     the members' commands that it runs; () for the sample world and the blend
    is_array  whether each task is a job of its own, numbered by its group
    """

    name: str
    queue: str
    why: str
    after: Tuple[str, ...] = ()
    tasks: Tuple[Task, ...] = ()
    is_array: bool = False

    @property
    def width(self) -> int:
        """The commands that run side by side in one allocation."""
        return 1 if self.is_array else max(1, len(self.tasks))

    @property
    def file(self) -> str:
        """The name of its files, without their suffix."""
        return re.sub(r"[^\w.-]+", "-", self.name)


def graph(plan: Plan, pack: int = 1) -> List[Job]:
    """Return the jobs of all that a plan would run, each after those that it waits for.

    pack  how many networks, or parts of networks, share a node
    """
    before: Tuple[str, ...] = ()
    jobs: List[Job] = []
    if plan.world and not plan.world.done:
        jobs.append(Job(WORLD, "world", plan.world.reason))
        before = (WORLD,)
    networks: List[Job] = []
    for experiment_plan in plan.experiments:
        if experiment_plan.runs:
            networks += _of_network(experiment_plan, networks, before)
    jobs += packed(networks, pack) if pack > 1 else networks
    if any(not blend.done for blend in plan.blends.values()):
        reasons = sorted({blend.reason for blend in plan.blends.values() if not blend.done})
        waited_for = {name for job in jobs for name in job.after}
        after = tuple(job.name for job in jobs if job.name not in waited_for)
        jobs.append(Job(BLEND, BLEND, "; ".join(reasons), after))
    return jobs


def _of_network(plan: ExperimentPlan, earlier: Sequence[Job], before: Tuple[str, ...]) -> List[Job]:
    """Return the job of one network, or its array of groups and the job after it."""
    experiment = plan.experiment
    parent = f"{experiment.member}/{experiment.parent}" if plan.train else ""
    after = tuple(job.name for job in earlier if job.name == parent) or before
    queue = experiment.name.replace("/", "-")
    why = "; ".join(plan_lines.steps_and_reasons(plan))
    groups = _groups_to_train(plan)
    if not groups:
        return [Job(experiment.name, queue, why, after, (Task(experiment),))]
    tasks = tuple(Task(experiment, group) for group in groups)
    parts = Job(f"{experiment.name} groups", queue, why, after, tasks, is_array=True)
    reason = "its groups are about to be trained"
    return [parts, Job(experiment.name, queue, reason, (parts.name,), (Task(experiment),))]


def _groups_to_train(plan: ExperimentPlan) -> List[int]:
    """Return the groups whose checkpoints are trained; all if their data is not made yet."""
    if plan.experiment.groups is None or not plan.train:
        return []
    planned = [one.group for one in plan.checkpoints if one.train and one.group is not None]
    return planned or [group for group in plan.experiment.checkpoint_groups if group is not None]


def packed(networks: Sequence[Job], pack: int) -> List[Job]:
    """Return the same work with up to `pack` commands in a job.

    Only commands that wait for equally many others in a row share one: the parents, then the
    groups, then the predictions. What comes after one of them comes after its whole job.
    """
    levels: Dict[str, int] = {}
    ready: Dict[int, List[Tuple[Task, Job]]] = {}
    for job in networks:
        level = max([levels[name] + 1 for name in job.after if name in levels], default=0)
        levels[job.name] = level
        ready.setdefault(level, []).extend((task, job) for task in job.tasks)
    packs: List[Job] = []
    within: Dict[str, List[str]] = {}  # {name of a job: the packs that hold its tasks}
    for level in sorted(ready):
        for start in range(0, len(ready[level]), pack):
            share = ready[level][start : start + pack]
            made = _pack(len(packs) + 1, share, within)
            packs.append(made)
            for _, job in share:
                names = within.setdefault(job.name, [])
                names += [made.name] if made.name not in names else []
    return packs


def _pack(number: int, share: Sequence[Tuple[Task, Job]], within: Dict[str, List[str]]) -> Job:
    """Return one job for several commands, after the packs of all that they wait for."""
    waits = [pack for _, job in share for after in job.after for pack in within.get(after, [after])]
    reasons = sorted({job.why for _, job in share})
    tasks = tuple(task for task, _ in share)
    after = tuple(dict.fromkeys(waits))
    return Job(f"pack {number}", f"{PACK}-{number}", "; ".join(reasons), after, tasks)


def require_possible(plan: Plan) -> None:
    """Raise KitError if an experiment of the plan cannot run."""
    for blocked in plan.blocked:
        raise KitError(blocked.blocked, blocked.experiment.name, blocked.remedy)
