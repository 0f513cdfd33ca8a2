"""Time and cost of a plan in lines: in all, of each network, and on what basis."""

from __future__ import annotations

import time
from typing import Dict, List, Sequence, Set

from launch.costs import estimates
from launch.costs.estimates import Estimate, Estimator, Step
from launch.plan_lines import line, wrapped
from launch.planning import Plan
from launch.settings import Settings
from leapkit.core.amounts import rough_hours, rounded
from leapkit.core.run_progress import Progress

# Networks that take less share their lines.
SHORT = 0.1  # hours
# A run that goes on says how far it is twice a minute, apart from its evaluations.
_SILENT = 600.0  # seconds


def lines(plan: Plan, settings: Settings) -> List[str]:
    """Return the lines on what a plan costs; nothing if nothing has to run."""
    running = [one for one in plan.experiments if one.runs and not one.blocked]
    if not running:
        return []
    estimator = estimates.estimator(settings, plan.rows)
    return estimate_lines(estimator, [estimator.of(one) for one in running])


def estimate_lines(estimator: Estimator, costs: Sequence[Estimate]) -> List[str]:
    """Return the lines on the estimates of the experiments that run."""
    known = [cost for cost in costs if cost.is_known]
    unknown = [cost for cost in costs if not cost.is_known]
    text = [line("time and cost", _in_all(estimator, known))] if known else []
    text += _unknown_lines(unknown)
    text += [each for cost in costs for each in _progress_lines(cost)]
    text += [_cost_line(cost) for cost in known if cost.hours >= SHORT]
    short = [cost for cost in known if cost.hours < SHORT]
    text += wrapped([f"{cost.name} {rough_hours(cost.hours)}" for cost in short])
    return text + [line("", basis) for basis in _bases(known)]


def _in_all(estimator: Estimator, known: Sequence[Estimate]) -> str:
    at_once = estimator.hardware.networks_at_once(estimator.profile)
    hours = estimates.wall_hours(known, at_once)
    bound = "at most " if any(cost.is_bound and cost.train for cost in known) else ""
    gpu_hours = sum(cost.gpu_hours for cost in known)
    cost = f", {rounded(gpu_hours)} GPU hours" if gpu_hours else ""
    networks = f"{at_once} networks at a time" if at_once > 1 else "one network after the other"
    return f"{bound}about {rough_hours(hours)}{cost}, on {estimator.hardware.name}, {networks}"


def _cost_line(cost: Estimate) -> str:
    steps = []
    if cost.train:
        bound = "at most " if cost.is_bound and not cost.train.progress else ""
        parts = f" for {cost.parts} parts" if cost.parts > 1 else ""
        steps.append(f"train {bound}{rough_hours(cost.train.hours or 0)}{parts}")
    if cost.infer:
        steps.append(f"infer {rough_hours(cost.infer.hours or 0)}")
    gpu_hours = f"; {rounded(cost.gpu_hours)} GPU hours" if cost.gpus else ""
    return line(cost.name, ", ".join(steps) + gpu_hours)


def _unknown_lines(unknown: Sequence[Estimate]) -> List[str]:
    if not unknown:
        return []
    [basis, *_] = [step.basis for step in unknown[0].steps if step.hours is None]
    name = unknown[0].name if len(unknown) == 1 else _networks(len(unknown))
    return [line(name, f"time unknown: {basis}; a first run tells it, or CARD= of another")]


def _progress_lines(cost: Estimate) -> List[str]:
    verbs = {"trains": cost.train, "predicts": cost.infer}
    return [
        line(cost.name, f"{verb}: {_progress(step, step.progress)}")
        for verb, step in verbs.items()
        if step and step.progress
    ]


def _progress(step: Step, progress: Progress) -> str:
    silent = time.time() - progress.updated
    since = f", as of {rough_hours(silent / 3600)} ago" if silent > _SILENT else ""
    left = rough_hours(step.hours or 0)
    return f"{progress.fraction:.0%} done, about {left} left at its own rate{since}"


def _bases(known: Sequence[Estimate]) -> List[str]:
    """Return what the hours rest on, each basis once: of which steps, of how many networks."""
    steps = [("train", cost.name, cost.train) for cost in known]
    steps += [("infer", cost.name, cost.infer) for cost in known]
    verbs: Dict[str, Set[str]] = {}
    networks: Dict[str, Set[str]] = {}
    for verb, name, step in steps:
        if step:
            verbs.setdefault(step.basis, set()).add(verb)
            networks.setdefault(step.basis, set()).add(name)
    together = max((cost.gpus for cost in known), default=0)
    added = f"each further GPU of a network adds {estimates.ADDED_BY_GPU:.0%} of one: assumed"
    return [
        f"{basis} ({' and '.join(sorted(verbs[basis], reverse=True))}: {_networks(len(names))})"
        for basis, names in networks.items()
    ] + ([added] if together > 1 else [])


def _networks(count: int) -> str:
    return f"{count} network{'s' * (count > 1)}"
