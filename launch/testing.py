"""make check, test, test-end-to-end, lint and bench: loops of one, fifteen and thirty minutes.

What a test needs is said by its marks (pyproject.toml). A loop is a list of jobs, each a tool or a
pytest. As many jobs run at a time as there are cores, each with one thread for numerics.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

from launch import environments, machine, stacks
from launch.registry import REPOSITORY
from leapkit.core import job_runner
from leapkit.core.errors import KitError


@dataclass(frozen=True)
class Environment:
    """An environment for tests.

    member  whose lock it has
    stack   of that member
    python  its version
    lock    what the tests need beside the member's lock
    marker  the tests that run there: all on the modern stack, elsewhere what depends on the stack
    """

    member: str
    stack: str
    python: str
    lock: str
    marker: str

    @property
    def name(self) -> str:
        return f"{self.stack} {self.python}"

    def make(self) -> Path:
        """Return the environment's python; it is installed when its locks are new."""
        accelerator = environments.reachable(self.member, self.stack, "cpu")
        version = "" if self.python in ("3.8", "3.11") else self.python.replace(".", "")
        return environments.ready(
            f"test-{self.stack}{version}-{accelerator}",
            self.python,
            [
                stacks.lock_of(self.member, self.stack, accelerator),
                REPOSITORY / "tests" / "locks" / f"{self.lock}.txt",
            ],
        )


MODERN = Environment("adam", "modern", "3.11", "modern", "not docker and not end_to_end")
OLD = (
    Environment("adam", "published", "3.8", "published", "stack"),
    Environment("forcewithme", "published", "3.10", "published-3.10", "stack and not process"),
)


def check(arguments: List[str]) -> int:
    """Run the linters and the unit tests: a minute on two cores when the environment exists."""
    python = modern_python()
    # Side by side with the tests, whose workers leave gaps while they import.
    parallel = ["-m", "unit", "-n", str(cores()), "--dist", "worksteal", "-q"]
    return run([*linters(python), pytest_job("unit tests", python, [*parallel, *arguments])])


def test(arguments: List[str]) -> int:
    """Run what a developer runs before handing over: all but containers and whole runs."""
    python = modern_python()
    pythons = {MODERN: python}
    skipped = []
    for stack in OLD:
        if machine.interpreter(stack.python):
            pythons[stack] = stack.make()
        else:
            skipped.append(f"the tests on {stack.name}: python{stack.python} is not installed")
    other = str(pythons.get(OLD[0], ""))
    # The longest first, so that no core idles while another ends its list.
    jobs = [
        pytest_job("processes", python, ["-m", f"process and {MODERN.marker}", *arguments], other)
    ]
    for stack in OLD:
        if stack in pythons:
            jobs.append(
                pytest_job(
                    stack.name, pythons[stack], ["-m", stack.marker, *arguments], str(python)
                )
            )
    jobs.append(
        pytest_job("units", python, ["-m", f"not process and {MODERN.marker}", *arguments], other)
    )
    code = run([*jobs, *linters(python)])
    for reason in skipped:
        print(f"SKIPPED: {reason}", flush=True)
    return code


def end_to_end(arguments: List[str]) -> int:
    """Run whole commands as a user gives them, in containers and without them."""
    python = modern_python()
    return run(
        [
            pytest_job("containers", python, ["-m", "docker", *arguments]),
            pytest_job("venv", python, ["-m", "end_to_end and not docker", *arguments]),
        ]
    )


def lint() -> int:
    """Run ruff and mypy with the settings of pyproject.toml."""
    return run(linters(modern_python()))


def bench() -> int:
    """Print the hot steps against the published way, in one table."""
    options = os.environ.get("BENCH", "").split()
    return environments.run(modern_python(), ["benchmarks", *options], {})


def modern_python() -> Path:
    """Return the python of the modern tests' environment. Raises KitError if it cannot be made."""
    if not machine.interpreter(MODERN.python):
        raise KitError(
            f"python{MODERN.python} is not installed",
            "the tests",
            "install it or name one with PYTHON_3_11=path",
        )
    return MODERN.make()


def cores() -> int:
    return len(os.sched_getaffinity(0))


def run(jobs: List[job_runner.Job]) -> int:
    """Run the jobs, as many at a time as there are cores."""
    with tempfile.TemporaryDirectory() as folder:
        return job_runner.run(jobs, job_runner.Slots(Path(folder), cores()))


def linters(python: Path) -> List[job_runner.Job]:
    commands: Dict[str, Tuple[str, ...]] = {
        "ruff": ("ruff", "check", "--quiet", "."),
        "format": ("ruff", "format", "--check", "--quiet", "."),
        "mypy": ("mypy",),
    }
    return [
        job_runner.Job(name, [str(python), "-m", *command], env=variables())
        for name, command in commands.items()
    ]


def variables(other_python: str = "") -> Dict[str, str]:
    """Return the variables of a job. Processes share the cores, so each computes on one thread."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return {
        **inherited,
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "LEAP_VENVS": str(environments.folder()),
        "LEAP_ONE_OF_SEVERAL": "1",  # tests/conftest.py: to have none of the tests is no failure
        "OTHER_PYTHON": other_python,  # of another stack, for files that one writes and one reads
    }


def pytest_job(
    name: str, python: Path, arguments: List[str], other_python: str = ""
) -> job_runner.Job:
    return job_runner.Job(
        name, [str(python), "-m", "pytest", *arguments], env=variables(other_python)
    )
