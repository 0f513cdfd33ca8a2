"""`make report`: what `make plan` says of a run, who asks, and the page that shows it."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from blend.naming import parse_blends
from launch import planning, registry
from launch.blend_tools import in_environment
from launch.choices import AS_REQUESTED
from launch.code_version import code_version
from launch.folders import require_writable
from launch.planning import Plan
from launch.runtimes import image_runtimes, stacks
from launch.settings import Settings, choose
from leapkit.core import allotment, model_cards, receipts
from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.files import sha256, write_json, write_text
from leapkit.core.layout import Results
from leapkit.core.training_options import TrainingOptions
from reports import crate, crate_writing, traces
from reports.record import PlannedStep
from reports.traces import ASKED, Trace

# Bytes that are read to learn their hashes. What a run reads it remembers, so this is for files
# that were copied since.
READ = 2 << 30
AS_THE_RUN = "as the run has it"


def run(requested: Mapping[str, str]) -> int:
    """Write the report of the run in SUBMISSION, and say where it is.

    Raises KitError if that holds nothing of a run, or if the report cannot be written.
    """
    results = choose("reproduce", requested, needs_runtime=False).results
    found = traces.of_results(results)
    settings = choose(*_like_the_run(found, requested))
    to = Path(requested.get("TO") or results.report).resolve()
    if to.is_file():
        raise KitError("is a file", f"TO={to}", "name a folder")
    require_writable(to, "name a folder that you may write to with TO=")
    with tempfile.TemporaryDirectory(prefix="leap-report-") as scratch:
        asked = Path(scratch)
        asked.chmod(0o755)  # a container reads it as another user
        table = requested.get("TABLE", "")
        known = {"place": crate_writing.place_of(to, results.root), "rows": _rows(found)}
        plan = _plan(settings, found, requested)
        write_json(asked / ASKED, {"plan": plan, "kit": _kit(), **known})
        code = _start(settings, results, asked, to, table)
    if not code:
        print(f"report: {to / 'index.html'}", flush=True)
        _place_crate(to / crate_writing.METADATA, results.root / crate.FILE)
    return code


def _place_crate(metadata: Path, path: Path) -> None:
    """Give the crate's metadata its place in the folder of results, if that can be written.

    What made it may have seen that folder read-only.
    """
    if not metadata.exists():
        return
    try:
        write_text(path, metadata.read_text(encoding="utf-8"))
    except KitError as error:
        print(f"note: the crate's metadata stays in the report: {error}", flush=True)
        path = metadata
    else:
        metadata.unlink()
    print(f"crate: {path}", flush=True)


def _rows(found: Sequence[Trace]) -> Dict[str, Any]:
    """Return {network: what its card says} of the run's networks."""
    profiles = {trace.network or trace.product.stem: trace.profile for trace in found}
    sizes = {name: profile for name, profile in profiles.items() if profile}
    default = next(iter(sizes.values()), "full")
    known = _with_options(registry.members(), found)
    return {
        each.name: asdict(model_cards.row(each, sizes.get(each.name, default)))
        for each in registry.flat(known)
        if each.artifact and {each.name, each.artifact} & set(profiles)
    }


def _start(settings: Settings, results: Results, asked: Path, to: Path, table: str) -> int:
    words = [f"--table={table}"]
    if settings.in_containers:
        mounts = {"LEAP_ASKED": asked, "LEAP_TO": to}
        return image_runtimes.on_folder(settings, "report", words, mounts, to)
    folders = [f"--submission={results.root}", f"--asked={asked}", f"--to={to}"]
    return in_environment(["-m", "reports", *words, *folders])


def _like_the_run(found: Sequence[Trace], requested: Mapping[str, str]) -> Any:
    """Return the mode and the values that `choose` takes: the user's, else those of the run."""
    kinds = {trace.kind for trace in found}
    inferred = "infer-only" if kinds & {"submission", "admitted"} else "reproduce"
    mode = requested.get("MODE") or ("reproduce" if "training" in kinds else inferred)
    values = {name: value for name, value in requested.items() if name != "TABLE"}
    profiles = {trace.profile for trace in found} - {""}
    if "PROFILE" not in values and len(profiles) == 1:
        values["PROFILE"] = profiles.pop()
    tables = requested.get("TABLE") or ",".join(_tables(found))
    return mode, {**values, **({"TABLE": tables} if tables else {})}


def _tables(found: Sequence[Trace]) -> Iterator[str]:
    """Yield the tables of the run's blends by which the plan finds them again."""
    for trace in found:
        table = trace.details.get("table")
        if trace.kind == "blend" and isinstance(table, str):
            try:
                parse_blends(table)
            except KitError:  # a file of the user's own, which lies anywhere
                continue
            if not trace.details.get("post-processing"):
                yield table


def _plan(
    settings: Settings, found: Sequence[Trace], requested: Mapping[str, str]
) -> Dict[str, Any]:
    """Return what `make plan` says, as the record of a run takes it."""
    said: Dict[str, Any] = {
        "made": receipts.now(),
        "mode": settings.mode,
        "profile": settings["PROFILE"],
        "choices": _choices(settings, requested),
        "lines": [],
        "steps": [],
        "problem": "",
    }
    try:
        plan = planning.make(settings, _experiments(settings, found, requested), True, READ)
    except KitError as error:
        return {**said, "problem": str(error)}
    return {
        **said,
        "lines": plan.lines(),
        "steps": [asdict(step) for step in _steps(plan)],
        "problem": _problem(plan),
    }


def _choices(settings: Settings, requested: Mapping[str, str]) -> List[List[str]]:
    """Return (variable, value, reason) of what the plan was asked about."""
    return [
        [name, choice.value, choice.reason]
        if choice.reason != AS_REQUESTED or name in requested
        else [name, choice.value, AS_THE_RUN]
        for name, choice in settings.choices.items()
        if choice.value
    ]


def _experiments(
    settings: Settings, found: Sequence[Trace], requested: Mapping[str, str]
) -> registry.Registry:
    """Return the experiments that are asked about: the user's, else those of such a run.

    Those are the default's and what lies there beside them; of parquets alone only these. Each has
    the options that it was trained with.
    """
    known = registry.flat(registry.members())
    names = {trace.network for trace in found} | {trace.product.stem for trace in found}
    here = [each.name for each in known if {each.name, each.artifact} & names]
    if not requested.get("EXPERIMENTS"):
        if {trace.kind for trace in found} & {"training", "submission"}:
            here += [each.name for each in registry.flat(settings.experiments())]
        elif not here:
            return {}
    chosen = requested.get("EXPERIMENTS") or ",".join(dict.fromkeys(here))
    return _with_options(registry.chosen(chosen, "", settings.mode, settings.everything), found)


def _with_options(run: registry.Registry, found: Sequence[Trace]) -> registry.Registry:
    """Return experiments with the options that their receipts say that they were trained with."""
    beyond = dict(_options(found))
    return {
        member: tuple(_as_trained(each, beyond.get(each.name)) for each in several)
        for member, several in run.items()
    }


def _as_trained(experiment: Experiment, options: Optional[TrainingOptions]) -> Experiment:
    if options:
        with contextlib.suppress(ValueError):  # its recipe has become another that has none such
            return experiment.with_options(options)
    return experiment


def _options(found: Sequence[Trace]) -> Iterator[Tuple[str, TrainingOptions]]:
    """Yield (network, the options that its training's receipt records), where it records any."""
    for trace in found:
        recipe = trace.details.get("recipe")
        if isinstance(recipe, dict) and isinstance(recipe.get("options"), dict):
            with contextlib.suppress(TypeError, ValueError):  # another version's, or nobody's
                yield trace.network, TrainingOptions(**recipe["options"])


def _steps(plan: Plan) -> Iterator[PlannedStep]:
    for each in plan.experiments:
        name = each.experiment.name
        artifact = each.experiment.artifact
        if "train" in each.reasons:
            for planned in each.checkpoints:
                step = PlannedStep(name, "train", planned.train, planned.reason, planned.group)
                yield step
        if "infer" in each.reasons and not each.blocked:
            yield PlannedStep(name, "infer", each.infer, each.reasons["infer"], None, artifact)
    for table, verdict in plan.blends.items():
        yield PlannedStep(table, "blend", not verdict.done, verdict.reason)


def _problem(plan: Plan) -> str:
    """Return why the plan says nothing of some steps, "" if it does not."""
    problems: List[str] = []
    if plan.blocked:
        first = plan.blocked[0]
        count = f"{len(plan.blocked)} of {len(plan.experiments)} networks cannot be planned"
        remedy = "name the data of this run with RAW_DATA="
        problems.append(f"{count} ({first.experiment.name}: {first.blocked}; {remedy})")
    if plan.blend_problem and not plan.blocked:
        problems.append(plan.blend_problem)
    return "; ".join(problems)


def _kit() -> Dict[str, Any]:
    """Return who asks, and with which kit on which machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user whom the system does not know
        user = str(os.getuid())
    return {
        "code": code_version(),
        "user": user,
        "machine": {
            "platform": platform.platform(),
            "cores": allotment.cores(),
            "memory GB": round(allotment.memory() / 1e9, 1),
        },
        "locks": {path.stem: sha256(path) for path in sorted(stacks.LOCKS.glob("*.txt"))},
    }
