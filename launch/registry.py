"""The members and their experiments, found from the folders below members/, and which of them a run is about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Tuple

from blend import tables
from leapkit.core.experiments import Experiment
from leapkit.core.registry import choose_experiments, discover, select

REPOSITORY = Path(__file__).resolve().parent.parent
Table = Dict[str, Tuple[Experiment, ...]]


def members() -> Table:
    """{member: experiments} of every folder below members/ that holds experiments.py."""
    return discover(REPOSITORY)


def chosen(names: str, only: str, mode: str, everything: bool) -> Table:
    """{member: experiments} of a run, parents first: of EXPERIMENTS, and of one member where `only` names it.

    EXPERIMENTS takes ids, names, artifacts and the names that the team's README and files have for them.
    """
    table = {only: members()[only]} if only else members()
    known = [tables.canonical(name) for name in re.split(r"[,\s]+", names) if name]
    picked = select(
        [experiment for experiments in table.values() for experiment in experiments],
        ",".join(known),
    )
    found: Table = {}
    for member, experiments in table.items():
        own = (
            ",".join(experiment.id for experiment in picked if experiment.member == member)
            if known
            else ""
        )
        if own or (
            not known
            and (
                only or mode == "reproduce" or any(experiment.blended for experiment in experiments)
            )
        ):
            found[member] = tuple(choose_experiments(experiments, own, mode, everything))
    return {member: experiments for member, experiments in found.items() if experiments}


def artifacts(table: Table) -> List[str]:
    return [
        experiment.artifact
        for experiments in table.values()
        for experiment in experiments
        if experiment.artifact
    ]


def searches(table: Table) -> Dict[str, List[str]]:
    """{blend: artifacts that its search chooses from}: the published blend's among themselves (`searched`), and those of
    each member that it does not count (`searched-zuiye`)."""
    experiments = [
        experiment for own in table.values() for experiment in own if experiment.artifact
    ]
    found = {"searched": [experiment.artifact for experiment in experiments if experiment.blended]}
    for member in table:
        own = [experiment for experiment in experiments if experiment.member == member]
        if own and not any(experiment.blended for experiment in own):
            found["searched-" + member] = [experiment.artifact for experiment in own]
    return {name: own for name, own in found.items() if own}
