"""The steps of a run: one for each receipt, each product without one, and what has begun."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from leapkit.core import run_progress
from leapkit.core.columns import GROUP_NAMES
from leapkit.core.errors import printable
from leapkit.core.layout import Results, RunFiles, progress_path
from leapkit.core.ownership import ADMITTED
from leapkit.core.receipts import receipt_path
from reports import standings, traces, values
from reports.record import RUNNING, FileRecord, PlannedStep, PlanRecord, Standing, Step
from reports.traces import Trace

# {kind of receipt: what a step of it is called}
VERBS = {
    "training": "train",
    "stack network": "train",
    "submission": "infer",
    ADMITTED: "admit",
    "weights": "search weights of",
    "errors": "collect errors of",
    "blend": "blend",
    "scores": "score",
    "report": "draw",
}
# Prefixes of the blend's files, which its table's name follows.
_OF_BLEND = ("final_blend_", "weights_", "gram_", "scores_", "report_")
LONGEST = 1e10  # seconds of a step: 317 years, as a receipt may be anybody's
# What stands in fields of its own.
_TAKEN = ("seconds", "device", "precision", "environments", "peak memory", "ran because")


def of_results(results: Results, found: Sequence[Trace], plan: PlanRecord) -> List[Step]:
    """Return the steps in the order in which they began; those without a time come last."""
    products = standings.Products(results, list(found))
    names = _names_of_artifacts(plan)
    steps = [_step(trace, results, products, plan, names) for trace in found]
    begun = list(_begun(results, {_work(step) for step in steps if step.receipt}))
    unproven = {_work(step) for step in begun}  # its files are those of the work that goes on
    steps = [step for step in steps if step.receipt or _work(step) not in unproven] + begun
    unique = _with_unique_names(steps)
    unique.sort(key=lambda step: (not step.started, step.started, step.finished, step.name))
    return _linked(unique)


def _names_of_artifacts(plan: PlanRecord) -> Dict[str, str]:
    """Return {artifact: network}: receipts of older versions do not name their network."""
    return {step.artifact: step.name for step in plan.steps if step.artifact}


def _step(
    trace: Trace,
    results: Results,
    products: standings.Products,
    plan: PlanRecord,
    names: Mapping[str, str],
) -> Step:
    receipt = trace.receipt
    details = trace.details
    artifact = _artifact(trace, results)
    network = printable(trace.network or names.get(artifact, ""))
    kind = trace.kind or ("training" if trace.product.suffix == ".pt" else "file")
    step = Step(
        name=_name(kind, network, trace.group, artifact, trace.product),
        kind=printable(kind),
        product=file_record(trace.product, results, str(receipt.get("sha256", ""))),
        standing=Standing("", "", ""),
        network=network,
        group=trace.group,
        artifact=artifact,
        outputs=tuple(_outputs(trace, results, artifact)),
        receipt=_below(receipt_path(trace.product), results) if receipt else "",
        inputs={printable(role): printable(sha) for role, sha in _inputs(receipt).items()},
        started=values.time(receipt.get("started")),
        finished=values.time(receipt.get("finished")),
        device=values.text(details.get("device")),
        precision=values.text(details.get("precision")),
        environment=values.environment(receipt.get("environment")),
        environments=tuple(map(values.mapping, values.list_of(details.get("environments")))),
        memory=values.numbers(details.get("peak memory")),
        why=values.text(details.get("ran because")),
        details={key: value for key, value in details.items() if key not in _TAKEN},
    )
    planned = _planned(step, trace, plan)
    seconds = _seconds(details.get("seconds"), step)
    return replace(step, seconds=seconds, standing=standings.judge(trace, products, planned))


def _planned(step: Step, trace: Trace, plan: PlanRecord) -> Optional[PlannedStep]:
    """Return what the plan says of a step; None if that is nothing."""
    verb = {"training": "train", "submission": "infer", ADMITTED: "infer"}.get(step.kind, "")
    name = step.network
    if step.kind == "blend" and not trace.details.get("post-processing"):
        verb = "blend"
        name = values.text(trace.details.get("table"))
    for planned in plan.steps:
        if (planned.name, planned.step, planned.group) == (name, verb, step.group):
            return planned
    return None


def _name(kind: str, network: str, group: Optional[int], artifact: str, product: Path) -> str:
    """Return what a step is called: "train forcewithme/39 group 3 (q0002)"."""
    stem = product.name if kind not in VERBS else product.stem
    for prefix in _OF_BLEND:
        stem = stem[len(prefix) :] if product.stem.startswith(prefix) and kind in VERBS else stem
    verb = VERBS.get(kind, kind)
    of_group = "" if group is None else f" group {group} ({GROUP_NAMES[group]})"
    fold = f" {stem}" if kind == "stack network" else ""
    return printable(f"{verb} {network or artifact or stem}{of_group}{fold}")


def _artifact(trace: Trace, results: Results) -> str:
    named = trace.receipt.get("artifact", "")
    in_subs = trace.product.parent == results.subs
    return printable(str(named) or (trace.product.stem if in_subs else ""))


def _outputs(trace: Trace, results: Results, artifact: str) -> Iterator[FileRecord]:
    """Yield what a step made beside its product, with the hashes that its receipt names."""
    if trace.kind == "training":
        files = RunFiles(trace.product.parent, trace.product.parent.name, trace.group)
        oof = values.text(trace.details.get("oof"))
        yield file_record(files.validation_predictions, results, oof)
        yield file_record(
            files.confidence, results, values.text(trace.details.get("confidence head"))
        )
        yield file_record(files.log, results)
        yield file_record(files.history, results)
    if trace.kind == "submission" and artifact:
        copied = values.mapping(trace.details.get("oof"))
        if copied:
            path = results.validation_predictions(trace.product.stem)
            yield file_record(path, results, values.text(copied.get("sha256")))
    if trace.kind == "report":
        yield file_record(trace.product.with_suffix(".json"), results)


def file_record(path: Path, results: Results, sha256: str = "") -> FileRecord:
    """Return a file as the record names it."""
    try:
        size: Optional[int] = path.stat().st_size
    except OSError:
        size = None
    return FileRecord(_below(path, results), printable(sha256), size)


def _below(path: Path, results: Results) -> str:
    return printable(path.relative_to(results.root).as_posix(), 1000)


def _work(step: Step) -> Tuple[str, Optional[int], str]:
    return step.network, step.group, step.kind


def _begun(results: Results, known: Any) -> Iterator[Step]:
    """Yield the trainings and inferences that have begun and left no receipt yet."""
    for path in traces.unfinished(results):
        is_training = path.suffix == ".pt"
        network, group = traces.network_of(path)
        kind = "training" if is_training else "submission"
        if (network, group, kind) in known:
            continue
        stem = path.name.split(".")[0]
        progress = run_progress.read(
            path.with_name(stem + ".progress.json") if is_training else progress_path(path)
        )
        share = f", {progress.fraction:.0%} done" if progress else ""
        yield Step(
            name=_name(kind, network, group, "", path),
            kind=kind,
            product=file_record(path, results),
            standing=Standing(RUNNING, f"has begun{share}; the next run continues it", "receipt"),
            network=printable(network),
            group=group,
        )


def _with_unique_names(steps: Sequence[Step]) -> List[Step]:
    counts = Counter(step.name for step in steps)
    return [
        step if counts[step.name] == 1 else replace(step, name=f"{step.name} [{step.product.path}]")
        for step in steps
    ]


def _linked(steps: Sequence[Step]) -> List[Step]:
    """Say which steps' products each step was made from: their hashes are among its inputs."""
    makers: Dict[str, List[str]] = {}
    for step in steps:
        for made in (step.product, *step.outputs):
            if made.sha256:
                makers.setdefault(made.sha256, []).append(made.path)
    return [replace(step, made_from=_made_from(step, makers)) for step in steps]


def _made_from(step: Step, makers: Mapping[str, Sequence[str]]) -> Tuple[str, ...]:
    """Return the paths of a step's inputs. Of several with the same bytes, the role names one."""
    paths = []
    for role, sha256 in step.inputs.items():
        name = role.replace("checkpoint ", "", 1)
        same = [path for path in makers.get(sha256, ()) if path != step.product.path]
        named = [path for path in same if name in (Path(path).name, Path(path).stem)]
        paths += (named or same)[:1]
    return tuple(dict.fromkeys(paths))


def _inputs(receipt: Mapping[str, Any]) -> Dict[str, str]:
    return dict(receipt.get("inputs", {}))


def _seconds(recorded: Any, step: Step) -> Optional[float]:
    """Return what a step says that it took, else the time between its beginning and its end."""
    seconds = values.number(recorded)
    if seconds is not None and 0.0 <= seconds < LONGEST:
        return seconds
    if not (step.started and step.finished):
        return None
    return (values.moment(step.finished) - values.moment(step.started)).total_seconds()
