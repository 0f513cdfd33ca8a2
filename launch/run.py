"""A whole run: sample world, members, blend; each step only if its receipt does not hold."""

from __future__ import annotations

import time
from typing import Mapping, Sequence

from blend import scores_text
from launch import planning, process, registry, step_arguments
from launch.blend_tools import make_world, on_results, tables
from launch.code_version import code_version
from launch.costs import estimate_lines
from launch.runtimes import environments, image_runtimes
from launch.settings import Settings
from leapkit.core import leftovers, receipts
from leapkit.core.errors import LONGEST_LINE, KitError, printable
from leapkit.core.files import read_json
from leapkit.core.hash_index import HashIndex


def run(settings: Settings, only: str = "") -> int:
    """Run the members (all, or `only` one) and then the blend. Return the exit code.

    Raises KitError if a step cannot run, before any starts.
    """
    show(settings.lines())
    experiments = settings.experiments(only)
    plan = planning.make(settings, experiments, with_blend=not only)
    if plan.world and not plan.world.done:
        show(plan.world_lines())
        make_world(settings)
        plan = planning.make(settings, experiments, with_blend=not only)
    show(plan.lines())
    if plan.is_done and not plan.blend_problem:
        print("nothing to do: every step is proven by its receipt", flush=True)
        for experiment_plan in plan.experiments:
            leftovers.remove_unless_at_work(experiment_plan, settings.results)
        if not only:
            show_scores(settings)
        return 0
    if plan.blocked:
        first, others = plan.blocked[0], len(plan.blocked) - 1
        more = f"; {others} more cannot run: `make doctor` lists what is missing" if others else ""
        raise KitError(first.blocked, first.experiment.name, first.remedy + more)
    show(estimate_lines.lines(plan, settings))
    if settings["PROFILE"] == "full" and any(step.train for step in plan.experiments):
        require_gpu(settings)
    return _run_steps(settings, experiments, plan)


def _run_steps(settings: Settings, experiments: registry.Registry, plan: planning.Plan) -> int:
    """Run what the plan names, say how long it took, and return the exit code."""
    started = time.monotonic()
    running = {member: experiments[member] for member in plan.members_to_run}
    code = run_members(settings, running)
    if not code:
        require_results(settings, running)
    if plan.blends and code:
        print(
            "the blend was not started: it blends only what all members have finished", flush=True
        )
    elif plan.blends:
        code = run_blend(settings, experiments)
        if not code:
            require_blends(settings)
    ending = f"ended with code {code}" if code else "done"
    print(f"{ending} in {time.monotonic() - started:.0f} s", flush=True)
    if not code and plan.blend_problem:
        print(f"the blend did not run: {plan.blend_problem}", flush=True)
    return code


def require_gpu(settings: Settings) -> None:
    """Say that training at full size has no GPU, unless DEVICE=cpu asks for that.

    Raises KitError if there may be a GPU, which does not answer or cannot be reached.
    """
    choice = settings.choices["ACCELERATOR"]
    if choice.value == "cuda" or settings["DEVICE"] == "cpu":
        return
    if choice.doubt:
        raise choice.doubt
    show(["", f"WARNING: training at full size takes weeks on a CPU. {choice.reason}.", ""])


def require_results(settings: Settings, experiments: registry.Registry) -> None:
    """Raise KitError unless each experiment that ended well has a parquet that its receipt proves.

    A member says so by its exit code, and an engine or a wrapper may swallow that.
    """
    index = HashIndex(settings.results.hashes)
    for experiment in [one for chosen in experiments.values() for one in chosen]:
        if experiment.artifact:
            parquet = settings.results.parquet(experiment.artifact)
            receipts.require_valid(parquet, index, "run the same command again")


def require_blends(settings: Settings) -> None:
    """Raise KitError unless every blend that ended well is there, as its receipt proves."""
    index = HashIndex(settings.results.hashes)
    for blend in settings.blends:
        receipts.require_valid(blend.final(settings.results), index, "run the same command again")


def run_members(settings: Settings, experiments: registry.Registry) -> int:
    """Run members side by side; one that fails does not stop the others. Return the exit code."""
    arguments = {
        member: step_arguments.member_arguments(settings, chosen)
        for member, chosen in experiments.items()
    }
    if not arguments:
        return 0
    if settings.in_containers:
        return image_runtimes.on_results(settings, arguments)
    return _in_environments(settings, arguments)


def _in_environments(settings: Settings, arguments: Mapping[str, Sequence[str]]) -> int:
    env = environments.environment({"LEAP_STACK": settings["STACK"], "LEAP_CODE": code_version()})
    pythons = environments.member_pythons(
        list(arguments), settings["STACK"], settings["ACCELERATOR"]
    )
    commands = {}
    for member, options in arguments.items():
        folders = step_arguments.host_folders(settings, member)
        commands[member] = [str(pythons[member]), "-m", f"members.{member}", *options, *folders]
    return process.side_by_side(commands, env)


def run_blend(settings: Settings, experiments: registry.Registry) -> int:
    """Run the blend of every table, say where the results are, and return the exit code."""
    arguments = step_arguments.blend_arguments(settings, experiments, tables(settings))
    code = on_results(settings, "blend", arguments)
    if not code:
        show_results(settings)
    return code


def show(lines: Sequence[str]) -> None:
    """Print lines at once."""
    for line in lines:
        print(printable(line, LONGEST_LINE), flush=True)


def show_scores(settings: Settings) -> None:
    """Print the scores of every blend, and where the results are."""
    for blend in settings.blends:
        path = blend.scores(settings.results)
        if path.exists():
            print(scores_text.score_table(read_json(path)), flush=True)
    show_results(settings)


def show_results(settings: Settings) -> None:
    """Print the files of every blend: a container knows them by other paths."""
    for blend in settings.blends:
        print(f"blend: {blend.final(settings.results)}", flush=True)
        print(f"report: {blend.report(settings.results)}", flush=True)
