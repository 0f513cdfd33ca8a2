"""Score tables as text (standard library only, as the launcher prints them too)."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

from blend.payload import FormScore, Quality
from leapkit.core.columns import GROUP_NAMES


def score_table(rows: Sequence[Dict[str, Any]]) -> str:
    """Format scores: weight in the blend, R2 over 368 and over 292 targets, and per group.

    rows  of scores_<title>.json: name, weight, all_columns, predicted, groups
    """
    head = "R2 on the test rows"
    width = max([len(head)] + [len(row["name"]) for row in rows])
    groups = " ".join(f"{name.replace('ptend_', ''):>8}" for name in GROUP_NAMES)
    lines = [f"{head:<{width}} {'weight':>8} {'of 368':>9} {'of 292':>9}  {groups}"]
    for row in rows:
        weight = f"{row['weight']:8.4f}" if row.get("weight") else " " * 8
        scores = " ".join(f"{value:8.4f}" for value in row["groups"])
        lines.append(
            f"{row['name']:<{width}} {weight} {row['all_columns']:9.5f} {row['predicted']:9.5f}  "
            f"{scores}"
        )
    return "\n".join(lines)


def forms_table(scores: Sequence[FormScore]) -> str:
    """Format the forms of weights: R2 over the 292 predicted targets, in brackets over all 368."""
    head = "R2 of 292 targets (of 368)"
    width = max([len(head)] + [len(score.name) for score in scores])
    heads = ["in sample", "held-out months"]
    tested = any(score.test for score in scores)
    if tested:
        heads.append("withheld test")
    lines = [f"{head:<{width}} {' '.join(f'{column:>19}' for column in heads)}  overfit"]
    for score in scores:
        cells = [_cell(score.in_sample), _cell(score.held_out)]
        if tested:
            cells.append(_cell(score.test))
        overfit = ""
        if score.held_out:
            overfit = f"{score.in_sample.predicted - score.held_out.predicted:8.5f}"
        mark = "  <- this blend" if score.chosen else ""
        lines.append(f"{score.name:<{width}} {' '.join(cells)}  {overfit}{mark}")
    return "\n".join(lines)


def _cell(quality: Optional[Quality]) -> str:
    return f"{quality.predicted:9.5f} ({quality.all:.5f})" if quality else " " * 19
