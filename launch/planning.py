"""The whole run, decided before anything starts: the world, every experiment, the blend, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List

from blend.plan import judge_blend, report_path, scores_path, search_of, table_name, title
from launch import registry
from launch.settings import Settings, sample_world
from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.hash_index import HashIndex
from leapkit.core.input_hashes import InputHashes
from leapkit.core.layout import Layout, RawData
from leapkit.core.plan import (
    CheckpointPlan,
    ExperimentPlan,
    block_shared_files,
    plan_experiments,
)
from leapkit.core.receipts import Verdict
from leapkit.core.sample_world import judge_world, sample_inputs
from leapkit.core.splits import PUBLISHED
from leapkit.core.step_files import read_month, steps_of


@dataclass(frozen=True)
class Plan:
    """What would run: `world` is None where RAW_DATA is the user's; `blends` is empty for one member alone.

    months  the user's step files that training would take, in lines
    """

    world: Verdict | None
    months: List[str]
    plans: Dict[str, List[ExperimentPlan]]
    blends: Dict[str, Verdict]
    blend_problem: str

    @property
    def blocked(self) -> List[ExperimentPlan]:
        return [
            experiment_plan
            for own in self.plans.values()
            for experiment_plan in own
            if experiment_plan.blocked
        ]

    @property
    def members_to_run(self) -> List[str]:
        return [
            name
            for name, own in self.plans.items()
            if any(experiment_plan.runs for experiment_plan in own)
        ]

    @property
    def is_done(self) -> bool:
        return not (
            self.members_to_run
            or self.blocked
            or (self.world and not self.world.done)
            or not all(verdict.done for verdict in self.blends.values())
        )

    def lines(self) -> List[str]:
        lines = list(self.months)
        if self.world:
            lines.append(
                "%-24s %s: %s"
                % ("world", "is there" if self.world.done else "is made", self.world.reason)
            )
        lines += [
            line
            for own in self.plans.values()
            for experiment_plan in own
            for line in experiment_plan.lines()
        ]
        lines += [
            "%-24s %s: %s"
            % ("blend " + name, "is skipped" if verdict.done else "runs", verdict.reason)
            for name, verdict in self.blends.items()
        ]
        if self.blend_problem:
            lines.append("%-24s cannot run: %s" % ("blend", self.blend_problem))
        return lines


def make(settings: Settings, table: registry.Table, with_blend: bool) -> Plan:
    """Decides by receipts and content. Reads files, starts nothing."""
    index = HashIndex(settings.results.hashes)
    hashes, world = InputHashes(settings.raw, index), None
    if settings.is_sample_world and settings.mode == "reproduce":
        world = judge_world(sample_world(), sample_inputs(), index)
    plans: Dict[str, List[ExperimentPlan]] = {}
    for member, rows in table.items():
        if world and not world.done:
            plans[member] = [_before_the_world(experiment) for experiment in rows]
        else:
            results = Layout(settings.raw, settings.results, settings.weights(member))
            plans[member] = plan_experiments(
                rows, settings.mode, settings["PROFILE"], results, hashes
            )
    if settings.mode == "infer-only":
        block_shared_files(
            [experiment_plan for own in plans.values() for experiment_plan in own],
            settings["PROFILE"],
            hashes,
        )
    blends: Dict[str, Verdict] = {}
    problem = ""
    if with_blend:
        try:
            blends = {
                name: _judge_blend(name, settings, plans, table, index) for name in settings.tables
            }
        except KitError as error:
            problem = str(error)
    index.save()
    months = (
        months_taken(settings.raw)
        if settings.mode == "reproduce" and not settings.is_sample_world
        else []
    )
    return Plan(world, months, plans, blends, problem)


def months_taken(raw: RawData) -> List[str]:
    """Which months train and validate, and what of them is not whole."""
    try:
        split = raw.split()
        months = [
            read_month(raw.steps / name) for name in sorted(set(split.train + split.validation))
        ]
    except KitError:
        return []  # what cannot run says so itself
    by_rule = (
        ""
        if raw.has_own_split
        else " (published: %d, %d)" % (len(PUBLISHED.train), len(PUBLISHED.validation))
    )
    lines = [
        "%-24s %d months train, %d validate%s"
        % ("step files", len(split.train), len(split.validation), by_rule)
    ]
    odd = [
        "%-24s %s" % ("", month.line())
        for month in months
        if month.unexpected or len(month.pairs) != steps_of(month.name)
    ]
    return (
        lines
        + odd[:8]
        + (["%-24s and %d more that are not whole" % ("", len(odd) - 8)] if odd[8:] else [])
    )


def _before_the_world(experiment: Experiment) -> ExperimentPlan:
    reason = "its world is about to be made"
    steps = ["train"] + (["infer"] if experiment.artifact else [])
    return ExperimentPlan(
        experiment,
        [CheckpointPlan(None, Path(), True, reason)],
        bool(experiment.artifact),
        {step: reason for step in steps},
    )


def _judge_blend(
    name: str,
    settings: Settings,
    plans: Dict[str, List[ExperimentPlan]],
    table: registry.Table,
    index: HashIndex,
) -> Verdict:
    flat = [experiment_plan for own in plans.values() for experiment_plan in own]
    stuck = [experiment_plan.experiment.name for experiment_plan in flat if experiment_plan.blocked]
    if stuck:
        raise KitError(
            "{} cannot run".format(", ".join(stuck)), "blend", "mend what the lines above name"
        )
    searches, search = registry.searches(table), search_of(name)
    if search and search.among not in searches:
        raise KitError(
            "there is nothing to search among", "TABLE=" + name, "choose " + " or ".join(searches)
        )
    coming = [
        experiment_plan.experiment.artifact
        for experiment_plan in flat
        if experiment_plan.runs and experiment_plan.experiment.artifact
    ]
    if search:
        coming = [artifact for artifact in coming if artifact in searches[search.among]]
    results = settings.results
    verdict = judge_blend(
        name,
        results,
        index,
        coming,
        registry.artifacts(registry.members()),
        settings.options,
        settings.raw,
    )
    if not verdict.done:
        return verdict
    # The blend itself judges their inputs; here it is enough that they are there for the parquet that is done.
    if (
        settings.raw.truth.exists()
        and not scores_path(results, title(table_name(name), settings.options)).exists()
    ):
        return Verdict(False, "its scores are missing")
    if not report_path(results, table_name(name)).exists():
        return Verdict(False, "its report is missing")
    return verdict
