"""Collects the record of a run from its folder of results; nothing there is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence, Tuple

from blend import published_scores
from leapkit import __version__
from leapkit.core import receipts
from leapkit.core.errors import KitError, printable
from leapkit.core.files import read_json, sha256
from leapkit.core.layout import Results
from reports import curves, networks, remarks, scores, steps, traces
from reports.record import FileRecord, Kit, PlannedStep, PlanRecord, Record, Step

SBOMS = "sbom/*.cdx.json"  # that `make sbom` left in the results


def collect(results: Results, asked: Mapping[str, Any], table: str = "") -> Record:
    """Return the record of the run whose results these are.

    asked  what the launcher wrote (launch.reporting), {} if nobody asked it
    table  the blend that the record is about; "" chooses one
    Raises KitError if there is nothing of a run, or no such blend.
    """
    found = traces.of_results(results)
    plan = plan_of(asked)
    all_steps = tuple(steps.of_results(results, found, plan))
    chosen = networks.chosen_table(all_steps, table)
    drawn, problems = curves.of_results(results)
    answers, others = scores.answers_of(results, all_steps)
    reached = [*scores.scores_of(results, all_steps), *answers]
    return Record(
        kind=_kind(all_steps),
        table=chosen,
        kit=kit_of(asked),
        steps=all_steps,
        networks=tuple(networks.of_steps(all_steps, reached, drawn, plan, chosen)),
        curves=tuple(drawn),
        scores=tuple(reached),
        plan=plan,
        remarks=tuple(remarks.of_run(all_steps, drawn, plan, [*problems, *others])),
        published=scores.as_numbers(published_scores.BLEND),
        sboms=tuple(_sboms(results)),
    )


def _sboms(results: Results) -> Iterator[FileRecord]:
    for path in sorted(results.root.glob(SBOMS)):
        if path.is_file():
            yield steps.file_record(path, results, sha256(path))


def _kind(all_steps: Sequence[Step]) -> str:
    kinds = {step.kind for step in all_steps}
    if "training" in kinds:
        return "training"
    return "inference" if "submission" in kinds else "blend"


def read_asked(path: Path) -> Mapping[str, Any]:
    """Return what the launcher wrote; {} if it did not, or if that cannot be read."""
    if not path.exists():
        return {}
    try:
        asked = read_json(path)
    except KitError:
        return {}
    return asked if isinstance(asked, dict) else {}


def kit_of(asked: Mapping[str, Any]) -> Kit:
    """Return who looks at the run, with which kit."""
    kit = asked.get("kit", {})
    return Kit(
        version=__version__,
        code=printable(kit.get("code", "")),
        user=printable(kit.get("user", "")),
        made=receipts.now(),
        machine=kit.get("machine", {}),
        locks=kit.get("locks", {}),
    )


def plan_of(asked: Mapping[str, Any]) -> PlanRecord:
    """Return what `make plan` said; if nobody asked it, that is its problem."""
    plan = asked.get("plan")
    if not isinstance(plan, dict):
        return PlanRecord(problem="it was not asked")
    try:
        return PlanRecord(
            made=str(plan["made"]),
            mode=str(plan["mode"]),
            profile=str(plan["profile"]),
            choices=tuple(_three(choice) for choice in plan["choices"]),
            lines=tuple(map(str, plan["lines"])),
            steps=tuple(PlannedStep(**step) for step in plan["steps"]),
            problem=str(plan["problem"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        return PlanRecord(problem=f"its answer cannot be read ({printable(error)})")


def _three(choice: Sequence[str]) -> Tuple[str, str, str]:
    variable, value, reason = map(str, choice)
    return variable, value, reason
