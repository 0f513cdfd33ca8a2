"""python3 -m launch COMMAND: what `make COMMAND` calls."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Sequence

from blend import scores_text
from blend.plan import final_path, report_path, scores_path, table_name, title
from launch import containers, doctor, environments, planning, registry, stacks, testing
from launch.machine import output_of
from launch.settings import Settings, choose, given, sample_world
from leapkit.core import job_runner
from leapkit.core.errors import KitError, run_cli
from leapkit.core.experiments import Experiment
from leapkit.core.files import read_json


def main(argv: List[str]) -> int:
    command, rest = (argv[0], argv[1:]) if argv else ("", [])
    members = registry.members()
    if command in ("reproduce", "infer-only"):
        return run(choose(command), "")
    if command in members:
        return run(choose(given("MODE") or "reproduce"), command)
    commands: Dict[str, Callable[[], int]] = {
        "plan": plan,
        "blend": blend,
        "verify": verify,
        "world": world,
        "fetch": fetch,
        "statistics": train_statistics,
        "split": lambda: split(rest),
        "store": lambda: store(rest),
        "doctor": doctor.main,
        "check": lambda: testing.check(rest),
        "test": lambda: testing.test(rest),
        "test-end-to-end": lambda: testing.end_to_end(rest),
        "lint": testing.lint,
        "bench": testing.bench,
    }
    if command not in commands:
        raise KitError(
            f"unknown command {command!r}",
            "launch",
            "choose from "
            + ", ".join(sorted(list(commands) + list(members) + ["reproduce", "infer-only"])),
        )
    return commands[command]()


def run(settings: Settings, only: str) -> int:
    """The members (all, or `only` one), then the blend: whatever its receipts do not prove done."""
    show(settings.lines())
    table = rows_of(settings, only)
    decided = planning.make(settings, table, with_blend=not only)
    if decided.world and not decided.world.done:
        show(decided.lines()[:1])
        make_world(settings)
        decided = planning.make(settings, table, with_blend=not only)
    show(decided.lines())
    if decided.is_done and not decided.blend_problem:
        print("nothing to do: every step is proven by its receipt", flush=True)
        show_scores(settings, only)
        return 0
    if decided.blocked:
        first = decided.blocked[0]
        raise KitError(first.blocked, first.experiment.name, first.remedy)
    started = time.monotonic()
    code = run_members(settings, decided.members_to_run, table)
    if code and decided.blends:
        print(
            "the blend was not started: it blends only what all members have finished", flush=True
        )
    elif decided.blends and not code:
        code = run_blend(settings, table)
    print(
        "{} in {:.0f} s".format(
            "done" if code == 0 else "ended with code %d" % code, time.monotonic() - started
        ),
        flush=True,
    )
    if code == 0 and decided.blend_problem:
        print(f"the blend did not run: {decided.blend_problem}", flush=True)
    return code


def rows_of(settings: Settings, only: str = "") -> registry.Table:
    return registry.chosen(
        settings["EXPERIMENTS"], only, settings.mode, settings.everything or bool(only)
    )


def run_members(settings: Settings, members: Sequence[str], table: registry.Table) -> int:
    """Members side by side, each in its container or environment; one that fails does not stop the others."""
    if not members:
        return 0
    if settings["RUNTIME"] == "docker":
        env = container_variables(settings, table)
        containers.make_folders(settings, list(table))
        containers.build(settings, members, env)
        return containers.up(settings, members, env)
    extra = {"LEAP_STACK": settings["STACK"], "LEAP_CODE": code_version()}
    commands = {}
    for member in members:
        python = environments.member_python(member, settings["STACK"], settings["ACCELERATOR"])
        commands[member] = (
            python,
            [
                "members." + member,
                settings.mode,
                "--profile",
                settings["PROFILE"],
                "--device",
                settings["DEVICE"],
                "--experiments",
                ids_of(table[member]),
                "--raw-data",
                str(settings.raw.root),
                "--submission",
                str(settings.results.root),
                "--weights",
                str(settings.weights(member)),
            ],
        )
    if len(commands) == 1:
        return environments.run(*commands[members[0]], extra)
    return job_runner.run(
        [
            job_runner.Job(
                member, [str(python), "-m"] + arguments, env=environments.environment(extra)
            )
            for member, (python, arguments) in commands.items()
        ]
    )


def run_blend(settings: Settings, table: registry.Table) -> int:
    artifacts = artifacts_of(registry.searches(table))
    code = tool(
        settings,
        "blend",
        [
            "blend",
            "run",
            "--table",
            settings["TABLE"],
            "--artifacts",
            artifacts,
            "--postprocess",
            settings["POSTPROCESS"],
        ],
    )
    if code == 0:
        show_made(settings)
    return code


def show_made(settings: Settings) -> None:
    """Where the blends and their reports lie: a container knows them by other paths."""
    for name in settings.tables:
        own = table_name(name)
        print(
            f"blend: {final_path(settings.results, title(own, settings.options))}\nreport: {report_path(settings.results, own)}",
            flush=True,
        )


def artifacts_of(searches: Mapping[str, Sequence[str]]) -> str:
    return ";".join("{}={}".format(name, ",".join(own)) for name, own in searches.items())


def ids_of(experiments: Sequence[Experiment]) -> str:
    return ",".join(experiment.id for experiment in experiments)


def container_variables(settings: Settings, table: registry.Table) -> Dict[str, str]:
    env = containers.variables(settings, code_version())
    env.update(
        ("LEAP_EXPERIMENTS_" + member.upper(), ids_of(rows)) for member, rows in table.items()
    )
    return env


def plan() -> int:
    """What `make reproduce` (or MODE=infer-only) would do, and why; builds and starts nothing."""
    settings = choose(given("MODE") or "reproduce", needs_runtime=False)
    show(settings.lines())
    decided = planning.make(settings, rows_of(settings), with_blend=True)
    show(decided.lines())
    return 0


def blend() -> int:
    """The blend alone, whatever table is asked for."""
    settings = choose(given("MODE") or "reproduce")
    show(settings.lines())
    return run_blend(settings, rows_of(settings))


def verify() -> int:
    """Checks the parquets in submission/subs and admits the user's own by writing their receipts."""
    settings = choose(given("MODE") or "reproduce")
    show(settings.lines())
    return tool(settings, "verify", ["blend", "verify", "--artifacts", given("ARTIFACTS")])


def tool(settings: Settings, service: str, arguments: List[str]) -> int:
    """Runs one of the blend's commands, in its container or environment."""
    if settings["RUNTIME"] == "docker":
        env = dict(
            container_variables(settings, {}),
            LEAP_ARTIFACTS=arguments[arguments.index("--artifacts") + 1],
        )
        containers.make_folders(settings, [])
        containers.build(settings, ["blend"], env)
        return containers.run_one(settings, service, [], env)
    return environments.run(
        environments.blend_python(),
        arguments
        + ["--raw-data", str(settings.raw.root), "--submission", str(settings.results.root)],
        {"LEAP_CODE": code_version()},
    )


def fetch() -> int:
    """Gets the data that WHAT names, on the host, as containers have no network; without WHAT it only looks."""
    settings = choose("infer-only", needs_runtime=False)
    arguments = ["fetch", "--raw-data", str(settings.raw.root)]
    for member in registry.members():
        arguments += ["--weights", f"{member}={settings.weights(member)}"]
    for name in ("WHAT", "MONTHS", "DRIVE", "DROP"):
        arguments.append(f"--{name.lower()}={given(name)}")
    python = environments.ready(
        "fetch", stacks.BLEND_PYTHON, [registry.REPOSITORY / "fetch" / "locks" / "cpu.txt"]
    )
    return environments.run(python, arguments, {})


def world() -> int:
    """The sample world alone."""
    settings = choose("reproduce")
    make_world(settings)
    return 0


def make_world(settings: Settings) -> None:
    """Makes the sample world. Raises KitError when its maker fails."""
    sample_world().parent.mkdir(parents=True, exist_ok=True)
    if settings["RUNTIME"] == "docker":
        code = in_world_container(
            settings,
            [],
            LEAP_RAW_DATA_PARENT=sample_world().parent,
            LEAP_RAW_DATA_NAME=sample_world().name,
        )
    else:
        code = environments.run(
            environments.blend_python(), ["leapkit.sampleworld", "--to", str(sample_world())], {}
        )
    if code:
        raise KitError(
            "could not be made (the lines above say why)",
            "the sample world",
            "run the same command again",
        )


def train_statistics() -> int:
    """Both families' statistics from train.csv, below the folder of the raw data."""
    settings = choose("reproduce")
    show(settings.lines())
    root = settings.raw.root.resolve()
    if settings["RUNTIME"] == "venv":
        return environments.run(
            environments.blend_python(),
            ["leapkit.worlds.train_statistics", "--raw-data", str(root)],
            {},
        )
    return in_world_container(
        settings,
        ["-m", "leapkit.worlds.train_statistics", "--raw-data", "/world/" + root.name],
        LEAP_RAW_DATA_PARENT=root.parent,
    )


def split(arguments: List[str]) -> int:
    """A scored world from step files: SPLIT="--steps DIR --to DIR --train .. --validation .. --test .. ..."."""
    return on_steps("leapkit.worlds.make_world", arguments, "SPLIT=")


def store(arguments: List[str]) -> int:
    """Step files as one array a month: STORE="--to DIR [--steps DIR] [--months ..] [--scheduler ADDRESS]"."""
    if "--steps" not in arguments:
        arguments = ["--steps", str(choose("reproduce", needs_runtime=False).raw.steps)] + arguments
    if "--scheduler" in arguments:
        # A cluster's Dask and this one must be of the same version, so it is the caller's own Python that has it.
        missing = [
            name
            for name in ("numpy", "tqdm", "distributed")
            if importlib.util.find_spec(name) is None
        ]
        if missing:
            raise KitError(
                "has no {}".format(", no ".join(missing)),
                sys.executable,
                "pip install ./shared distributed, or name the cluster's Python with PYTHON=",
            )
        return subprocess.call(
            [sys.executable, "-m", "leapkit.worlds.month_arrays"] + arguments,
            env=environments.environment({}),
        )
    return on_steps("leapkit.worlds.month_arrays", arguments, "STORE=")


def on_steps(module: str, arguments: List[str], variable: str) -> int:
    """Runs a module that makes a folder (--to) from step files, in the blend's container or environment."""
    parser = argparse.ArgumentParser(add_help=False)
    for name in ("--steps", "--to", "--statistics"):
        parser.add_argument(name, type=Path)
    folders, rest = parser.parse_known_args(arguments)
    for folder in (folders.steps, folders.statistics):
        if folder and not folder.is_dir():
            raise KitError("the folder is missing", folder, "check the path in " + variable)
    settings = choose("reproduce")
    if settings["RUNTIME"] == "venv" or not (folders.steps and folders.to):
        return environments.run(environments.blend_python(), [module] + arguments, {})
    # The container sees the user's folders under names of its own.
    to = folders.to.resolve()
    to.parent.mkdir(parents=True, exist_ok=True)
    mounts = {"LEAP_RAW_DATA_PARENT": to.parent, "LEAP_STEPS": folders.steps.resolve()}
    inside = ["-m", module, "--steps", "/steps", "--to", "/world/" + to.name] + rest
    if folders.statistics:
        mounts["LEAP_STATISTICS"] = folders.statistics.resolve()
        inside += ["--statistics", "/statistics"]
    return in_world_container(settings, inside, **mounts)


def in_world_container(settings: Settings, inside: List[str], **variables: object) -> int:
    """Runs the blend's image as the service that may write below LEAP_RAW_DATA_PARENT, which it sees as /world."""
    env = dict(
        container_variables(settings, {}), **{name: str(value) for name, value in variables.items()}
    )
    containers.build(settings, ["blend"], env)
    return containers.run_one(settings, "world", inside, env)


def show(lines: Sequence[str]) -> None:
    for line in lines:
        print(line, flush=True)


def show_scores(settings: Settings, only: str) -> None:
    for name in [] if only else settings.tables:
        path = scores_path(settings.results, title(table_name(name), settings.options))
        if path.exists():
            print(scores_text.table(read_json(path)), flush=True)
    if not only:
        show_made(settings)


def code_version() -> str:
    """The commit that runs, with a mark for uncommitted changes: recorded in receipts, never decisive."""
    return (
        output_of(["git", "-C", str(registry.REPOSITORY), "describe", "--always", "--dirty"]) or ""
    ).strip()


if __name__ == "__main__":
    run_cli(main)
