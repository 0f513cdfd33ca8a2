"""make test, lint and bench: their environments are made from the lock files, their tools are the field's."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, List

from launch import environments, machine, stacks
from launch.registry import REPOSITORY
from leapkit.errors import KitError

PYTHON = {"published": "3.8", "modern": "3.11"}


def python_of(stack: str) -> Path:
    """The tests' environment on a stack: adam's lock and the tests' own."""
    accelerator = environments.reachable("adam", stack, "cpu")
    return environments.ready("test-%s-%s" % (stack, accelerator), PYTHON[stack], [
        stacks.lock_of("adam", stack, accelerator), REPOSITORY / "tests" / "locks" / (stack + ".txt")])


def main(arguments: List[str]) -> int:
    """All tests on both stacks; what runs whole commands in both runtimes only once, on the modern one."""
    if not machine.interpreter(PYTHON["modern"]):
        raise KitError("python%s is not installed" % PYTHON["modern"], "make test",
                       "install it or name one with PYTHON_3_11=path")
    pythons = {stack: python_of(stack) for stack in ("modern", "published") if machine.interpreter(PYTHON[stack])}
    codes: Dict[str, int] = {}
    for stack, python in pythons.items():
        print("tests on the %s stack" % stack, flush=True)
        other = [str(path) for name, path in pythons.items() if name != stack]
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        env.update(PYTHONNOUSERSITE="1", PYTHONUNBUFFERED="1", LEAP_VENVS=str(environments.folder()),
                   OTHER_PYTHON=other[0] if other else "")
        chosen = arguments if stack == "modern" else arguments + ["-m", "not slow and not docker"]
        codes[stack] = subprocess.call([str(python), "-m", "pytest"] + chosen, cwd=str(REPOSITORY), env=env)
    if "published" not in pythons:
        print("SKIPPED: the tests on the published stack, as python%s is not installed" % PYTHON["published"], flush=True)
    return max(codes.values())


def lint() -> int:
    """ruff and mypy with the settings of pyproject.toml."""
    python = str(python_of("modern"))
    return max(subprocess.call([python, "-m"] + tool, cwd=str(REPOSITORY)) for tool in (["ruff", "check", "."], ["mypy"]))


def bench() -> int:
    """The hot steps against the published way, in one table."""
    options = os.environ.get("BENCH", "").split()
    return environments.run(python_of("modern"), ["benchmarks"] + options, {})
