"""The members and their rows, found from the folders below members/."""
from __future__ import annotations

import importlib
from pathlib import Path
from typing import Dict, List, Tuple

from leapkit.experiments import Experiment, by_id, select

REPOSITORY = Path(__file__).resolve().parent.parent


def members() -> Dict[str, Tuple[Experiment, ...]]:
    """{member: rows} of every folder below members/ that holds experiments.py."""
    found = {}
    for path in sorted((REPOSITORY / "members").glob("*/experiments.py")):
        name = path.parent.name
        rows = tuple(importlib.import_module("members.%s.experiments" % name).EXPERIMENTS)
        by_id(rows)
        found[name] = rows
    return found


def chosen(wanted: str, only: str = "") -> Dict[str, Tuple[Experiment, ...]]:
    """{member: rows} of EXPERIMENTS (all when empty), of one member where `only` names it."""
    table = {only: members()[only]} if only else members()
    rows = select([row for own in table.values() for row in own], wanted)
    return {name: own for name, own in ((n, tuple(r for r in rows if r.member == n)) for n in table) if own}


def artifacts(table: Dict[str, Tuple[Experiment, ...]]) -> List[str]:
    return [row.artifact for rows in table.values() for row in rows]
