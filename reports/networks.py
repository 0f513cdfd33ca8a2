"""The networks of a run in one line each."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Tuple

from blend import published_scores
from leapkit.core.errors import KitError, printable
from reports import scores
from reports.record import (
    NO_RECEIPT,
    RUNNING,
    STALE,
    TRAININGS,
    UNCHECKED,
    VALID,
    Curve,
    Network,
    PlanRecord,
    Score,
    Step,
)
from reports.values import number

# From the worst: a network is as good as its worst step.
_ORDER = (RUNNING, STALE, NO_RECEIPT, UNCHECKED, VALID)
_OF_NETWORKS = (*TRAININGS, "submission", "admitted", "file")


def chosen_table(steps: Sequence[Step], requested: str) -> str:
    """Return the table of the blend that the page is about, "" if there is no blend.

    requested  by the user; else `searched`, else `v10`, else the blend that was made last
    Raises KitError if there is no such blend.
    """
    tables = [str(step.details.get("table", "")) for step in steps if step.kind == "blend"]
    if requested and requested not in tables:
        remedy = "choose " + " or ".join(sorted(set(tables))) if tables else "run `make blend`"
        raise KitError(f"there is no blend of the table {requested}", "TABLE", remedy)
    usual = [table for table in ("searched", "v10") if table in tables]
    return requested or (usual or tables[-1:] or [""])[0]


def weights_of(steps: Sequence[Step], table: str) -> Dict[str, float]:
    """Return {artifact: its weight} in a table's blend; {} if there are several for each."""
    for step in steps:
        if step.kind == "blend" and step.details.get("table") == table:
            entries = step.details.get("weights")
            entries = entries if isinstance(entries, list) else []
            pairs = [
                (printable(entry.get("artifact", "")), number(entry.get("weight")))
                for entry in entries
                if isinstance(entry, dict)
            ]
            return {artifact: weight for artifact, weight in pairs if weight is not None}
    return {}


def of_steps(
    steps: Sequence[Step],
    reached_scores: Sequence[Score],
    curves: Sequence[Curve],
    plan: PlanRecord,
    table: str,
) -> List[Network]:
    """Return the networks, those of the blend by weight and then the others by name."""
    weights = weights_of(steps, table)
    reached = {(score.rows, score.name): score for score in reached_scores}
    artifacts = {step.name: step.artifact for step in plan.steps if step.artifact}
    artifacts.update(
        {step.network: step.artifact for step in steps if step.artifact and step.network}
    )
    by_name: Dict[str, List[Step]] = {}
    for step in steps:
        if step.kind in _OF_NETWORKS and (step.network or step.artifact):
            by_name.setdefault(step.network or step.artifact, []).append(step)
    networks = [
        _network(
            name, artifacts.get(name, "" if "/" in name else name), own, reached, curves, weights
        )
        for name, own in by_name.items()
    ]
    return sorted(
        networks, key=lambda each: (-abs(each.weight or 0.0), not each.artifact, each.name)
    )


def _network(
    name: str,
    artifact: str,
    steps: Sequence[Step],
    reached: Mapping[Tuple[str, str], Score],
    curves: Sequence[Curve],
    weights: Mapping[str, float],
) -> Network:
    validation = reached.get(("validation", name))
    test = reached.get(("test", artifact))
    states = [step.standing.state for step in steps]
    best = [
        evaluation.r2
        for curve in curves
        if (curve.network, curve.group) == (name, None)
        for evaluation in curve.evaluations
        if evaluation.is_best
    ]
    return Network(
        name=name,
        artifact=artifact,
        state=min(states, key=_ORDER.index),
        steps=tuple(step.name for step in steps),
        validation=validation.all if validation else (best or [None])[-1],
        predicted=validation.predicted if validation else None,
        test=test.all if test else None,
        test_predicted=test.predicted if test else None,
        seconds=sum(step.seconds or 0.0 for step in steps),
        weight=weights.get(artifact) if artifact else None,
        published=scores.as_numbers(published_scores.NETWORKS.get(artifact)),
        kaggle=_kaggle(artifact, reached),
    )


def _kaggle(artifact: str, reached: Mapping[Tuple[str, str], Score]) -> Dict[str, float]:
    """Return what Kaggle answered for a network's parquet."""
    scores = {rows: reached.get((rows, artifact)) for rows in ("public", "private")}
    return {rows: score.all for rows, score in scores.items() if score}
