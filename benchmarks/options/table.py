"""The table of options: a variant's difference from the base, paired by seed, with its spread."""

from __future__ import annotations

import math
from statistics import mean, median, stdev
from typing import Any, Dict, List, Sequence, Tuple

from benchmarks.options.variants import BASE, VARIANTS

KINDS = ("in fold", "out of fold", "withheld")
# Two-sided 95 % points of Student's t for 1, 2, ... degrees of freedom.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
Records = Sequence[Dict[str, Any]]


def lines(records: Records) -> List[str]:
    """Return a table in Markdown for each base network and world."""
    out: List[str] = []
    for network, world in dict.fromkeys((r["network"], r["world"]) for r in records):
        chosen = [r for r in records if (r["network"], r["world"]) == (network, world)]
        out += _of_world(f"{world}, {network}", chosen)
    return out


def _of_world(title: str, records: Records) -> List[str]:
    variants = dict.fromkeys([*VARIANTS, *(r["variant"] for r in records)])  # and `stack`
    rows = [("variant", "seeds", *KINDS, "CPU s a step", "GB")]
    for variant in variants:
        by_seed = {r["seed"]: r for r in records if r["variant"] == variant}
        base = {r["seed"]: r for r in records if r["variant"] == BASE}
        if by_seed:
            rows.append((variant, str(len(by_seed)), *_cells(variant, by_seed, base)))
    body = ["| " + " | ".join(row) + " |" for row in rows]
    return [f"**{title}**", "", body[0], "|" + "---|" * len(rows[0]), *body[1:], ""]


def _cells(
    variant: str, by_seed: Dict[int, Dict[str, Any]], base: Dict[int, Dict[str, Any]]
) -> Tuple[str, ...]:
    seconds = [r["seconds a step"] for r in by_seed.values() if r["seconds a step"]]
    memory = max(next(iter(r["peak memory"].values())) for r in by_seed.values())
    if variant == BASE:
        scores = [_level([_score(r, kind) for r in by_seed.values()]) for kind in KINDS]
    else:
        pairs = [(by_seed[seed], base[seed]) for seed in by_seed if seed in base]
        scores = [_effect([_score(r, kind) - _score(b, kind) for r, b in pairs]) for kind in KINDS]
    return (*scores, f"{median(seconds):.4f}" if seconds else "-", f"{memory:.2f}")


def _score(record: Dict[str, Any], kind: str) -> float:
    return float(record["scores"][kind]["predicted"])


def _level(values: Sequence[float]) -> str:
    spread = f" (std {stdev(values):.4f})" if len(values) > 1 else ""
    return f"{mean(values):.4f}{spread}"


def _effect(differences: Sequence[float]) -> str:
    """Describe paired differences: mean and half width of the 95 % interval; * if 0 is outside."""
    if not differences:
        return "-"
    if len(differences) == 1:
        return f"{differences[0]:+.4f}"
    half = interval(differences)
    mark = " *" if abs(mean(differences)) > half else ""
    return f"{mean(differences):+.4f} ± {half:.4f}{mark}"


def interval(differences: Sequence[float]) -> float:
    """Return the half width of the 95 % interval of the mean of paired differences (Student)."""
    count = len(differences)
    t95 = _T95[min(count - 1, len(_T95)) - 1]
    return t95 * stdev(differences) / math.sqrt(count)
