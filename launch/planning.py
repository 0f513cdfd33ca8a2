"""The whole run, decided before anything starts: the sample world, all experiments, all blends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

from blend.decide import judge_blend
from blend.naming import BlendName
from launch import plan_lines, registry
from launch.costs import row_counts
from launch.costs.row_counts import RowCounts
from launch.settings import Settings, sample_world
from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.hash_index import HashIndex
from leapkit.core.input_hashes import InputHashes
from leapkit.core.layout import Layout
from leapkit.core.plan import (
    CheckpointPlan,
    ExperimentPlan,
    block_shared_files,
    plan_experiments,
)
from leapkit.core.receipts import Verdict
from leapkit.core.sample_world import judge_world, sample_inputs


@dataclass(frozen=True)
class Plan:
    """What would run, and why.

    world          whether the sample world is made already; None if RAW_DATA is the user's
    months         lines on the user's step files that training would take
    rows           of the world
    members        {member: the plans of its experiments, parents first}
    blends         {table: whether its blend is made already}; empty for one member alone
    blend_problem  why no blend can run, "" if it can
    """

    world: Optional[Verdict]
    months: List[str]
    rows: RowCounts
    members: Dict[str, List[ExperimentPlan]]
    blends: Dict[str, Verdict]
    blend_problem: str

    @property
    def experiments(self) -> List[ExperimentPlan]:
        """The plans of all members' experiments."""
        return [plan for plans in self.members.values() for plan in plans]

    @property
    def blocked(self) -> List[ExperimentPlan]:
        """The experiments that cannot run."""
        return [plan for plan in self.experiments if plan.blocked]

    @property
    def members_to_run(self) -> List[str]:
        """The members that have something to do."""
        return [
            member for member, plans in self.members.items() if any(plan.runs for plan in plans)
        ]

    @property
    def is_done(self) -> bool:
        """Whether receipts prove every step."""
        if self.members_to_run or self.blocked or (self.world and not self.world.done):
            return False
        return all(blend.done for blend in self.blends.values())

    def world_lines(self) -> List[str]:
        """Return the line of the sample world, if there is one to make."""
        return [plan_lines.world_line(self.world)] if self.world else []

    def lines(self) -> List[str]:
        """Return the plan in lines."""
        lines = self.months + self.world_lines() + plan_lines.experiment_lines(self.experiments)
        lines += [plan_lines.blend_line(table, blend) for table, blend in self.blends.items()]
        if self.blend_problem:
            lines.append(plan_lines.line("blend", f"cannot run: {self.blend_problem}"))
        return lines


def make(
    settings: Settings, run: registry.Registry, with_blend: bool, budget: Optional[int] = None
) -> Plan:
    """Decide by receipts and content what the experiments of `run` need. Start nothing.

    budget  bytes that may be read whose hashes are not known; None is no limit
    """
    index = HashIndex(settings.results.hashes, budget)
    world = None
    if settings.is_sample_world and settings.mode == "reproduce":
        world = judge_world(sample_world(), sample_inputs(), index)
    if world and not world.done:
        members = {
            member: [_before_the_world(experiment) for experiment in experiments]
            for member, experiments in run.items()
        }
    else:
        members = _plan_members(settings, run, index)
    blends, problem = _plan_blends(settings, members, run, index) if with_blend else ({}, "")
    index.save()
    months = row_counts.read_months(settings.raw) if settings.mode == "reproduce" else []
    if world and not world.done:
        rows = row_counts.of_sample_world()
    else:
        rows = row_counts.of_world(settings.raw, months)
    lines = [] if settings.is_sample_world else plan_lines.month_lines(settings.raw, months)
    return Plan(world, lines, rows, members, blends, problem)


def _plan_members(
    settings: Settings, run: registry.Registry, index: HashIndex
) -> Dict[str, List[ExperimentPlan]]:
    """Return {member: the plans of its experiments}."""
    hashes = InputHashes(settings.raw, index)
    profile = settings["PROFILE"]
    members = {}
    for member, experiments in run.items():
        layout = Layout(settings.raw, settings.results, settings.weights(member))
        members[member] = plan_experiments(experiments, settings.mode, profile, layout, hashes)
    if settings.mode == "infer-only":
        plans = [plan for member_plans in members.values() for plan in member_plans]
        block_shared_files(plans, profile, hashes)
    return members


def _before_the_world(experiment: Experiment) -> ExperimentPlan:
    """Return the plan of an experiment whose data is not made yet: all of its steps run."""
    reason = "the sample world is about to be made"
    steps = ["train"] + (["infer"] if experiment.artifact else [])
    return ExperimentPlan(
        experiment,
        [CheckpointPlan(group, Path(), True, reason) for group in experiment.checkpoint_groups],
        bool(experiment.artifact),
        {step: reason for step in steps},
    )


def _plan_blends(
    settings: Settings,
    members: Mapping[str, List[ExperimentPlan]],
    run: registry.Registry,
    index: HashIndex,
) -> Tuple[Dict[str, Verdict], str]:
    """Return ({table: whether its blend is made already}, why no blend can run)."""
    try:
        return {
            name.source: _judge_blend(name, settings, members, run, index)
            for name in settings.blends
        }, ""
    except KitError as error:
        return {}, str(error)


def _judge_blend(
    name: BlendName,
    settings: Settings,
    members: Mapping[str, List[ExperimentPlan]],
    run: registry.Registry,
    index: HashIndex,
) -> Verdict:
    """Return whether a table's blend is made already. Raises KitError if it cannot run."""
    plans = [plan for member_plans in members.values() for plan in member_plans]
    blocked = [plan for plan in plans if plan.blocked]
    if blocked:
        raise KitError(
            f"{len(blocked)} of {len(plans)} cannot run",
            "its networks",
            "fix what the lines above name",
        )
    searches = registry.searches(run)
    search = name.search
    if search and search.among not in searches:
        raise KitError(
            "there is nothing to search among",
            "TABLE=" + name.source,
            "choose " + " or ".join(searches),
        )
    coming = [plan.experiment.artifact for plan in plans if plan.runs and plan.experiment.artifact]
    if search:
        coming = [artifact for artifact in coming if artifact in searches[search.among]]
    results = settings.results
    verdict = judge_blend(
        name, settings.raw, results, index, coming, registry.artifacts(registry.members())
    )
    if not verdict.done:
        return verdict
    # The blend itself checks what these are made from; here it is enough that they exist.
    if settings.raw.truth.exists() and not name.scores(results).exists():
        return Verdict(False, "its scores are missing")
    if not name.report(results).exists():
        return Verdict(False, "its report is missing")
    return verdict
