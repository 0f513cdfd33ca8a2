"""Start the processes of a benchmark, one per side of a step (benchmarks.worker does the work).

This process imports the standard library only and stays small: Linux hands a parent's ru_maxrss
down to the processes that it starts.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Tuple

from benchmarks.case import Case, SideError, Step, UnequalError
from benchmarks.kinds import KINDS

# Name for the command line -> module of benchmarks.
STEPS: Dict[str, str] = {
    "steps": "steps",
    "loader": "loader",
    "test_csv": "parse_test_csv",
    "train_statistics": "train_statistics",
    "parquet": "parquet",
    "blend_apply": "blend_apply",
    "weight_search": "weight_search",
    "mamba_scan": "mamba_scan",
    **{"train_" + kind: "training" for kind in KINDS},
    **{"infer_" + kind: "inference" for kind in KINDS if not KINDS[kind].tuned},
    **dict.fromkeys(("student", "student_all"), "student"),
}
# A side is repeated until it has had this many runs or seconds; its fastest run counts.
RUNS = 3
ENOUGH_SECONDS = 4.0


def load(name: str) -> Step:
    """Return the step of that name: its module's only one, or one of its several."""
    module = importlib.import_module("benchmarks." + STEPS[name])
    step: Step = module.STEPS[name] if hasattr(module, "STEPS") else module.STEP
    return step


def missing_packages(modules: Tuple[str, ...]) -> List[str]:
    """Return the top-level packages of the modules that are not installed."""
    packages = {module.split(".")[0] for module in modules}
    return sorted(name for name in packages if importlib.util.find_spec(name) is None)


def call(action: str, step: str, side: str, case: Case) -> Any:
    """Run one action in a new interpreter; return its JSON result.

    Raises SideError if the process fails, UnequalError if the sides' results differ.
    """
    folder = Path(case.folder) / "calls"
    folder.mkdir(exist_ok=True)
    question = folder / "case.json"
    answer = folder / f"{action}-{step}-{side}.json"
    question.write_text(json.dumps(asdict(case)))
    words = [action, step, side, str(question), str(answer)]
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if process.returncode != 0 or not answer.exists():
        lines = process.stderr.strip().splitlines() or ["killed, perhaps for memory"]
        raise SideError(f"{action} of {step} ({side}) ended with {process.returncode}: {lines[-1]}")
    result = json.loads(answer.read_text())
    if action == "compare" and not result["equal"]:
        raise UnequalError(result["note"])
    return result
