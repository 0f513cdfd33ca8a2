"""Model cards: what a network is, learned from, reached and cannot do, as Hugging Face reads them.

A card is Markdown behind a front matter in YAML. All that it says of a network comes from its
experiment and from the scores that it is given; `make report` and `make export` share it.
Standard library only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from leapkit.core import card_prose, network_sizes
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.experiments import Experiment

DATA = "LEAP/ClimSim_low-res"
ROWS_OF_A_RUN = "climsim-world"  # rows of ClimSim's form, whose world the run says
TAGS = ("climate", "atmospheric-physics", "climsim", "emulator")
# Where a published score was reached.
_ROWS = {
    "cv": "the team's validation months",
    "public": "Kaggle's public test rows",
    "private": "Kaggle's private test rows",
}


@dataclass(frozen=True)
class Score:
    """An R2 over all targets.

    name  "validation R2"
    rows  which rows it is of, in words
    """

    name: str
    rows: str
    value: float


@dataclass(frozen=True)
class Row:
    """What a card says of an experiment, as plain data: `asdict` and `Row(**..)` are inverse.

    network, recipe  as receipts have them
    checkpoints      how many make the network: seven if each predicts a group of targets
    parameters       of each; None if nobody counted them
    """

    name: str
    artifact: str
    family: str
    profile: str
    parent: str
    checkpoints: int
    parameters: Optional[int]
    network: Mapping[str, Any]
    recipe: Mapping[str, Any]


def row(experiment: Experiment, profile: str) -> Row:
    """Return what a card says of an experiment at the size of a profile."""
    return Row(
        name=experiment.name,
        artifact=experiment.artifact,
        family=experiment.family,
        profile=profile,
        parent=f"{experiment.member}/{experiment.parent}" if experiment.parent else "",
        checkpoints=len(experiment.checkpoint_groups),
        parameters=network_sizes.parameters(experiment.name, profile),
        network=experiment.network_record(profile),
        recipe=experiment.recipe_record(profile),
    )


def published(scores: Mapping[str, float]) -> List[Score]:
    """Return what the team published of a network, {"cv", "public", "private"}, as scores."""
    return [
        Score(f"published R2, {rows}", f"{_ROWS[rows]}, the team's own checkpoint", value)
        for rows, value in scores.items()
    ]


def file_name(name: str) -> str:
    """Return what the files of a network are called: max2020-022 of max2020/022."""
    return name.replace("/", "-")


def front_matter(name: str, scores: Sequence[Score]) -> str:
    """Return the YAML in front of a card, between its lines of three dashes."""
    results = [
        {
            "task": {"type": "tabular-regression"},
            "dataset": {"name": score.rows, "type": ROWS_OF_A_RUN},
            "metrics": [{"type": "r_squared", "name": score.name, "value": score.value}],
        }
        for score in scores
    ]
    about: Dict[str, Any] = {
        "library_name": "leapkit",
        "pipeline_tag": "tabular-regression",
        "license": "other",
        "license_name": "not-declared",
        "datasets": [DATA],
        "metrics": ["r_squared"],
        "tags": list(TAGS),
    }
    if results:
        about["model-index"] = [{"name": name, "results": results}]
    return "---\n" + "\n".join(_yaml(about)) + "\n---\n"


def described(one: Row) -> str:
    """Return the section on a network: its architecture, and how it is trained."""
    copies = f", {one.checkpoints} copies that each predict a group" if one.checkpoints > 1 else ""
    count = f"{one.parameters or 0:,}"  # 0 is not told
    parameters = f"{count} each" if one.checkpoints > 1 else count
    rows = [
        ("architecture", f"{one.network['class']}{copies}"),
        *([("parameters", parameters)] if one.parameters else []),
        *((name, _text(value)) for name, value in one.network.items() if name != "class"),
        ("size", "that of the team" if one.profile == "full" else "reduced, for the sample world"),
        ("inputs", f"{len(INPUTS)}, standardised by the statistics `{one.family}`"),
        ("targets", str(len(TARGETS))),
        ("starts from", f"`{one.parent}`" if one.parent else "random weights"),
    ]
    recipe = [(name, _text(value)) for name, value in _flat(one.recipe)]
    return (
        f"## The network {one.name}\n\n{_table(rows)}\n\n### Its training\n\n{_table(recipe)}\n\n"
    )


def scored(scores: Sequence[Score]) -> str:
    """Return the section on scores, which says so if there are none."""
    if not scores:
        return "## Scores\n\nNone is known.\n\n"
    rows = [(score.name, score.rows, repr(round(score.value, 5))) for score in scores]
    lines = ["| R2 over 368 targets | rows | value |", "|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "## Scores\n\n" + "\n".join(lines) + "\n\n"


def card(
    one: Row,
    reached: Sequence[Score],
    of_team: Sequence[Score],
    data: Sequence[Tuple[str, str]] = (),
) -> str:
    """Return the whole card of a network.

    reached  by these checkpoints: the front matter claims no other
    of_team  published of the team's own checkpoints, for comparison
    data     (what, text) of the rows that they were trained on and judged by
    """
    return (
        front_matter(one.name, reached)
        + f"\n# {one.name}\n\n"
        + card_prose.INTENDED
        + described(one)
        + (f"### Its data\n\n{_table(data)}\n\n" if data else "")
        + scored([*reached, *of_team])
        + card_prose.LIMITS
        + (card_prose.REDUCED if one.profile == "sample" else "")
        + card_prose.LICENCE
        + card_prose.CITATION
    )


def _table(rows: Sequence[Tuple[str, str]]) -> str:
    # A bar or a tag in a text of anybody's would end its cell.
    cells = [[each.replace("|", "&#124;").replace("<", "&lt;") for each in row] for row in rows]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in cells)])


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[Tuple[str, Any]]:
    """Yield the numbers of a recipe, those of its parts under their names."""
    for name, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield (prefix + name).strip(), value


def _text(value: Any) -> str:
    """Return a value as a cell: plain words and numbers without quotes."""
    return value or "-" if isinstance(value, str) else json.dumps(value)


def _yaml(value: Any, indent: str = "") -> Iterator[str]:
    """Yield the lines of a mapping or a list in YAML; scalars are JSON, which YAML reads."""
    pairs = value.items() if isinstance(value, Mapping) else ((None, item) for item in value)
    for name, item in pairs:
        head = indent + (f"{name}:" if name is not None else "-")
        if isinstance(item, (Mapping, list)):
            lines = list(_yaml(item, indent + "  "))
            if name is None:  # the first line of an item stands beside its dash
                yield f"{head} {lines[0].strip()}"
                lines = lines[1:]
            else:
                yield head
            yield from lines
        else:
            yield f"{head} {json.dumps(item)}"
