"""What a reader of a run should know: mixed stacks, precisions, what is stale or not known."""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

from leapkit.core.errors import printable
from reports.record import (
    NO_RECEIPT,
    RUNNING,
    STALE,
    TRAININGS,
    UNCHECKED,
    Curve,
    PlanRecord,
    Remark,
    Step,
)

WARNING = "warning"
NOTE = "note"
_COMPUTED = (*TRAININGS, "submission")


def of_run(
    steps: Sequence[Step], curves: Sequence[Curve], plan: PlanRecord, problems: Sequence[str]
) -> List[Remark]:
    """Return all remarks, warnings first."""
    remarks = [
        *_standings(steps),
        *_stacks(steps),
        *_precisions(steps),
        *_code(steps),
        *_origins(steps),
        *_not_known(steps, curves, plan),
        *(Remark(NOTE, problem) for problem in problems),
    ]
    return sorted(remarks, key=lambda remark: remark.level != WARNING)


def _names(steps: Sequence[Step]) -> Tuple[str, ...]:
    return tuple(step.name for step in steps)


def _standings(steps: Sequence[Step]) -> Iterator[Remark]:
    for state, text in (
        (STALE, "would be made again: an input, or the product itself, has changed"),
        (NO_RECEIPT, "without a receipt that can be read: nothing says what made the file"),
        (RUNNING, "begun and not finished"),
    ):
        chosen = [step for step in steps if step.standing.state == state]
        if chosen:
            yield Remark(WARNING, f"{_count(chosen)} {text}", _names(chosen))
    unread = [step for step in steps if step.standing.state == UNCHECKED]
    if unread:
        text = (
            "not read again: their hashes are not known, and they are many; `make plan` reads them"
        )
        yield Remark(NOTE, f"the bytes of {_count(unread)} were {text}", _names(unread))


def _stacks(steps: Sequence[Step]) -> Iterator[Remark]:
    """Yield remarks on networks that were not computed on one stack and device."""
    computed = [step for step in steps if step.kind in _COMPUTED and step.environment]
    chosen = {step.environment.get("stack", "") for step in computed}
    if len(chosen) > 1:
        names = " and ".join(sorted(name or "none" for name in chosen))
        yield Remark(WARNING, f"mixed stacks: networks were computed with STACK={names}")
    by_network: Dict[str, List[Step]] = {}
    for step in computed:
        by_network.setdefault(step.network or step.artifact, []).append(step)
    for what, of in (
        ("versions of torch", lambda step: step.packages.get("torch", "")),
        ("devices", lambda step: step.device),
    ):
        mixed = [own for own in by_network.values() if len(_values(own, of)) > 1]
        if mixed:
            text = f"mixed {what} within {_count(mixed, 'network')}: " + "; ".join(
                f"{own[0].network or own[0].name}: {', '.join(sorted(_values(own, of)))}"
                for own in mixed[:5]
            )
            yield Remark(WARNING, text, _names([step for own in mixed for step in own]))
    resumed = [step for step in computed if len(step.environments) > 1]
    if resumed:
        text = f"{_count(resumed)} took several processes on different settings; receipts list them"
        yield Remark(NOTE, text, _names(resumed))


def _values(steps: Sequence[Step], of: Callable[[Step], str]) -> List[str]:
    return sorted({of(step) for step in steps} - {""})


def _precisions(steps: Sequence[Step]) -> Iterator[Remark]:
    float32 = [step for step in steps if step.details.get("step precision") == "float32"]
    if float32:
        text = "read step files in float32, which were accepted with STEP_PRECISION=float32"
        yield Remark(WARNING, f"{_count(float32)} {text}", _names(float32))
    for step in steps:
        cost = step.details.get("precision cost")
        if isinstance(cost, dict):
            numbers = ", ".join(f"{printable(name)} {_shown(cost[name])}" for name in cost)
            yield Remark(NOTE, f"{step.name} ran in bf16, which costs: {numbers}", (step.name,))
    tf32 = [step for step in steps if step.precision == "tf32"]
    if tf32:
        yield Remark(NOTE, f"{_count(tf32)} ran in TF32, as the team's cards did", _names(tf32))


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, (int, float)) else printable(value)


def _code(steps: Sequence[Step]) -> Iterator[Remark]:
    codes = Counter(step.environment.get("code", "") for step in steps if step.environment)
    known = {code: count for code, count in codes.items() if code}
    dirty = [code for code in known if code.endswith("-dirty")]
    if dirty:
        text = "ran with changes of the kit that were not committed"
        own = [step for step in steps if step.environment.get("code", "") in dirty]
        yield Remark(WARNING, f"{_count(own)} {text}", _names(own))
    if len(known) > 1:
        shares = ", ".join(f"{code or 'unknown'} ({count} steps)" for code, count in codes.items())
        yield Remark(NOTE, f"{len(known)} commits of the kit took part: {shares}")


def _origins(steps: Sequence[Step]) -> Iterator[Remark]:
    admitted = [step for step in steps if step.kind == "admitted"]
    if admitted:
        text = "from elsewhere: nothing is known of the training"
        yield Remark(NOTE, f"{_count(admitted, 'parquet')} {text}", _names(admitted))
    kept = [step for step in steps if str(step.details.get("weights", "")).startswith("of the par")]
    if kept:
        text = "kept the parent's weights, as the rule says"
        yield Remark(NOTE, f"{_count(kept, 'group')} {text}", _names(kept))
    if any(step.details.get("profile") == "sample" for step in steps):
        text = "the networks have sample size: their scores say nothing about the published ones"
        yield Remark(NOTE, text)


def _not_known(
    steps: Sequence[Step], curves: Sequence[Curve], plan: PlanRecord
) -> Iterator[Remark]:
    if plan.problem:
        text = f"`make plan` cannot say what holds, so receipts alone were compared: {plan.problem}"
        yield Remark(NOTE, text)
    logged = [curve for curve in curves if curve.source == "log"]
    if logged:
        text = "left no history, as in an older version of the kit: the curve is drawn from the log"
        yield Remark(NOTE, f"{_count(logged, 'training')} {text}, a point an evaluation")
    late = [curve for curve in curves if curve.begins]
    if late:
        text = "begun by a version of the kit that kept no history: losses before are unknown"
        yield Remark(NOTE, f"{_count(late, 'training')} {text}")
    unmeasured = [
        step for step in steps if step.kind in _COMPUTED and step.receipt and not step.memory
    ]
    if unmeasured:
        text = "without a recorded peak memory: an older version of the kit ran"
        yield Remark(NOTE, f"{_count(unmeasured)} {text}", _names(unmeasured))


def _count(things: Sequence[object], what: str = "step") -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"
