"""make check, test, test-end-to-end, lint and bench: loops of two and of about twenty minutes.

What a test needs is said by its marks (pyproject.toml). A loop is a list of jobs, each a tool or a
pytest, with one thread for numerics. One more runs at a time than there are cores, as tests also
wait: for processes that start and end, locks, disks and engines.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from launch import machine, options, process, suite_reports
from launch.runtimes import environments, venv
from leapkit.core import allotment, amounts, job_runner
from leapkit.core.errors import KitError
from leapkit.core.files import free_bytes
from leapkit.core.stacks import MODERN, TORCH_1_10, TORCH_1_12, Stack

# The tests of a stack by their marks: all but whole runs on the modern one.
MARKS = {
    MODERN: "not docker and not end_to_end",
    TORCH_1_10: "(stack or oldest) and not modern",
    # Its trainings are between those of the other two, and the whole runs train on it too.
    TORCH_1_12: "stack and not modern and (everywhere or not training)",
}

# Files of whole runs, each a job: the longest first, so that all cores work to the end.
WHOLE_RUNS = Path("tests") / "end_to_end"
LONGEST = ("reproduce", "apptainer", "slurm", "containers", "real_steps")

NARROW = 1 << 30  # bytes free on a disk: with fewer, tests may have failed for the lack of them

HANGS = 420  # seconds of one test, after which pytest prints where each thread is and goes on

# What tests must not see: they start their own interpreters and their own make.
OF_THE_LAUNCHER = (
    *("PYTHONPATH", "PYTHONHOME", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"),
    options.TYPED,
    *options.PASSED_ON.values(),
)


def check(arguments: List[str]) -> int:
    """Run the linters and the unit tests: two minutes on two cores when the environment exists."""
    python = modern_python()
    # Side by side with the tests, whose workers leave gaps while they import.
    parallel = ["-m", "unit", "-n", str(allotment.cores()), "--dist", "worksteal", "-q"]
    unit = Suite("unit tests", python, [*parallel, *arguments], is_short=True)
    return run([unit], linters(python))


def test(arguments: List[str]) -> int:
    """Run what a developer runs before handing over: all but containers and whole runs."""
    pythons = tests_pythons()
    another = {
        stack: str(next((p for s, p in pythons.items() if s != stack), "")) for stack in pythons
    }

    def suite(name: str, stack: Stack, marks: str, *folders: str) -> Suite:
        chosen = ["-m", marks, *_within(folders or ("tests",), arguments)]
        return Suite(name, pythons[stack], chosen, another[stack])

    # The longest first, so that no core idles while another ends its list; what waits beside them.
    marks = f"process and not fault and {MARKS[MODERN]}"
    suites = [
        suite("processes", MODERN, f"{marks} and not training and not client"),
        suite("trainings", MODERN, f"{marks} and training", "tests/run"),
        suite("clients", MODERN, f"{marks} and client", "tests/fetch", "tests/submitting"),
    ]
    suites += [suite(stack.name, stack, MARKS[stack]) for stack in pythons if stack != MODERN]
    suites += [suite("faults", MODERN, f"fault and {MARKS[MODERN]}", "tests/faults")]
    suites += [suite("units", MODERN, f"not process and {MARKS[MODERN]}")]
    code = run(suites, linters(pythons[MODERN]))
    for stack in MARKS:
        if stack not in pythons:
            print(f"SKIPPED: the tests on {stack.name}: python{stack.python} is not installed")
    return code


def end_to_end(arguments: List[str]) -> int:
    """Run whole commands as a user gives them, in containers and without them: a suite a file."""
    python = modern_python()
    if _names_paths(arguments):
        return run([Suite("end to end", python, ["-m", "end_to_end", *arguments])])
    files = {path.stem[len("test_") :]: path for path in sorted(WHOLE_RUNS.glob("test_*.py"))}
    names = [*LONGEST, *(name for name in files if name not in LONGEST)]
    return run([Suite(name, python, [*arguments, str(files[name])]) for name in names])


def _within(folders: Sequence[str], arguments: Sequence[str]) -> List[str]:
    """Return pytest's arguments for the tests of folders: a core collects all in 12 seconds."""
    return [*arguments] if _names_paths(arguments) else [*arguments, *folders]


def _names_paths(arguments: Sequence[str]) -> bool:
    return any(Path(argument.partition("::")[0]).exists() for argument in arguments)


def lint() -> int:
    """Run ruff and mypy with the settings of pyproject.toml."""
    return run([], linters(modern_python()))


def bench() -> int:
    """Print the hot steps against the published way, in one table."""
    options = os.environ.get("BENCH", "").split()
    command = [str(modern_python()), "-m", "benchmarks", *options]
    return process.run(command, environments.environment({}))


def tests_pythons() -> Dict[Stack, Path]:
    """Return the tests' pythons of the stacks whose Python is installed, always the modern one's.

    Environments that do not exist are made side by side.
    """
    old = [stack for stack in (TORCH_1_10, TORCH_1_12) if machine.interpreter(stack.python)]
    with ThreadPoolExecutor() as threads:
        making = {MODERN: threads.submit(modern_python)}
        making.update((stack, threads.submit(environments.tests_python, stack)) for stack in old)
    return {stack: python.result() for stack, python in making.items()}


def modern_python() -> Path:
    """Return the python of the modern tests' environment. Raises KitError if it cannot be made."""
    if not machine.interpreter(MODERN.python):
        raise KitError(
            f"python{MODERN.python} is not installed",
            "the tests",
            "install it or name one with PYTHON_3_11=path",
        )
    return environments.tests_python(MODERN)


def run(suites: List[Suite], tools: Sequence[job_runner.Job] = ()) -> int:
    """Run suites and tools, one more at a time than there are cores; end in what suites found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slots = job_runner.JobSlots(folder, allotment.cores() + 1)
        code = job_runner.run([*(suite.job(folder) for suite in suites), *tools], slots)
        reports = [suite_reports.read(suite.name, suite.report(folder)) for suite in suites]
    _say(suite_reports.skips(reports))
    for tool in tools if code and suites else ():
        # What it said is far above; by its cache it says that again in a second.
        subprocess.run(tool.command, env=dict(tool.env), stderr=subprocess.STDOUT)
    _say(suite_reports.results(reports))
    _say(narrow_disks(Path(), Path(tempfile.gettempdir())) if code else [])
    return code


def narrow_disks(*folders: Path) -> List[str]:
    """Return a line for each of the folders whose disk is almost full."""
    free = {folder.resolve(): free_bytes(folder) for folder in folders}
    return [
        f"{folder}: its disk has {amounts.size(left)} free, and tests fail where it is full"
        for folder, left in free.items()
        if left is not None and left < NARROW
    ]


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        print(line, flush=True)


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
    inherited = {name: value for name, value in os.environ.items() if name not in OF_THE_LAUNCHER}
    return {
        **inherited,
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "LEAP_VENVS": str(venv.folder()),
        "LEAP_ONE_OF_SEVERAL": "1",  # tests/conftest.py: to have none of the tests is no failure
        "OTHER_PYTHON": other_python,  # of another stack, for files that one writes and one reads
    }


@dataclass(frozen=True)
class Suite:
    """One pytest with an environment's python.

    other_python  the python of another stack
    is_short      a unit test that computes for seconds fails
    """

    name: str
    python: Path
    arguments: Sequence[str]
    other_python: str = ""
    is_short: bool = False

    def report(self, folder: Path) -> Path:
        """Return the file of what it found."""
        return folder / f"{self.name}.xml"

    def job(self, folder: Path) -> job_runner.Job:
        """Return the job that runs it."""
        options = [f"--junit-xml={self.report(folder)}", "-o", f"faulthandler_timeout={HANGS}"]
        command = [str(self.python), "-m", "pytest", *options, *self.arguments]
        env = {**variables(self.other_python), "LEAP_UNITS_ARE_SHORT": "1" * self.is_short}
        return job_runner.Job(self.name, command, env=env)
