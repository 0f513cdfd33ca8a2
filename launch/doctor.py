"""What this machine has, what can be run on it now, and the commands that give the rest."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

from blend import tables
from launch import choices, folders, gpus, machine, registry
from launch.gpus import Gpu
from launch.runtimes import engine, sifs, stacks, venv
from launch.settings import Settings, choose, sample_world
from leapkit.core import allotment, amounts
from leapkit.core.allotment import ROOT
from leapkit.core.errors import KitError
from leapkit.core.experiments import FAMILY_NAMES
from leapkit.core.files import free_bytes
from leapkit.core.hash_index import HashIndex
from leapkit.core.ownership import published_checkpoints
from leapkit.core.receipts import receipt_path
from leapkit.core.step_files import list_months

FETCH_KAGGLE = "make fetch WHAT=kaggle"
FETCH_STATISTICS = "make fetch WHAT=statistics"
FETCH_STEPS = "make fetch WHAT=steps MONTHS=0008-01:0008-03"
FETCH_WEIGHTS = "make fetch WHAT=weights DRIVE=<the address in the team's README>"


@dataclass(frozen=True)
class Way:
    """A command, what it does, and {what it lacks: the command that gives it}."""

    command: str
    purpose: str
    lacks: Mapping[str, str] = field(default_factory=dict)


def run(requested: Mapping[str, str]) -> int:
    """Print what the machine has and the verdict. Change nothing."""
    gpu = gpus.probe()
    settings = choose("reproduce", requested, needs_runtime=False)
    places = {"SUBMISSION": settings.results.root, "LEAP_VENVS": venv.folder()}
    for name, value in machine_facts(gpu, places):
        print(f"{name:<20} {value}")
    print()
    for line in verdict(runtimes(gpu), ways(requested)):
        print(line)
    return 0


def machine_facts(gpu: Gpu, places: Mapping[str, Path]) -> List[Tuple[str, str]]:
    """Return (name, value) of the interpreters, the engine, the GPU, the allotment, the disks.

    places  {variable: the folder that it names}
    """
    facts = [("this Python", f"{platform.python_version()} ({sys.executable})")]
    for version in stacks.pythons():
        facts.append(("python" + version, machine.interpreter(version) or "not installed"))
    problem = engine.problem()
    answer = problem.what if problem else "answers"
    facts.append(("container engine", f"{answer} (needed: {engine.needed()})"))
    for version in [] if problem else stacks.pythons():
        image = stacks.base_image(version, probe=True)
        facts.append(("base image " + version, image or "none, and no image registry answers"))
    problem = engine.apptainer_problem()
    facts.append(("apptainer", problem.what if problem else engine.apptainer_program()))
    facts.append(("GPU", f"{gpu.state}: {gpu.how}"))
    cores, memory = allotment.core_limit(ROOT), allotment.memory_limit(ROOT)
    facts.append(("cores", f"{cores.amount} ({cores.source})"))
    facts.append(("memory", f"{amounts.size(memory.amount)} ({memory.source})"))
    for variable, path in places.items():
        facts.append((variable, f"{path}: {_of_folder(path)}"))
    return facts


def _of_folder(folder: Path) -> str:
    """Return whether a folder can be written to and locked, and how much is free there."""
    problem = folders.write_problem(folder)
    if problem:
        return f"cannot be written to ({problem})"
    problem = folders.lock_problem(folder)
    locks = f"no file locks ({problem}): let one command at a time work there" if problem else ""
    free = free_bytes(folder)
    space = "" if free is None else f"{amounts.size(free)} free"
    return ", ".join(filter(None, [space, locks]))


def runtimes(gpu: Gpu) -> List[Way]:
    """Return the runtimes and what they lack."""
    docker: Dict[str, str] = {}
    try:
        choices.runtime("docker")
    except KitError as error:
        docker[error.what] = error.remedy
    apptainer: Dict[str, str] = {}
    problem = engine.apptainer_problem()
    if problem:
        apptainer[problem.what] = problem.remedy
    if docker and not sifs.exist():
        apptainer[f"SIF files in {sifs.folder()}"] = sifs.REMEDY
    stack = choices.stack(in_containers=False, gpu=gpu)
    missing = [] if machine.interpreter(stacks.BLEND_PYTHON) else [stacks.BLEND_PYTHON]
    environments = {f"python{version}": "install it, or PYTHON_3_11=path" for version in missing}
    if not venv.folder().exists():  # one that exists may be shared, and complete
        environments.update(_unwritable(venv.folder(), "LEAP_VENVS=folder"))
    return [
        Way("RUNTIME=docker", "each member in a container", docker),
        Way("RUNTIME=apptainer", "each member in a SIF file", apptainer),
        Way("RUNTIME=venv", f"virtual environments, STACK={stack.value}", environments),
    ]


def ways(requested: Mapping[str, str]) -> List[Way]:
    """Return what the kit can do with the user's data and results, and what each lacks."""
    settings = choose("infer-only", requested, needs_runtime=False)
    raw = settings.raw
    test_files = list(raw.test_files().values())
    kaggle_files = _absent(raw.root, [*test_files, raw.old_weights], FETCH_KAGGLE)
    results = _unwritable(settings.results.root, "SUBMISSION=folder")
    data = {**results, **kaggle_files, **_statistics(settings)}
    parquets = {**results, **_absent(raw.root, test_files, FETCH_KAGGLE), **_parquets(settings)}
    sample = " PROFILE=sample" if raw.test_csv.exists() else ""
    world = {} if sample_world().exists() else _unwritable(sample_world(), "copy the kit elsewhere")
    return [
        Way(
            "make reproduce" + sample,
            "all networks in the sample world, which it makes",
            {**results, **world},
        ),
        Way("make infer-only", "the published networks", {**data, **_checkpoints(settings)}),
        Way("make reproduce PROFILE=full", "training on your data", {**data, **_steps(settings)}),
        Way("make blend MODE=infer-only", "the published blend", parquets),
    ]


def _unwritable(folder: Path, remedy: str) -> Dict[str, str]:
    """Return {what is lacking: remedy} if nothing can be written to a folder, {} if it can."""
    problem = folders.write_problem(folder)
    return {f"write access to {folder} ({problem})": remedy} if problem else {}


def _absent(root: Path, paths: Sequence[Path], command: str) -> Dict[str, str]:
    """Return {the files below `root` that do not exist: command}, {} if all exist."""
    names = [str(path.relative_to(root)) for path in paths if not path.exists()]
    return {", ".join(names): command} if names else {}


def _statistics(settings: Settings) -> Dict[str, str]:
    folders = [settings.raw.statistics(family) for family in FAMILY_NAMES]
    files = [folder / name for folder in folders for name in ("mean.json", "std.json")]
    return _absent(settings.raw.root, files, FETCH_STATISTICS)


def _steps(settings: Settings) -> Dict[str, str]:
    """Return the step files if there is no month of them."""
    steps = settings.raw.steps
    if steps.is_dir() and list_months(steps):
        return {}
    return {f"step files in {steps}": FETCH_STEPS}


def _checkpoints(settings: Settings) -> Dict[str, str]:
    """Return the networks of the published blend whose checkpoints do not exist."""
    blended = [experiment for experiment in registry.flat(registry.members()) if experiment.blended]
    absent = []
    for experiment in blended:
        try:
            published_checkpoints(experiment, settings.weights(experiment.member), HashIndex())
        except KitError:
            absent.append(experiment.name)
    if not absent:
        return {}
    return {f"checkpoints of {len(absent)} of {len(blended)} networks": FETCH_WEIGHTS}


def _parquets(settings: Settings) -> Dict[str, str]:
    """Return how many of the published blend's parquets do not exist, or lack a receipt."""
    parquets = [settings.results.parquet(name) for name in tables.find("v10").artifacts]
    absent = [path for path in parquets if not path.exists()]
    if absent:
        remedy = f"make infer-only, or copy yours to {settings.results.subs}"
        return {f"{len(absent)} of {len(parquets)} parquets": remedy}
    if not all(receipt_path(path).exists() for path in parquets):
        return {"receipts of the parquets": "make verify"}
    return {}


def verdict(runtimes: Sequence[Way], ways: Sequence[Way]) -> List[str]:
    """Return what can be run now, then the commands that give the rest."""
    runnable = [runtime for runtime in runtimes if not runtime.lacks]
    ready = [way for way in ways if runnable and not way.lacks]
    lacking = "each command lacks something" if runnable else "no runtime works"
    lines = ["You can run now:"] if ready else [f"You can run nothing yet: {lacking}."]
    for way in ready:
        lines.append(f"  {way.command:<34} {way.purpose}")
    if ready:
        names = " or ".join(f"{way.command} ({way.purpose})" for way in runnable)
        lines.append(f"  with {names}")
    rest = [way for way in (*ways, *runtimes) if way.lacks]
    if rest:
        lines += ["", "For the rest:"]
    for way in rest:
        lines.append(f"  {way.command:<34} {way.purpose}; it lacks")
        lines += [f"    {what}: {command}" for what, command in way.lacks.items()]
    return lines
