"""What this machine has and what is missing for which way of running: a table, and never a change."""

from __future__ import annotations

import os
import shutil
from typing import List, Tuple

from launch import machine, registry, stacks
from launch.settings import choose
from leapkit.core.errors import KitError
from leapkit.core.experiments import FAMILY_NAMES


def main() -> int:
    rows: List[Tuple[str, str]] = []
    for version in stacks.pythons():
        rows.append(
            ("python" + version, machine.interpreter(version) or "not found (venv runtime)")
        )
    problem = machine.engine_problem()
    rows.append(("container engine", problem or "answers"))
    if not problem:
        for version in stacks.pythons():
            rows.append(
                (
                    "base image " + version,
                    stacks.base_image(version, probe=True)
                    or "none, and no registry answers: containers/make-bases",
                )
            )
    capability = machine.gpu_capability()
    rows.append(
        ("GPU", "compute capability %d.%d" % capability if capability else "nvidia-smi names none")
    )
    rows.append(("cores", str(os.cpu_count())))
    rows.append(("free disk", "%.0f GB" % (shutil.disk_usage(str(registry.REPOSITORY)).free / 1e9)))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    rows.append(("memory", f"{memory:.0f} GB"))
    for mode in ("reproduce", "infer-only"):
        try:
            settings = choose(mode, needs_runtime=False)
        except KitError as error:
            rows.append((mode, str(error)))
            continue
        raw = settings.raw
        needed = list(raw.test_files().items()) + [("step files", raw.steps)]
        for family in FAMILY_NAMES:
            needed += [
                (f"{family} {role}", path) for role, path in raw.scaling_files(family).items()
            ]
        for role, path in needed:
            rows.append((f"{mode}: {role}", ("" if path.exists() else "missing: ") + str(path)))
        for name in registry.members() if mode == "infer-only" else ():
            folder = settings.weights(name)
            count = len(list(folder.rglob("*.pt")))
            rows.append((f"{mode}: {name}'s weights", "%d .pt files in %s" % (count, folder)))
    for name, value in rows:
        print("%-36s %s" % (name, value))
    return 0
