"""The results of the steps as text: one table, and the rates where amounts of work are known."""

from __future__ import annotations

from statistics import median
from typing import Any, Dict, List, Tuple


def table(results: Dict[str, Dict[str, Any]]) -> List[str]:
    """Return the lines of one table: a header, then a line per step and side of the kit."""
    head = (
        "step",
        "size",
        "published s",
        "ours s",
        "ratio",
        "published MB",
        "ours MB",
        "goal",
        "results",
    )
    lines: List[Tuple[str, ...]] = [head]
    for result in results.values():
        if "sides" not in result:
            lines.append(
                (result["title"], "skipped" if "skipped" in result else "FAILED")
                + ("-",) * 6
                + (result.get("skipped") or result["failed"],)
            )
            continue
        published = result["sides"]["published"]
        for name, side in result["sides"].items():
            if name != "published":
                ratio = side["work"] / published["work"] * _faster(published, side)
                lines.append(
                    (
                        result["title"] + name[len("ours") :],
                        result["size"],
                        f"{published['seconds']:.3f}",
                        f"{side['seconds']:.3f}",
                        f"{ratio:.1f}x",
                        _memory(published),
                        _memory(side),
                        result["goal"],
                        result["equal"],
                    )
                )
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    ]


def _faster(published: Dict[str, Any], side: Dict[str, Any]) -> float:
    """Return how many times as fast a side is: in the median of their turns, if they took any."""
    if side.get("takes_turns"):
        pairs = zip(published["runs"], side["runs"])
        return float(median(before / own for before, own in pairs))
    return float(published["seconds"] / side["seconds"])


def rates(results: Dict[str, Dict[str, Any]]) -> List[str]:
    """Return a line per side of the steps whose amounts of work are known."""
    lines = []
    for name, result in results.items():
        for side, measured in result.get("sides", {}).items():
            texts = [
                f"{amount / measured['seconds']:,.1f} {unit}/s"
                for unit, amount in result["amounts"].items()
            ]
            if texts:
                lines.append(f"{name:<18} {side:<14} " + ", ".join(texts))
    return lines


def _memory(side: Dict[str, Any]) -> str:
    return f"{side['peak_mb'] - side['base_mb']:.0f} ({side['peak_mb']:.0f})"
