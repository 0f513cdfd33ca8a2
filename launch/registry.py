"""The members and their experiments, read from the folders below members/, and those of a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

from blend import tables
from leapkit.core.experiments import Experiment
from leapkit.core.registry import choose_experiments, discover, select

REPOSITORY = Path(__file__).resolve().parent.parent
Registry = Dict[str, Tuple[Experiment, ...]]
_JOINT = "searched-with-"


def members() -> Registry:
    """Return {member: experiments} of every folder below members/ that holds experiments.py."""
    return discover(REPOSITORY)


def chosen(names: str, only: str, mode: str, everything: bool) -> Registry:
    """Return {member: experiments} of a run, parents before their children.

    names       EXPERIMENTS: ids, names, artifacts, and the names that the team's files have
    only        the one member that the run is about, "" for all
    everything  without names: all experiments, not only those of the published blend
    Raises KitError for an unknown name, or if infer-only asks for what was not published.
    """
    candidates = {only: members()[only]} if only else members()
    requested = _requested_ids(candidates, names)
    run: Registry = {}
    for member, experiments in candidates.items():
        if requested:
            takes_part = member in requested
        else:
            takes_part = bool(only) or _takes_part_by_default(experiments, mode)
        if takes_part:
            ids = ",".join(requested.get(member, []))
            run[member] = choose_experiments(experiments, ids, mode, everything)
    return {member: experiments for member, experiments in run.items() if experiments}


def with_members(run: Registry, names: Sequence[str]) -> Registry:
    """Return a run, to reproduce, with all experiments of further members, in the usual order."""
    every = members()
    return {
        member: run.get(member, every[member])
        for member in every
        if member in run or member in names
    }


def _requested_ids(candidates: Registry, names: str) -> Dict[str, List[str]]:
    """Return {member: ids} that EXPERIMENTS names, {} if it names none. Raises KitError."""
    canonical = [tables.canonical(name) for name in re.split(r"[,\s]+", names) if name]
    requested: Dict[str, List[str]] = {}
    if canonical:
        for experiment in select(flat(candidates), ",".join(canonical)):
            requested.setdefault(experiment.member, []).append(experiment.id)
    return requested


def _takes_part_by_default(experiments: Sequence[Experiment], mode: str) -> bool:
    """Return whether a member takes part in a run that names no experiment.

    To reproduce, all do but those that are trained on request only; infer-only needs the
    checkpoints that were published of the blend.
    """
    if mode == "reproduce":
        return not all(experiment.on_request for experiment in experiments)
    return any(experiment.blended for experiment in experiments)


def flat(registry: Registry) -> List[Experiment]:
    """Return the experiments of all members, in order."""
    return [experiment for experiments in registry.values() for experiment in experiments]


def ids(experiments: Sequence[Experiment]) -> str:
    """Return the ids of experiments as a member's command line takes them."""
    return ",".join(experiment.id for experiment in experiments)


def artifacts(registry: Registry) -> List[str]:
    """Return the artifacts of all experiments that have one."""
    return [experiment.artifact for experiment in flat(registry) if experiment.artifact]


def named_artifacts(names: str) -> List[str]:
    """Return what ARTIFACTS names, each once, with the artifact of a network for its name or id."""
    of_networks = {
        alias: experiment.artifact
        for experiment in flat(members())
        for alias in (experiment.name, experiment.id)
        if experiment.artifact
    }
    words = [word.strip() for word in names.split(",") if word.strip()]
    return list(dict.fromkeys(of_networks.get(word, word) for word in words))


def searches(registry: Mapping[str, Sequence[Experiment]]) -> Dict[str, List[str]]:
    """Return {search: the artifacts that it chooses from}.

    `searched` chooses among the published blend's, `searched-zuiye` among those of a member that
    the published blend does not count, `searched-with-zuiye` among both.
    """
    every = [experiment for experiments in registry.values() for experiment in experiments]
    blended = [experiment.artifact for experiment in every if experiment.blended]
    choices = {"searched": blended}
    for member, experiments in registry.items():
        if not any(experiment.blended for experiment in experiments):
            its_own = [experiment.artifact for experiment in experiments if experiment.artifact]
            choices["searched-" + member] = its_own
            choices[_JOINT + member] = blended + its_own if blended and its_own else []
    return {search: names for search, names in choices.items() if names}


def usual_searches(registry: Mapping[str, Sequence[Experiment]]) -> List[str]:
    """Return the searches of a run that names none: what the team made, and each newcomer alone."""
    return [search for search in searches(registry) if not search.startswith(_JOINT)]
