"""`make stack`: a blend corrected by a small network, in the emulator's image or environment.

It needs torch and the blend's code, and runs on the modern stack, whatever its members ran on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Mapping

from launch import names, process, registry, run, settings, step_arguments
from launch.choices import Choice
from launch.code_version import code_version
from launch.folders import require_writable
from launch.runtimes import containers, environments, image_runtimes
from launch.settings import Settings
from leapkit.core.errors import KitError

TABLE = "searched"
SHOWN = ("TABLE", "ARTIFACTS", "RAW_DATA", "SUBMISSION", "RUNTIME", "STACK", "DEVICE")


def stack(requested: Mapping[str, str]) -> int:
    """Make the stack of a blend and return the exit code. Raises KitError for a wrong name."""
    values = {"TABLE": TABLE, **requested, "STACK": "modern"}
    chosen = settings.choose("reproduce", values)
    names.require_known(chosen, values)
    names.require_data(chosen)
    if len(chosen.blends) != 1:
        raise KitError("a stack is of one blend", f"TABLE={chosen['TABLE']}", "name one table")
    require_writable(chosen.results.root, "name a folder that you may write to with SUBMISSION=")
    choices = dict(chosen.choices, STACK=Choice("modern", "which every stack runs on"))
    if "TABLE" not in requested:
        choices["TABLE"] = Choice(TABLE, "the default")
    shown = {name: choice for name, choice in choices.items() if name in SHOWN}
    run.show(replace(chosen, choices=shown).lines())
    further = registry.named_artifacts(requested.get("ARTIFACTS", ""))
    code = _start(chosen, ",".join(further))
    if not code:
        [blend] = chosen.blends
        print(f"result: {chosen.results.parquet(blend.stack)}", flush=True)
    return code


def _start(chosen: Settings, artifacts: str) -> int:
    if chosen.in_containers:
        [table] = containers.tables_inside(chosen)[0]
        given = _arguments(chosen, table, artifacts)
        return image_runtimes.on_results(chosen, {"stacking": given})
    [blend] = chosen.blends
    given = [*_arguments(chosen, blend.source, artifacts), *step_arguments.host_folders(chosen)]
    # Any member's: on the modern stack they are one.
    member = next(iter(registry.members()))
    python = environments.member_python(member, chosen["STACK"], chosen["ACCELERATOR"])
    env = environments.environment({"LEAP_STACK": chosen["STACK"], "LEAP_CODE": code_version()})
    return process.run([str(python), "-m", "stacking", *given], env)


def _arguments(chosen: Settings, table: str, artifacts: str) -> List[str]:
    """Return what follows `python -m stacking`, but for the folders."""
    # As the members' command does: at sample size any number of cores gives the same bits.
    threads = ["--threads=1"] if chosen["PROFILE"] == "sample" else []
    return [
        f"--table={table}",
        f"--artifacts={artifacts}",
        f"--device={chosen['DEVICE']}",
        *threads,
    ]
