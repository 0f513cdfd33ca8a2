"""A plan in lines: what is the same for many experiments is said once."""

from __future__ import annotations

import textwrap
from typing import Dict, List, Sequence, Tuple

from leapkit.core.layout import RawData
from leapkit.core.plan import ExperimentPlan
from leapkit.core.receipts import Verdict
from leapkit.core.splits import PUBLISHED
from leapkit.core.step_files import MonthListing, steps_of

# From this number on, experiments with the same steps and reasons share one line.
TOGETHER = 3
MONTHS_SHOWN = 8
_UNBROKEN = "\x1f"  # stands for a space at which no line ends


def line(name: str, text: str) -> str:
    """Return one line of the plan."""
    return f"{name:<24} {text}"


def world_line(world: Verdict) -> str:
    """Return the line of the sample world."""
    return line("sample world", f"{'exists' if world.done else 'must be made'}: {world.reason}")


def blend_line(table: str, blend: Verdict) -> str:
    """Return the line of one blend."""
    return line(f"blend {table}", f"{'is skipped' if blend.done else 'runs'}: {blend.reason}")


def experiment_lines(plans: Sequence[ExperimentPlan]) -> List[str]:
    """Return the lines of all experiments, in order of their first.

    `TOGETHER` or more with equal steps and reasons become one line, and their names below it.
    """
    groups: Dict[Tuple[str, ...], List[str]] = {}
    for plan in plans:
        groups.setdefault(steps_and_reasons(plan), []).append(plan.experiment.name)
    lines = []
    for phrases, names in groups.items():
        if len(names) < TOGETHER:
            lines += [line(name, phrase) for name in names for phrase in phrases]
        else:
            lines.append(line(f"{len(names)} experiments", "; ".join(phrases)))
            lines += wrapped(names)
    return lines


def wrapped(phrases: Sequence[str]) -> List[str]:
    """Return short phrases, with commas between them, in lines that break none of them."""
    indent = line("", "")
    lines = textwrap.wrap(
        ", ".join(phrase.replace(" ", _UNBROKEN) for phrase in phrases),
        100,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [each.replace(_UNBROKEN, " ") for each in lines]


def steps_and_reasons(plan: ExperimentPlan) -> Tuple[str, ...]:
    """Return what an experiment does and why, steps with the same reason in one phrase."""
    if plan.blocked:
        return (f"cannot run: {plan.blocked}; {plan.remedy}",)
    steps: Dict[Tuple[bool, str], List[str]] = {}
    for step, reason in plan.reasons.items():
        runs = plan.train if step == "train" else plan.infer
        steps.setdefault((runs, reason), []).append(step)
    phrases = []
    for (runs, reason), names in steps.items():
        if runs:
            verb = "run" if len(names) > 1 else "runs"
        else:
            verb = "are skipped" if len(names) > 1 else "is skipped"
        phrases.append(f"{' and '.join(names)} {verb}: {reason}")
    return tuple(phrases)


def month_lines(raw: RawData, months: Sequence[MonthListing]) -> List[str]:
    """Return which months train and validate, and the months that are not complete.

    months  by `row_counts.read_months`
    Return nothing if there are no step files: the experiments that need them say so.
    """
    if not months:
        return []
    split = raw.split()
    counts = f"{len(split.train)} months train, {len(split.validation)} validate"
    if not raw.has_own_split:
        counts += f" (published: {len(PUBLISHED.train)}, {len(PUBLISHED.validation)})"
    incomplete = [
        line("", month.line())
        for month in months
        if month.unexpected or len(month.pairs) != steps_of(month.name)
    ]
    lines = [line("step files", counts)] + incomplete[:MONTHS_SHOWN]
    if len(incomplete) > MONTHS_SHOWN:
        lines.append(line("", f"and {len(incomplete) - MONTHS_SHOWN} more that are not complete"))
    return lines
