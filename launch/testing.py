"""make test, lint and bench: their environments are made from the lock files, their tools are the field's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import List, Tuple

from launch import environments, machine, process, stacks
from launch.registry import REPOSITORY
from leapkit.core import job_runner
from leapkit.core.errors import KitError

PYTHON = {"published": "3.8", "modern": "3.11"}
# The four members' published stack: only what depends on torch and not on the machine runs there.
FOUR, FOUR_PYTHON = "forcewithme", "3.10"
FOUR_TESTS = ("test_networks_*.py", "test_mamba.py", "test_losses.py")


def python_of(stack: str) -> Path:
    """The tests' environment on a stack: adam's lock and the tests' own."""
    accelerator = environments.reachable("adam", stack, "cpu")
    return environments.ready(
        f"test-{stack}-{accelerator}",
        PYTHON[stack],
        [
            stacks.lock_of("adam", stack, accelerator),
            stacks.tests_lock("adam", stack),
        ],
    )


def python_of_the_four() -> Path:
    """The networks' environment on the published stack of forcewithme, joseph, max2020 and zuiye."""
    return environments.ready(
        "test-published310-cpu",
        FOUR_PYTHON,
        [
            stacks.lock_of(FOUR, "published", "cpu"),
            stacks.tests_lock(FOUR, "published"),
        ],
    )


def main(arguments: List[str]) -> int:
    """All tests on both stacks, the networks' on the four's too, side by side; whole commands once, on the modern one,
    beside its other tests, those in containers and those without by themselves: they last longest."""
    if not machine.interpreter(PYTHON["modern"]):
        raise KitError(
            "python{} is not installed".format(PYTHON["modern"]),
            "make test",
            "install it or name one with PYTHON_3_11=path",
        )
    quick = ["-m", "not slow and not docker"]
    whole = {
        "whole commands, docker": ["-m", "docker"],
        "whole commands, venv": ["-m", "slow and not docker"],
    }
    pythons = {
        stack: python_of(stack)
        for stack in ("modern", "published")
        if machine.interpreter(PYTHON[stack])
    }
    jobs = []
    for stack, python in pythons.items():
        other = [str(path) for name, path in pythons.items() if name != stack]
        jobs.append(_pytest(stack, python, arguments + quick, other[0] if other else ""))
        if stack == "modern":
            jobs = [
                _pytest(name, python, arguments + chosen, "") for name, chosen in whole.items()
            ] + jobs
    files, problem = _tests_of_the_four(arguments)
    if not problem:
        options = [a for a in arguments if not a.startswith("tests/")]
        jobs.append(
            _pytest("published " + FOUR_PYTHON, python_of_the_four(), options + quick + files, "")
        )
    code = job_runner.run(jobs)
    if "published" not in pythons:
        print(
            "SKIPPED: the tests on the published stack, as python{} is not installed".format(
                PYTHON["published"]
            ),
            flush=True,
        )
    if problem:
        print(
            f"SKIPPED: the tests of the networks on Python {FOUR_PYTHON} and the four's published stack, as {problem}",
            flush=True,
        )
    return code


def _tests_of_the_four(arguments: List[str]) -> Tuple[List[str], str]:
    """The test files that run on the four's stack too, or why none does."""
    if not machine.interpreter(FOUR_PYTHON):
        return [], f"python{FOUR_PYTHON} is not installed"
    files = sorted(
        str(path.relative_to(REPOSITORY))
        for name in FOUR_TESTS
        for path in (REPOSITORY / "tests").glob(name)
    )
    named = [a for a in arguments if a.startswith("tests/")]
    if named:  # the tests that ARGS names, where they are among these
        files = [a for a in named if a.split("::")[0] in files]
    return files, "" if files else "ARGS names others"


def _pytest(name: str, python: Path, arguments: List[str], other: str) -> job_runner.Job:
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    env.update(
        PYTHONNOUSERSITE="1",
        PYTHONUNBUFFERED="1",
        LEAP_VENVS=str(environments.folder()),
        OTHER_PYTHON=other,
        LEAP_ONE_OF_SEVERAL="1",
    )
    return job_runner.Job(name, [str(python), "-m", "pytest"] + arguments, env=env)


def lint() -> int:
    """ruff and mypy with the settings of pyproject.toml."""
    python = str(python_of("modern"))
    return max(
        subprocess.call([python, "-m"] + tool, cwd=str(REPOSITORY))
        for tool in (["ruff", "check", "."], ["mypy"])
    )


def bench() -> int:
    """The hot steps against the published way, in one table."""
    options = os.environ.get("BENCH", "").split()
    command = [str(python_of("modern")), "-m", "benchmarks", *options]
    return process.run(command, environments.environment({}))
