"""Measure one side of one step in this process: seconds, and peak memory above the bare imports."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, Dict, List

from benchmarks import source
from benchmarks.case import Case, Step, UnequalError
from benchmarks.measure import ENOUGH_SECONDS, RUNS, load

MADE_PAIRS = 16  # step pairs of the sample world if --pairs gives no number


def peak_mb() -> float:
    """Return the largest resident set of this process so far, in MB (ru_maxrss is in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _run(step: Step, name: str, case: Case) -> Dict[str, Any]:
    """Run one side several times; return its seconds, memory and evidence."""
    side = step.sides[name]
    if step.cores == 1 and hasattr(os, "sched_setaffinity"):  # not on macOS
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for package in side.packages:
        importlib.import_module(package)
    base = peak_mb()
    seconds: List[float] = []
    while len(seconds) < RUNS and sum(seconds) < ENOUGH_SECONDS:
        result = None  # freed first, because two results at a time would count as the side's memory
        started = step.clock()
        result = side.work(case)
        seconds.append(step.clock() - started)
    peak = peak_mb()
    return {
        "seconds": min(seconds),
        "runs": seconds,
        "base_mb": base,
        "peak_mb": peak,
        "work": step.work(case, name),
        "evidence": step.evidence(case, name, result),
    }


def _take_turns(step: Step, case: Case) -> Dict[str, List[float]]:
    """Run all sides one after the other, again and again; return the seconds of each."""
    for side in step.sides.values():
        for package in side.packages:
            importlib.import_module(package)
    seconds: Dict[str, List[float]] = {name: [] for name in step.sides}
    for turn in range(step.rounds + 1):
        for name, side in step.sides.items():
            started = step.clock()
            side.work(case)
            if turn:  # the first one warms up
                seconds[name].append(step.clock() - started)
    return seconds


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
    """Do one action: ACTION STEP SIDE CASE.json ANSWER.json."""
    action, name, side, question, answer = argv
    step = load(name)
    case = Case(**json.loads(Path(question).read_text()))
    result: Dict[str, Any] = {}
    if action == "world":
        source.make_step_files(Path(case.steps), case.pairs or MADE_PAIRS)
    elif action == "make":
        step.make(case)
        result = {"size": step.size(case), "amounts": step.amounts(case)}
    elif action == "compare":
        result = _compare(step, name, case)
    elif action == "turns":
        result = _take_turns(step, case)
    else:
        result = _run(step, side, case)
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
