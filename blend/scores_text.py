"""The score table as text (standard library only, as the launcher prints it too)."""

from __future__ import annotations

from typing import Any, Dict, Sequence

from leapkit.core.columns import GROUP_NAMES


def table(rows: Sequence[Dict[str, Any]]) -> str:
    """The scores as text: weight in the blend, R2 over 368 columns, over the 292 predicted ones, and per group."""
    groups = [name.replace("ptend_", "") for name in GROUP_NAMES]
    head = "R2 on the test rows"
    width = max([len(head)] + [len(row["name"]) for row in rows])
    lines = [
        "%-*s %8s %9s %9s  %s"
        % (width, head, "weight", "all 368", "292 nets'", " ".join("%8s" % n for n in groups))
    ]
    for row in rows:
        weight = "{:8.4f}".format(row["weight"]) if row.get("weight") else " " * 8
        lines.append(
            "%-*s %s %9.5f %9.5f  %s"
            % (
                width,
                row["name"],
                weight,
                row["all_columns"],
                row["predicted"],
                " ".join(f"{value:8.4f}" for value in row["groups"]),
            )
        )
    return "\n".join(lines)
