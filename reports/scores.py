"""Every score that a run reached, and what Kaggle and the team say of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from blend.published_scores import PublishedScore
from leapkit.core import score_receipts
from leapkit.core.columns import GROUPS, TARGETS
from leapkit.core.errors import KitError, printable
from leapkit.core.files import read_json
from leapkit.core.layout import Results
from reports import values
from reports.record import Score, Step

_PARENT = "of the parent "  # what a receipt says of a group that is not fine-tuned


def scores_of(results: Results, steps: Sequence[Step]) -> List[Score]:
    """Return what the files of scores and the receipts of trainings say, test rows first."""
    scores: Dict[Tuple[str, str], Score] = {}
    for step in steps:
        if step.kind == "scores":
            for score in _of_file(results.root / step.product.path, step.product.path):
                scores[score.rows, score.name] = score
    for step in steps:
        validation = values.mapping(step.details.get("validation"))
        reached = values.number(validation.get("all_columns"))
        if step.kind == "training" and step.group is None and reached is not None:
            predicted = values.number(validation.get("predicted"))
            score = Score(step.network, "validation", reached, predicted, step.receipt)
            scores[score.rows, score.name] = score
    return [*scores.values(), *_scores_of_groups(steps), *_scores_of_stacks(steps)]


def _scores_of_groups(steps: Sequence[Step]) -> Iterator[Score]:
    """Yield the validation scores of networks that are fine-tuned per group of targets."""
    parents = {
        step.network: step for step in steps if step.kind == "training" and step.group is None
    }
    groups: Dict[str, List[Step]] = {}
    for step in steps:
        if step.kind == "training" and step.group is not None:
            groups.setdefault(step.network, []).append(step)
    for network, own in groups.items():
        reached = _of_groups(own, parents)
        if reached is not None:
            yield Score(network, "validation", reached, None, own[-1].receipt)


def _scores_of_stacks(steps: Sequence[Step]) -> Iterator[Score]:
    """Yield the scores of stacks on the validation rows, each predicted out of its fold."""
    for step in steps:
        known = values.mapping(values.mapping(step.details.get("out of fold")).get("stack"))
        reached = values.number(known.get("all_columns"))
        if step.kind == "submission" and reached is not None:
            predicted = values.number(known.get("predicted"))
            yield Score(step.artifact, "validation", reached, predicted, step.receipt)


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
        groups = values.list_of(values.mapping(scored.details.get("validation")).get("groups"))
        known = values.number(groups[step.group]) if len(groups) == len(GROUPS) else None
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
        reached = values.number(row.get("all_columns")) if isinstance(row, dict) else None
        if reached is not None:
            name = printable(row.get("name", ""))
            scores.append(Score(name, "test", reached, values.number(row.get("predicted")), source))
    return scores


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


def as_numbers(published: Optional[PublishedScore]) -> Dict[str, float]:
    """Return a published score as {"cv", "public", "private"}, {} for None."""
    if published is None:
        return {}
    return {name: float(getattr(published, name)) for name in ("cv", "public", "private")}
