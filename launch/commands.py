"""The sub-commands: what each does, the options that it takes, and what it calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Tuple

from launch import (
    apptainer,
    bundle,
    doctor,
    emulated,
    emulating,
    estimate_lines,
    names,
    options,
    planning,
    registry,
    run,
    sifs,
    slurm_submit,
    testing,
    tools,
    unbundle,
)
from launch.blend_tools import make_world
from launch.folders import expanded_words, require_writable
from launch.settings import Settings, choose, choose_for_jobs

WORLD_OPTIONS = ("RAW_DATA", "SUBMISSION", "PROFILE")
RUN_OPTIONS = (
    *("RUNTIME", "STACK", "DEVICE", "GPUS", *WORLD_OPTIONS, "WEIGHTS", "EXPERIMENTS"),
    *("STEP_PRECISION", "PRECISION"),
)
BLEND_OPTIONS = (*RUN_OPTIONS, "TABLE", "POSTPROCESS")
EMULATOR_OPTIONS = ("NETWORK", "TO", "RUNTIME", "STACK", *WORLD_OPTIONS, "WEIGHTS", "POSTPROCESS")


@dataclass(frozen=True)
class Request:
    """What the user typed.

    values  {variable: value} of the options that were given
    rest    the arguments that are passed on
    """

    values: Dict[str, str]
    rest: List[str]

    @property
    def mode(self) -> str:
        """reproduce unless MODE says otherwise."""
        return self.values.get("MODE", "reproduce")


@dataclass(frozen=True)
class Command:
    """One sub-command.

    options    the variables that it takes
    passes_to  what gets the arguments that are no options, "" if they are refused
    """

    help: str
    run: Callable[[Request], int]
    options: Tuple[str, ...] = ()
    passes_to: str = ""


def _settings(request: Request, mode: str, needs_runtime: bool = True) -> Settings:
    """Return all choices of a run. Raises KitError for a name that does not exist."""
    settings = choose(mode, request.values, needs_runtime)
    names.require_known(settings, request.values)
    return settings


def _with_results(request: Request, mode: str) -> Settings:
    """Return all choices of a command that writes results, whose folder is checked too."""
    settings = _settings(request, mode)
    remedy = "name a folder that you may write to with SUBMISSION=folder"
    require_writable(settings.results.root, remedy)
    return settings


def _reproduce(request: Request) -> int:
    return run.run(_with_results(request, "reproduce"))


def _infer_only(request: Request) -> int:
    return run.run(_with_results(request, "infer-only"))


def _member(member: str) -> Command:
    def run_member(request: Request) -> int:
        return run.run(_with_results(request, request.mode), member)

    return Command(f"{member} alone: train and predict", run_member, (*RUN_OPTIONS, "MODE"))


def _plan(request: Request) -> int:
    settings = _settings(request, request.mode, needs_runtime=False)
    run.show(settings.lines())
    plan = planning.make(settings, settings.experiments(), with_blend=True)
    run.show(plan.lines())
    run.show(estimate_lines.lines(plan, settings))
    return 0


def _slurm(request: Request) -> int:
    settings = choose_for_jobs(request.mode, request.values)
    names.require_known(settings, request.values)
    return slurm_submit.run(settings, request.values)


def _blend(request: Request) -> int:
    settings = _with_results(request, request.mode)
    names.require_data(settings)
    run.show(settings.lines())
    return run.run_blend(settings, settings.experiments())


def _verify(request: Request) -> int:
    settings = _with_results(request, request.mode)
    names.require_parquets(settings)
    names.require_data(settings)
    run.show(settings.lines())
    return tools.verify(settings, request.values.get("ARTIFACTS", ""))


def _fetch(request: Request) -> int:
    # What it fetches into need not exist yet: no name is checked.
    return tools.fetch(choose("infer-only", request.values, needs_runtime=False), request.values)


def _world(request: Request) -> int:
    make_world(_settings(request, "reproduce"))
    return 0


def _statistics(request: Request) -> int:
    settings = _settings(request, "reproduce")
    names.require_train_csv(settings)
    run.show(settings.lines())
    return tools.train_statistics(settings)


def _sifs(request: Request) -> int:
    values = {**request.values, "RUNTIME": "docker"}
    settings = choose("reproduce", values, is_elsewhere=True)
    services = [*settings.experiments(), "blend"]
    if "NETWORK" in values:
        settings = emulating.with_stack(settings, emulated.named(values["NETWORK"], "sifs"))
        services.append("emulator")
    for path in apptainer.make_files(settings, services):
        print(f"{path} ({path.stat().st_size / 1e9:.2f} GB)", flush=True)
    place = "the cluster's clone as .sifs, or to the folder that LEAP_SIFS names there"
    print(f"copy {sifs.folder()} to {place}; then run with RUNTIME=apptainer", flush=True)
    return 0


def _split(request: Request) -> int:
    flags = ("--steps", "--to", "--train", "--validation", "--test")
    arguments = expanded_words(request.rest, "SPLIT")
    tools.step_folders(arguments)
    names.require_arguments("SPLIT", arguments, flags)
    return tools.split(_settings(request, "reproduce"), arguments)


def _store(request: Request) -> int:
    arguments = expanded_words(request.rest, "STORE")
    tools.step_folders(arguments)
    names.require_arguments("STORE", arguments, ("--to",))
    on_a_cluster = tools.names_a_scheduler(arguments)
    settings = _settings(request, "reproduce", needs_runtime=not on_a_cluster)
    return tools.store(settings, arguments)


def _variables(request: Request) -> int:
    run.show(options.table())
    return 0


def commands() -> Dict[str, Command]:
    """Return every sub-command, in the order of the help."""
    return {
        "reproduce": Command("train everything, predict, blend", _reproduce, BLEND_OPTIONS),
        "infer-only": Command("predict with published checkpoints", _infer_only, BLEND_OPTIONS),
        **{member: _member(member) for member in registry.members()},
        "blend": Command("the blend alone", _blend, (*BLEND_OPTIONS, "MODE")),
        "predict": Command(
            "a network or a blend on columns of your own",
            lambda request: emulating.predict(request.values),
            (*EMULATOR_OPTIONS, "INPUTS", "DEVICE", "PRECISION", "STEP_PRECISION"),
        ),
        "export": Command(
            "a network or a blend as files for other programs",
            lambda request: emulating.export(request.values),
            (*EMULATOR_OPTIONS, "FORMATS"),
        ),
        "plan": Command(
            "what would run, why, and how long it takes", _plan, (*BLEND_OPTIONS, "MODE", "CARD")
        ),
        "slurm": Command(
            "the plan as batch jobs; SUBMIT=1 submits them",
            _slurm,
            (*BLEND_OPTIONS, "MODE", "SUBMIT", "SLURM", "HOURS", "PACK", "CARD"),
        ),
        "doctor": Command(
            "what this machine has, and what you can run now",
            lambda request: doctor.run(request.values),
            ("RAW_DATA", "SUBMISSION", "WEIGHTS"),
        ),
        "verify": Command(
            "check the parquets in submission/subs, admit your own",
            _verify,
            ("RUNTIME", *WORLD_OPTIONS, "MODE", "ARTIFACTS"),
        ),
        "fetch": Command(
            "fetch the data that WHAT names; without it, list what exists",
            _fetch,
            ("RAW_DATA", "WEIGHTS", "WHAT", "MONTHS", "DRIVE", "DROP"),
        ),
        "world": Command("make the sample world alone", _world, ("RUNTIME",)),
        "statistics": Command(
            "mean and std of train.csv", _statistics, ("RUNTIME", "RAW_DATA", "PROFILE")
        ),
        "sifs": Command(
            "the images as files, for a machine with Apptainer",
            _sifs,
            ("STACK", "DEVICE", "EXPERIMENTS", "NETWORK"),
        ),
        "split": Command(
            "make a scored world from step files",
            _split,
            ("RUNTIME",),
            "leapkit.worlds.make_world: --steps DIR --to DIR --train M:M --validation M:M"
            " --test M:M [--statistics DIR]",
        ),
        "store": Command(
            "write step files as one array a month",
            _store,
            ("RUNTIME", "RAW_DATA", "PROFILE"),
            "leapkit.worlds.month_arrays: --to DIR [--steps DIR] [--months M:M]"
            " [--scheduler ADDRESS]",
        ),
        "bundle": Command(
            "all that a machine without a network needs, in one folder with its sums",
            lambda request: bundle.run(request.values),
            ("BUNDLE", "RUNTIME", "STACK", "DEVICE", "EXPERIMENTS"),
        ),
        "unbundle": Command(
            "check a bundle, and install what it holds",
            lambda request: unbundle.run(request.values),
            ("BUNDLE",),
        ),
        "check": Command(
            "format, lint, types and the unit tests: a minute",
            lambda request: testing.check(request.rest),
            passes_to="pytest",
        ),
        "test": Command(
            "what you run before you hand over",
            lambda request: testing.test(request.rest),
            passes_to="pytest",
        ),
        "test-end-to-end": Command(
            "whole commands, in containers and without",
            lambda request: testing.end_to_end(request.rest),
            passes_to="pytest",
        ),
        "lint": Command("ruff and mypy", lambda request: testing.lint()),
        "bench": Command("the benchmarks", lambda request: testing.bench()),
        "variables": Command("the variables of make, which are the options", _variables),
    }
