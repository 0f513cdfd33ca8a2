"""The members and their rows, found from the folders below members/, and which of them a run is about."""
from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Dict, List, Tuple

from blend import tables
from leapkit.experiments import Experiment, by_id, select
from leapkit.plan import wanted

REPOSITORY = Path(__file__).resolve().parent.parent
Table = Dict[str, Tuple[Experiment, ...]]


def members() -> Table:
    """{member: rows} of every folder below members/ that holds experiments.py."""
    found = {}
    for path in sorted((REPOSITORY / "members").glob("*/experiments.py")):
        name = path.parent.name
        rows = tuple(importlib.import_module("members.%s.experiments" % name).EXPERIMENTS)
        by_id(rows)
        found[name] = rows
    return found


def chosen(names: str, only: str, mode: str, everything: bool) -> Table:
    """{member: rows} of a run, parents first (leapkit.plan.wanted): of EXPERIMENTS, and of one member where `only` names it.

    EXPERIMENTS takes ids, names, artifacts and the names that the team's README and files have for them.
    """
    table = {only: members()[only]} if only else members()
    known = [tables.canonical(name) for name in re.split(r"[,\s]+", names) if name]
    picked = select([row for rows in table.values() for row in rows], ",".join(known))
    found: Table = {}
    for member, rows in table.items():
        own = ",".join(row.id for row in picked if row.member == member) if known else ""
        if own or (not known and (only or mode == "reproduce" or any(row.blended for row in rows))):
            found[member] = tuple(wanted(rows, own, mode, everything))
    return {member: rows for member, rows in found.items() if rows}


def artifacts(table: Table) -> List[str]:
    return [row.artifact for rows in table.values() for row in rows if row.artifact]


def searches(table: Table) -> Dict[str, List[str]]:
    """{blend: artifacts that its search chooses from}: the published blend's among themselves (`searched`), and those of
    each member that it does not count (`searched-zuiye`)."""
    rows = [row for own in table.values() for row in own if row.artifact]
    found = {"searched": [row.artifact for row in rows if row.blended]}
    for member in table:
        own = [row for row in rows if row.member == member]
        if own and not any(row.blended for row in own):
            found["searched-" + member] = [row.artifact for row in own]
    return {name: own for name, own in found.items() if own}
