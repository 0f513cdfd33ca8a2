"""Measures one side of one step in a process of its own: seconds, and peak memory above its bare imports.

The parent stays small and imports the standard library only: Linux hands a parent's ru_maxrss down to what it starts.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

STEPS = (
    "steps",
    "loader",
    "test_csv",
    "train_statistics",
    "parquet",
    "blend_apply",
    "weight_search",
    "mamba_scan",
)
MADE_PAIRS = 16  # step pairs of the sample world when none are given
# A side is run again until it has had three runs or this many seconds; the fastest counts, for both sides alike.
RUNS, ENOUGH_SECONDS = 3, 4.0


class UnequalError(Exception):
    """Two sides of a step do not give the same result."""


class SideError(Exception):
    """A process of the benchmark failed; the message is the last line that it wrote."""


@dataclass(frozen=True)
class Case:
    """What is measured: sizes, and the folder that everything made on the way lies in.

    folder       temporary, removed at the end
    steps        root of the step files, YYYY-MM folders below it
    pairs        step pairs that are read (0: all that there are; more than there are: each several times)
    rows         rows of test.csv and of each parquet
    search_rows  validation rows of the weight search
    """

    folder: str
    steps: str
    pairs: int
    rows: int
    search_rows: int

    def place(self, step: str, side: str = "") -> Path:
        """The folder of one step, or of one side of it."""
        path = Path(self.folder) / step / side
        path.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class Side:
    """One way to do a step: what it imports before the clock starts, and the work itself."""

    packages: Tuple[str, ...]
    work: Callable[[Case], Any]


@dataclass(frozen=True)
class Step:
    """A step, its sides (the published way first) and how their results are compared.

    cores     1 pins every side to one core, 0 leaves all of them
    work      how much of the work a side does, where sides differ in it: ratios are of work per second
    size      states the size of the work in words
    make      writes the input files of both sides (untimed, in a process of its own)
    evidence  (case, side, result of the last run) -> JSON value that compare is given (untimed)
    compare   (case, {side: evidence}) -> what was found equal, in words; raises UnequalError
    """

    title: str
    goal: str
    cores: int
    sides: Dict[str, Side]
    size: Callable[[Case], str]
    make: Callable[[Case], None]
    evidence: Callable[[Case, str, Any], Any]
    compare: Callable[[Case, Mapping[str, Any]], str]
    work: Callable[[Case, str], float] = lambda case, side: 1.0


def load(step: str) -> Step:
    found: Step = importlib.import_module("benchmarks." + step).STEP
    return found


def missing_packages(packages: Tuple[str, ...]) -> List[str]:
    return sorted(
        {
            name
            for name in (p.split(".")[0] for p in packages)
            if importlib.util.find_spec(name) is None
        }
    )


def call(action: str, step: str, side: str, case: Case) -> Any:
    """Runs one action in a new interpreter and returns its JSON result. Raises SideError or UnequalError."""
    place = Path(case.folder) / "calls"
    place.mkdir(exist_ok=True)
    question, answer = place / "case.json", place / (f"{action}-{step}-{side}.json")
    question.write_text(json.dumps(asdict(case)))
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.measure",
            action,
            step,
            side,
            str(question),
            str(answer),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if process.returncode != 0 or not answer.exists():
        lines = process.stderr.strip().splitlines() or ["killed, perhaps for memory"]
        raise SideError(
            "%s of %s (%s) ended with %d: %s" % (action, step, side, process.returncode, lines[-1])
        )
    result = json.loads(answer.read_text())
    if action == "compare" and not result["equal"]:
        raise UnequalError(result["note"])
    return result


def peak_mb() -> float:
    """Largest resident set of this process so far, MB (Linux counts ru_maxrss in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _run(step: Step, name: str, case: Case) -> Dict[str, Any]:
    side = step.sides[name]
    if step.cores == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for package in side.packages:
        importlib.import_module(package)
    base, seconds = peak_mb(), []  # type: ignore[var-annotated]
    while len(seconds) < RUNS and sum(seconds) < ENOUGH_SECONDS:
        result = None  # freed first: two results at a time would count as the side's own memory
        started = time.perf_counter()
        result = side.work(case)
        seconds.append(time.perf_counter() - started)
    peak = peak_mb()
    return {
        "seconds": min(seconds),
        "runs": seconds,
        "base_mb": base,
        "peak_mb": peak,
        "work": step.work(case, name),
        "evidence": step.evidence(case, name, result),
    }


def _compare(step: Step, name: str, case: Case) -> Dict[str, Any]:
    evidence = {
        side: json.loads(Path(case.folder, "calls", f"run-{name}-{side}.json").read_text())[
            "evidence"
        ]
        for side in step.sides
    }
    try:
        return {"equal": True, "note": step.compare(case, evidence)}
    except UnequalError as error:
        return {"equal": False, "note": str(error)}


def main(argv: List[str]) -> None:
    action, name, side, question, answer = argv
    step, case = load(name), Case(**json.loads(Path(question).read_text()))
    result: Dict[str, Any] = {}
    if action == "world":
        from benchmarks import source

        source.make_step_files(Path(case.steps), case.pairs or MADE_PAIRS)
    elif action == "make":
        step.make(case)
        result = {"size": step.size(case)}
    elif action == "compare":
        result = _compare(step, name, case)
    else:
        result = _run(step, side, case)
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    # `python -m` runs this file as __main__; the step modules know its classes as benchmarks.measure's.
    from benchmarks import measure

    measure.main(sys.argv[1:])
