"""The members' experiments: found in the folders below members/, and chosen for a run."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from leapkit.core.columns import GROUP_NAMES
from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.recipes import require


def discover(repository: Path) -> Dict[str, Tuple[Experiment, ...]]:
    """Return {member: experiments} of every folder below members/ that has an experiments.py.

    `repository` is the folder that holds `members`, and is on sys.path.
    """
    registry: Dict[str, Tuple[Experiment, ...]] = {}
    for path in sorted((repository / "members").glob("*/experiments.py")):
        member = path.parent.name
        module = importlib.import_module(f"members.{member}.experiments")
        registry[member] = tuple(module.EXPERIMENTS)
        by_id(registry[member])
    return registry


def by_id(experiments: Sequence[Experiment]) -> Dict[str, Experiment]:
    """Return {id: experiment} of one member.

    Raises ValueError if two experiments share an id or an artifact, or if a parent is missing.
    """
    table = {experiment.id: experiment for experiment in experiments}
    artifacts = [experiment.artifact for experiment in experiments if experiment.artifact]
    require(
        len(table) == len(experiments) and len(set(artifacts)) == len(artifacts),
        "registry",
        "an id or an artifact is used twice",
    )
    require(
        all(experiment.parent in table for experiment in experiments if experiment.parent),
        "registry",
        "a parent is missing",
    )
    return table


def select(experiments: Sequence[Experiment], names: str) -> Tuple[Experiment, ...]:
    """Return the experiments that `names` lists, in the order of `experiments`; all if it is empty.

    `names` is a list such as `195,adam/200` of ids, names or artifacts. Raises KitError for an
    unknown one.
    """
    requested = [name for name in re.split(r"[,\s]+", names) if name]
    known = {alias for experiment in experiments for alias in _aliases(experiment)}
    for name in requested:
        if name not in known:
            raise KitError(
                f"unknown experiment {name}",
                "EXPERIMENTS",
                "choose from " + ", ".join(experiment.name for experiment in experiments),
            )
    return tuple(
        experiment
        for experiment in experiments
        if not requested or set(_aliases(experiment)) & set(requested)
    )


def _aliases(experiment: Experiment) -> List[str]:
    return [name for name in (experiment.id, experiment.name, experiment.artifact) if name]


def lineage(
    experiments: Sequence[Experiment], chosen: Sequence[Experiment]
) -> Tuple[Experiment, ...]:
    """Return `chosen` and all that they start from, every parent before its children.

    Otherwise the order is that of `experiments`.
    """
    by_name = {experiment.name: experiment for experiment in experiments}
    ordered: List[Experiment] = []

    def add(experiment: Experiment) -> None:
        if experiment.parent:
            add(by_name[f"{experiment.member}/{experiment.parent}"])
        if experiment not in ordered:
            ordered.append(experiment)

    for experiment in experiments:
        if experiment in chosen:
            add(experiment)
    return tuple(ordered)


def choose_experiments(
    experiments: Sequence[Experiment], names: str, mode: str, everything: bool
) -> Tuple[Experiment, ...]:
    """Return the experiments of a run, parents before their children.

    names       what the user asks for; if it is empty, those of the published blend
    mode        reproduce, which adds the parents of what is chosen, or infer-only
    everything  to reproduce, an empty `names` means all experiments
    Raises KitError for an unknown name, or if infer-only is given what was never published.
    """
    if names.replace(",", " ").strip():
        chosen = select(experiments, names)
    else:
        takes_all = everything and mode == "reproduce"
        chosen = tuple(experiment for experiment in experiments if experiment.blended or takes_all)
    if mode == "reproduce":
        return lineage(experiments, chosen)
    unpublished = [experiment.name for experiment in chosen if not experiment.published]
    if unpublished or not chosen:
        missing = ", ".join(unpublished) or experiments[0].member
        raise KitError(
            f"no checkpoints were published of {missing}",
            "infer-only",
            "train them with MODE=reproduce",
        )
    return chosen


def choose_groups(
    chosen: Sequence[Experiment], numbers: Optional[str], mode: str
) -> Tuple[int, ...]:
    """Return the groups of targets that a run trains alone; () if it is not one of groups alone.

    numbers  a list such as `0,3`; None if groups are not asked for
    Raises KitError if these are not groups of the one experiment that is chosen, to be trained.
    """
    if numbers is None:
        return ()
    known = [str(group) for group in range(len(GROUP_NAMES))]
    requested = numbers.replace(" ", "").split(",")
    if not set(requested) <= set(known):
        remedy = f"choose from {', '.join(known)}"
        raise KitError(f"{numbers!r} is no list of groups", "--groups", remedy)
    if mode != "reproduce":
        raise KitError("groups are trained alone, not predicted", "--groups", "use reproduce")
    if len(chosen) != 1 or not chosen[0].groups:
        names = ", ".join(experiment.name for experiment in chosen)
        remedy = "use --alone with --experiments of one that is fine-tuned per group"
        raise KitError(f"{names}: not one experiment with groups", "--groups", remedy)
    return tuple(int(group) for group in known if group in requested)
