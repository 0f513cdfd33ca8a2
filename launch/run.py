"""A whole run: sample world, members, blend; each step only if its receipt does not hold."""

from __future__ import annotations

import time
from typing import Mapping, Sequence

from blend import scores_text
from launch import containers, environments, planning, process, registry, step_arguments
from launch.blend_tools import make_world, on_results
from launch.code_version import code_version
from launch.settings import Settings
from leapkit.core import job_runner
from leapkit.core.errors import KitError
from leapkit.core.files import read_json


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
        if not only:
            show_scores(settings)
        return 0
    if plan.blocked:
        first = plan.blocked[0]
        raise KitError(first.blocked, first.experiment.name, first.remedy)
    return _run_steps(settings, experiments, plan)


def _run_steps(settings: Settings, experiments: registry.Registry, plan: planning.Plan) -> int:
    """Run what the plan names, say how long it took, and return the exit code."""
    started = time.monotonic()
    code = run_members(settings, {member: experiments[member] for member in plan.members_to_run})
    if plan.blends and code:
        print(
            "the blend was not started: it blends only what all members have finished", flush=True
        )
    elif plan.blends:
        code = run_blend(settings, experiments)
    ending = f"ended with code {code}" if code else "done"
    print(f"{ending} in {time.monotonic() - started:.0f} s", flush=True)
    if not code and plan.blend_problem:
        print(f"the blend did not run: {plan.blend_problem}", flush=True)
    return code


def run_members(settings: Settings, experiments: registry.Registry) -> int:
    """Run members side by side; one that fails does not stop the others. Return the exit code."""
    arguments = {
        member: step_arguments.member_arguments(settings, chosen)
        for member, chosen in experiments.items()
    }
    if not arguments:
        return 0
    if settings.in_containers:
        return _in_containers(settings, arguments)
    return _in_environments(settings, arguments)


def _in_containers(settings: Settings, arguments: Mapping[str, Sequence[str]]) -> int:
    user = containers.make_folders(settings, list(arguments))
    env = containers.variables(settings, code_version(), user)
    containers.build(settings, list(arguments), env)
    if len(arguments) > 1:
        return containers.side_by_side(settings, arguments, env)
    [(member, options)] = arguments.items()
    return containers.run(settings, member, options, env)


def _in_environments(settings: Settings, arguments: Mapping[str, Sequence[str]]) -> int:
    env = environments.environment({"LEAP_STACK": settings["STACK"], "LEAP_CODE": code_version()})
    pythons = environments.member_pythons(
        list(arguments), settings["STACK"], settings["ACCELERATOR"]
    )
    commands = {}
    for member, options in arguments.items():
        folders = step_arguments.host_folders(settings, member)
        commands[member] = [str(pythons[member]), "-m", f"members.{member}", *options, *folders]
    if len(commands) > 1:
        return job_runner.run(
            [job_runner.Job(member, command, env=env) for member, command in commands.items()]
        )
    [command] = commands.values()
    return process.run(command, env)


def run_blend(settings: Settings, experiments: registry.Registry) -> int:
    """Run the blend of every table, say where the results are, and return the exit code."""
    if settings.in_containers:
        tables = containers.tables_inside(settings)[0]
    else:
        tables = [blend.source for blend in settings.blends]
    arguments = step_arguments.blend_arguments(settings, experiments, tables)
    code = on_results(settings, "blend", arguments)
    if not code:
        show_results(settings)
    return code


def show(lines: Sequence[str]) -> None:
    """Print lines at once."""
    for line in lines:
        print(line, flush=True)


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
