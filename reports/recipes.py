"""What each network was trained with, in one line: what an appendix on reproducibility asks for."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from leapkit.core.errors import printable
from reports.record import TRAININGS, Record, Step
from reports.values import mapping

# What is told of a recipe, as receipts name it.
_OF_RECIPE = ("epochs", "batch", "optimiser", "lr", "weight_decay", "seed", "options")


def of_record(record: Record) -> Dict[str, Dict[str, str]]:
    """Return {network: {what: text}} of the networks that were trained here, the same for each.

    Values in which the groups of a network differ are all told; what none has is left out.
    """
    trained: Dict[str, List[Step]] = {}
    for step in record.steps:
        if step.kind in TRAININGS and mapping(step.details.get("recipe")):
            trained.setdefault(step.network, []).append(step)
    told = {
        network.name: _told([_line(step.details) for step in trained[network.name]])
        for network in record.networks
        if network.name in trained
    }
    known = {name for line in told.values() for name, text in line.items() if text}
    return {
        network: {name: text for name, text in line.items() if name in known}
        for network, line in told.items()
    }


def _line(details: Mapping[str, Any]) -> Dict[str, Any]:
    recipe = mapping(details.get("recipe"))
    return {
        "architecture": mapping(details.get("network")).get("class", "stack"),
        "training rows": details.get("training rows"),
        "validation rows": details.get("validation rows"),
        **{name: recipe.get(name) for name in _OF_RECIPE},
        "schedule": mapping(recipe.get("schedule")).get("class"),
    }


def _told(lines: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    texts = {name: dict.fromkeys(_text(line[name]) for line in lines) for name in lines[0]}
    return {name.replace("_", " "): ", ".join(filter(None, told)) for name, told in texts.items()}


def _text(value: Any) -> str:
    """Return a value as a cell. Learning rates have the names of parameters; "" is all others."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each)}".strip() for name, each in list(value.items())[:9])
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else printable(value)
