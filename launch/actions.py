"""What each sub-command does with what the user typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List

from launch import (
    emulating,
    evaluating,
    names,
    options,
    planning,
    registry,
    run,
    submitting,
    tools,
)
from launch.blend_tools import make_world
from launch.costs import estimate_lines
from launch.folders import expanded_words, require_writable
from launch.runtimes import apptainer, sifs
from launch.settings import Settings, choose, choose_for_jobs
from launch.slurm import job_submission
from leapkit.core import amounts


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


def reproduce(request: Request) -> int:
    """Train everything, predict, blend."""
    return run.run(_with_results(request, "reproduce"))


def infer_only(request: Request) -> int:
    """Predict with the published checkpoints, and blend."""
    return run.run(_with_results(request, "infer-only"))


def member(name: str) -> Callable[[Request], int]:
    """Return what runs one member alone."""

    def run_member(request: Request) -> int:
        return run.run(_with_results(request, request.mode), name)

    return run_member


def plan(request: Request) -> int:
    """Show what would run, and how long it takes."""
    settings = _settings(request, request.mode, needs_runtime=False)
    run.show(settings.lines())
    plan = planning.make(settings, settings.experiments(), with_blend=True)
    run.show(plan.lines())
    run.show(estimate_lines.lines(plan, settings))
    return 0


def slurm(request: Request) -> int:
    """Show the plan as batch jobs, or submit them."""
    settings = choose_for_jobs(request.mode, request.values)
    names.require_known(settings, request.values)
    return job_submission.run(settings, request.values)


def blend(request: Request) -> int:
    """Run the blend alone."""
    settings = _with_results(request, request.mode)
    names.require_test_rows(settings)
    run.show(settings.lines())
    return run.run_blend(settings, settings.experiments())


def verify(request: Request) -> int:
    """Check parquets."""
    settings = _with_results(request, request.mode)
    names.require_parquets(settings)
    names.require_test_rows(settings)
    run.show(settings.lines())
    chosen = registry.named_artifacts(request.values.get("ARTIFACTS", ""))
    return tools.verify(settings, ",".join(chosen))


def evaluate(request: Request) -> int:
    """Judge predictions as the field does."""
    settings = _with_results(request, "reproduce")
    names.require_data(settings)
    run.show(settings.lines())
    return evaluating.run(settings, request.values)


def submit(request: Request) -> int:
    """Send blends or networks to Kaggle."""
    settings = choose("infer-only", request.values)  # Kaggle's rows, whoever trained
    names.require_known(settings, request.values)
    run.show(settings.lines())
    return submitting.run(settings, request.values)


def fetch(request: Request) -> int:
    """Fetch what WHAT names."""
    # What it fetches into need not exist yet: no name is checked.
    return tools.fetch(choose("infer-only", request.values, needs_runtime=False), request.values)


def world(request: Request) -> int:
    """Make the sample world."""
    make_world(_settings(request, "reproduce"))
    return 0


def statistics(request: Request) -> int:
    """Compute the statistics of train.csv."""
    settings = _settings(request, "reproduce")
    names.require_train_csv(settings)
    run.show(settings.lines())
    return tools.train_statistics(settings)


def make_sifs(request: Request) -> int:
    """Make the images as files."""
    values = {**request.values, "RUNTIME": "docker"}
    settings = choose("reproduce", values, is_elsewhere=True)
    members = [*settings.experiments(), "blend"]
    images = emulating.with_emulator(settings, members, values.get("NETWORK", ""), "sifs")
    for chosen, services in images:
        for path in apptainer.make_files(chosen, services):
            print(f"{path} ({amounts.size(path.stat().st_size)})", flush=True)
    place = "the cluster's clone as .sifs, or to the folder that LEAP_SIFS names there"
    print(f"copy {sifs.folder()} to {place}; then run with RUNTIME=apptainer", flush=True)
    return 0


def split(request: Request) -> int:
    """Make a scored world from step files."""
    flags = ("--steps", "--to", "--train", "--validation", "--test")
    arguments = expanded_words(request.rest, "SPLIT")
    tools.step_folders(arguments)
    names.require_arguments("SPLIT", arguments, flags)
    return tools.split(_settings(request, "reproduce"), arguments)


def store(request: Request) -> int:
    """Write step files as one array a month."""
    arguments = expanded_words(request.rest, "STORE")
    tools.step_folders(arguments)
    names.require_arguments("STORE", arguments, ("--to",))
    on_a_cluster = tools.names_a_scheduler(arguments)
    settings = _settings(request, "reproduce", needs_runtime=not on_a_cluster)
    return tools.store(settings, arguments)


def variables(request: Request) -> int:
    """List the variables of make."""
    run.show(options.table())
    return 0
