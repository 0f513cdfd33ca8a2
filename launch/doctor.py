"""What this machine has and what is missing for which way of running: a table, and never a change."""
from __future__ import annotations

import os
import shutil
from typing import List, Tuple

from launch import machine, registry, stacks
from launch.settings import choose
from leapkit.errors import KitError


def main() -> int:
    rows: List[Tuple[str, str]] = []
    for version in sorted({v for table in stacks.PYTHON.values() for v in table.values()} | {stacks.BLEND_PYTHON}):
        rows.append(("python" + version, machine.interpreter(version) or "not found (venv runtime)"))
    problem = machine.engine_problem()
    rows.append(("container engine", problem or "answers"))
    if not problem:
        for version in ("3.8", "3.11"):
            rows.append(("base image " + version, stacks.base_image(version, probe=True)
                         or "none, and no registry answers: containers/make-bases"))
    capability = machine.gpu_capability()
    rows.append(("GPU", "compute capability %d.%d" % capability if capability else "nvidia-smi names none"))
    rows.append(("cores", str(os.cpu_count())))
    rows.append(("free disk", "%.0f GB" % (shutil.disk_usage(str(registry.REPOSITORY)).free / 1e9)))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    rows.append(("memory", "%.0f GB" % memory))
    for mode in ("reproduce", "infer-only"):
        try:
            raw = choose(mode, needs_runtime=False).raw
            for role, path in list(raw.test_files().items()) + [("step files", raw.steps)] + list(
                    raw.scaling_files("adam").items()):
                rows.append(("%s: %s" % (mode, role), ("" if path.exists() else "missing: ") + str(path)))
        except KitError as error:
            rows.append((mode, str(error)))
    for name, experiments in registry.members().items():
        folder = registry.REPOSITORY / "members" / name / "weights"
        found = [row.checkpoint for row in experiments if (folder / row.checkpoint).exists()]
        rows.append(("%s's checkpoints" % name, "%d of %d in %s" % (len(found), len(experiments), folder)))
    for name, value in rows:
        print("%-32s %s" % (name, value))
    return 0
