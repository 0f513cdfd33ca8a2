"""The networks of a run in one line each, and every score that it reached."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from blend import published_scores
from blend.published_scores import PublishedScore
from leapkit.core import score_receipts
from leapkit.core.columns import GROUPS, TARGETS
from leapkit.core.errors import KitError, printable
from leapkit.core.files import read_json
from leapkit.core.layout import Results
from reports.record import (
    NO_RECEIPT,
    RUNNING,
    STALE,
    UNCHECKED,
    VALID,
    Curve,
    Network,
    PlanRecord,
    Score,
    Step,
)

# From the worst: a network is as good as its worst step.
_ORDER = (RUNNING, STALE, NO_RECEIPT, UNCHECKED, VALID)
_PARENT = "of the parent "  # what a receipt says of a group that is not fine-tuned
_OF_NETWORKS = ("training", "submission", "admitted", "file")


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


def scores_of(results: Results, steps: Sequence[Step]) -> List[Score]:
    """Return what the files of scores and the receipts of trainings say, test rows first."""
    scores: Dict[Tuple[str, str], Score] = {}
    for step in steps:
        if step.kind == "scores":
            for score in _of_file(results.root / step.product.path, step.product.path):
                scores[score.rows, score.name] = score
    for step in steps:
        validation = step.details.get("validation")
        if step.kind == "training" and step.group is None and isinstance(validation, dict):
            reached = _number(validation.get("all_columns"))
            if reached is not None:
                predicted = _number(validation.get("predicted"))
                score = Score(step.network, "validation", reached, predicted, step.receipt)
                scores[score.rows, score.name] = score
    return [*scores.values(), *_scores_of_groups(steps)]


def _scores_of_groups(steps: Sequence[Step]) -> Iterator[Score]:
    """Yield the validation scores of networks that are fine-tuned per group of targets."""
    parents = {step.network: step for step in steps if step.kind == "training" and step.group is None}
    groups: Dict[str, List[Step]] = {}
    for step in steps:
        if step.kind == "training" and step.group is not None:
            groups.setdefault(step.network, []).append(step)
    for network, own in groups.items():
        reached = _of_groups(own, parents)
        if reached is not None:
            yield Score(network, "validation", reached, None, own[-1].receipt)


def _of_groups(own: Sequence[Step], parents: Mapping[str, Step]) -> Optional[float]:
    """Return R2 over all targets of a network that is fine-tuned per group: each group's own.

    own      the trainings of its groups
    parents  {network: its training}
    None unless every group's R2 is known.
    """
    total = 0.0
    for step in own:
        assert step.group is not None
        scored = step
        origin = str(step.details.get("weights", ""))
        if origin.startswith(_PARENT):  # what is kept scores what it did
            scored = parents.get(origin[len(_PARENT) :], step)
        validation = scored.details.get("validation")
        groups = validation.get("groups") if isinstance(validation, dict) else None
        known = _number(groups[step.group]) if isinstance(groups, list) and len(groups) == 7 else None
        if known is None:
            return None
        total += known * (GROUPS[step.group].stop - GROUPS[step.group].start)
    return total / len(TARGETS) if len({step.group for step in own}) == len(GROUPS) else None


def _of_file(path: Path, source: str) -> List[Score]:
    """Return the scores of a file of the blend; [] of one that is none."""
    try:
        rows = read_json(path)
    except KitError:
        return []
    rows = rows if isinstance(rows, list) else []
    scores = []
    for row in rows:
        reached = _number(row.get("all_columns")) if isinstance(row, dict) else None
        if reached is not None:
            name = printable(row.get("name", ""))
            scores.append(Score(name, "test", reached, _number(row.get("predicted")), source))
    return scores


def weights_of(steps: Sequence[Step], table: str) -> Dict[str, float]:
    """Return {artifact: its weight} in a table's blend; {} if there are several for each."""
    for step in steps:
        if step.kind == "blend" and step.details.get("table") == table:
            entries = step.details.get("weights")
            entries = entries if isinstance(entries, list) else []
            pairs = [
                (printable(entry.get("artifact", "")), _number(entry.get("weight")))
                for entry in entries
                if isinstance(entry, dict)
            ]
            return {artifact: weight for artifact, weight in pairs if weight is not None}
    return {}


def of_steps(
    steps: Sequence[Step],
    scores: Sequence[Score],
    curves: Sequence[Curve],
    plan: PlanRecord,
    table: str,
) -> List[Network]:
    """Return the networks, those of the blend by weight and then the others by name."""
    weights = weights_of(steps, table)
    reached = {(score.rows, score.name): score for score in scores}
    artifacts = {step.name: step.artifact for step in plan.steps if step.artifact}
    artifacts.update({step.network: step.artifact for step in steps if step.artifact and step.network})
    by_name: Dict[str, List[Step]] = {}
    for step in steps:
        if step.kind in _OF_NETWORKS and (step.network or step.artifact):
            by_name.setdefault(step.network or step.artifact, []).append(step)
    networks = [
        _network(name, artifacts.get(name, "" if "/" in name else name), own, reached, curves, weights)
        for name, own in by_name.items()
    ]
    return sorted(networks, key=lambda each: (-abs(each.weight or 0.0), each.name))


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
        published=as_numbers(published_scores.NETWORKS.get(artifact)),
        kaggle=_kaggle(artifact, reached),
    )


def as_numbers(published: Optional[PublishedScore]) -> Dict[str, float]:
    """Return a published score as {"cv", "public", "private"}, {} for None."""
    if published is None:
        return {}
    return {name: float(getattr(published, name)) for name in ("cv", "public", "private")}


def answers_of(results: Results, steps: Sequence[Step]) -> Tuple[List[Score], List[str]]:
    """Return Kaggle's scores of products as they are now, and a line for each other answer."""
    scores: List[Score] = []
    others: List[str] = []
    now = {(Path(step.product.path).name, step.product.sha256) for step in steps}
    for path in sorted(results.scores.glob("[!.]*.json")):
        try:
            receipt = score_receipts.read(path)
        except KitError as error:
            others.append(f"an answer of Kaggle cannot be read: {error.what}")
            continue
        name = printable(receipt.stem)
        reached = {"public": receipt.public_r2, "private": receipt.private_r2}
        if (receipt.product, receipt.sha256) not in now:
            others.append(f"Kaggle's answer to {name} is of other bytes than the file has now")
        elif receipt.state != score_receipts.COMPLETE:
            refusal = f": {printable(receipt.refusal)}" if receipt.refusal else ""
            others.append(f"Kaggle's answer to {name} is not a score ({receipt.state}{refusal})")
        else:
            source = path.relative_to(results.root).as_posix()
            scores += [
                Score(name, rows, value, None, source)
                for rows, value in reached.items()
                if value is not None and math.isfinite(value)
            ]
    return scores, others


def _kaggle(artifact: str, reached: Mapping[Tuple[str, str], Score]) -> Dict[str, float]:
    """Return what Kaggle answered for a network's parquet."""
    scores = {rows: reached.get((rows, artifact)) for rows in ("public", "private")}
    return {rows: score.all for rows, score in scores.items() if score}


def _number(value: Any) -> Optional[float]:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else None
