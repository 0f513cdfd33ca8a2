"""Hours and GPU hours of what has to run, before it runs and while it runs.

FLOP of the rows (leapkit.core.multiplications) over a rate: what a run that goes on shows of itself
(leapkit.core.run_progress), else what finished runs reached (launch.costs.measurements), else what
is stated of the hardware (launch.costs.rates).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Mapping, NamedTuple, Optional, Sequence

from launch import registry
from launch.costs import measurements, rates
from launch.costs.measurements import Measurement
from launch.costs.rates import Hardware, Rate
from launch.costs.row_counts import RowCounts
from launch.settings import Settings
from leapkit.core import run_progress
from leapkit.core.layout import Results, RunFiles, progress_path, scratch_path
from leapkit.core.multiplications import FORWARD_FLOP
from leapkit.core.plan import CheckpointPlan, ExperimentPlan
from leapkit.core.run_progress import Progress

# What each further GPU of a network adds to the first: assumed, 3.4 times as fast with four.
ADDED_BY_GPU = 0.8
# The GPU of a cluster of which nothing is known: the one that the organisers' hours are of.
ASSUMED_CARD = "A100"


class Step(NamedTuple):
    """The training or the inference of one experiment.

    hours     None if nothing tells a rate
    basis     of the hours
    progress  of the run that goes on
    """

    hours: Optional[float]
    basis: str
    progress: Optional[Progress] = None


@dataclass(frozen=True)
class Estimate:
    """Time and cost of one experiment's plan.

    train, infer  None if the step does not run
    parts         checkpoints that are trained, which are jobs of their own on a cluster
    gpus          that it trains on; 0 on a CPU, and at sample size, where networks share one
    is_bound      whether the training may end earlier, as its recipe stops early
    """

    name: str
    train: Optional[Step]
    infer: Optional[Step]
    parts: int
    gpus: int
    is_bound: bool = False
    parent: str = ""

    @property
    def steps(self) -> List[Step]:
        return [step for step in (self.train, self.infer) if step]

    @property
    def hours(self) -> float:
        """Wall hours of both steps, one after the other; 0 for a step without a rate."""
        return sum(step.hours or 0.0 for step in self.steps)

    @property
    def hours_of_part(self) -> float:
        """Wall hours of the training of one checkpoint."""
        return (self.train.hours or 0.0) / max(1, self.parts) if self.train else 0.0

    @property
    def gpu_hours(self) -> float:
        """Hours times GPUs: inference takes one."""
        train = (self.train.hours or 0.0) * self.gpus if self.train else 0.0
        infer = (self.infer.hours or 0.0) * min(1, self.gpus) if self.infer else 0.0
        return train + infer

    @property
    def is_known(self) -> bool:
        return all(step.hours is not None for step in self.steps)


@dataclass(frozen=True)
class Estimator:
    """What estimates are made from: the world's rows, the hardware, earlier runs."""

    profile: str
    rows: RowCounts
    hardware: Hardware
    results: Results
    earlier: Sequence[Measurement]

    def of(self, plan: ExperimentPlan) -> Estimate:
        """Return the estimate of an experiment's plan."""
        experiment = plan.experiment
        recipe = experiment.recipe[self.profile]
        stays = experiment.groups.parents if experiment.groups else ()
        parts = [part for part in plan.checkpoints if part.train and part.group not in stays]
        return Estimate(
            experiment.name,
            self._training(plan, parts) if parts else None,
            self._inference(plan) if plan.infer else None,
            len(parts),
            self.hardware.per_network if self.hardware.gpus and self.profile == "full" else 0,
            recipe.early_stop and recipe.epochs > 1,
            f"{experiment.member}/{experiment.parent}" if experiment.parent else "",
        )

    def _training(self, plan: ExperimentPlan, parts: Sequence[CheckpointPlan]) -> Step:
        experiment = plan.experiment
        folder = self.results.experiment(experiment.member, experiment.id)
        files = [RunFiles(folder, experiment.id, group) for group in experiment.checkpoint_groups]
        progresses = [run_progress.read(file.progress) for file in files]
        begun = [progress for progress in progresses if progress]
        if begun:
            return _of_its_own(begun, len(parts))
        recipe = experiment.recipe[self.profile]
        network = experiment.network[self.profile]
        rows = self.rows.selected(recipe.rows)
        flop = measurements.training_flop(
            network, recipe, rows, self.rows.validation, recipe.epochs
        )
        return self._step("train", network, len(parts) * flop, self._added())

    def _inference(self, plan: ExperimentPlan) -> Step:
        experiment = plan.experiment
        folder = self.results.experiment(experiment.member, experiment.id)
        progress = run_progress.read(progress_path(scratch_path(folder, plan.inference_inputs)))
        if progress and not plan.train:
            return _of_its_own([progress], 1)
        network = experiment.network[self.profile]
        passes = len(experiment.checkpoint_groups)
        flop = FORWARD_FLOP * network.multiplications * self.rows.test * passes
        return self._step("infer", network, flop, 1.0)

    def _added(self) -> float:
        """Return how many times as fast several GPUs are said to train one network."""
        return 1 + ADDED_BY_GPU * (self.hardware.per_network - 1)

    def _step(self, step: str, network: object, flop: float, faster: float) -> Step:
        known = (self.hardware, self.profile, step, network)
        rate = measurements.measured(self.earlier, *known)
        if rate is None:
            stated = rates.stated(*known)
            rate = Rate(stated.flops * faster, stated.basis) if stated else None
        if rate is None:
            return Step(None, f"no rate is known of {self.hardware.card}")
        return Step(flop / rate.flops / 3600, rate.basis)


def _of_its_own(begun: Sequence[Progress], parts: int) -> Step:
    """Return what is left of a step of `parts` equal parts, of which some have begun."""
    each = sum(one.seconds_of_part for one in begun) / len(begun)
    waiting = max(0, parts - sum(one.parts for one in begun))
    side_by_side = max(one.began for one in begun) < min(one.updated for one in begun)
    left = (max if side_by_side else sum)([one.seconds_left for one in begun])
    latest = max(begun, key=lambda one: one.updated)
    return Step((left + each * waiting) / 3600, "its own rate", latest)


def estimator(settings: Settings, rows: RowCounts) -> Estimator:
    """Return what makes the estimates of a run with these settings."""
    results = settings.results
    experiments = registry.flat(registry.members())
    return Estimator(
        settings["PROFILE"],
        rows,
        rates.hardware(settings),
        results,
        measurements.of_results(results, experiments),
    )


def estimator_of_cluster(settings: Settings, rows: RowCounts) -> Estimator:
    """Return what makes the estimates of jobs: a login node has no GPU of their kind.

    CARD names it, else the newest finished run on a GPU does, else this machine's GPU.
    """
    here = estimator(settings, rows)
    if here.hardware.card and settings["CARD"]:
        return here
    cards = [one.device for one in here.earlier if one.device != "cpu"]
    card = cards[-1] if cards else here.hardware.card or ASSUMED_CARD
    return replace(here, hardware=rates.hardware(settings, card))


def wall_hours(estimates: Sequence[Estimate], at_once: int) -> float:
    """Return the hours of all, `at_once` side by side, each after its parent.

    Not less than the longest chain of parents and children, nor than an even share of the slots.
    """
    by_name: Mapping[str, Estimate] = {estimate.name: estimate for estimate in estimates}

    def chain(estimate: Estimate) -> float:
        parent = by_name.get(estimate.parent)
        return estimate.hours + (chain(parent) if parent else 0.0)

    longest = max((chain(estimate) for estimate in estimates), default=0.0)
    return max(longest, sum(estimate.hours for estimate in estimates) / at_once)
