"""Measure each hot step against the published way of doing it: one table, one JSON file."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, Dict, Sequence

from benchmarks import measure, source
from benchmarks.case import Case, SideError, UnequalError
from benchmarks.table import rates, table
from leapkit.core import allotment
from leapkit.core.errors import KitError, run_cli

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("numpy", "pandas", "xarray", "netCDF4", "pyarrow")
# What making step files needs.
WORLD_PACKAGES = ("numpy", "netCDF4")


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "only",
        nargs="*",
        help=f"steps to run ({', '.join(measure.STEPS)}); all if none is named",
    )
    parser.add_argument(
        "--steps",
        metavar="DIR",
        default="",
        help="folder of real step files (YYYY-MM folders); without it they are made",
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=0,
        help="step pairs to read, repeatedly if fewer exist (default: all of DIR, or 16 made)",
    )
    parser.add_argument(
        "--rows", type=int, default=16384, help="rows of test.csv and of each parquet"
    )
    parser.add_argument(
        "--search-rows", type=int, default=0, help="rows of the weight search (default: rows / 32)"
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=None,
        help="file of the numbers (default: in benchmarks/results/)",
    )
    options = parser.parse_args(argv)
    for name in options.only:
        if name not in measure.STEPS:
            parser.error(f"{name} is not one of the steps {', '.join(measure.STEPS)}")
    if options.rows < 1 or options.pairs < 0 or options.search_rows < 0:
        parser.error("--rows must be positive, --pairs and --search-rows not negative")
    return options


def measure_step(name: str, case: Case) -> Dict[str, Any]:
    """Make the files, run each side, compare. A missing package gives {"skipped": reason}."""
    step = measure.load(name)
    missing = measure.missing_packages(
        tuple(p for side in step.sides.values() for p in side.packages)
    )
    if missing:
        return {
            "title": step.title,
            "skipped": f"{missing[0]} is not installed (pip install {' '.join(missing)})",
        }
    made = measure.call("make", name, "", case)
    sides = {side: measure.call("run", name, side, case) for side in step.sides}
    if step.rounds:
        for side, seconds in measure.call("turns", name, "", case).items():
            sides[side].update(runs=seconds, seconds=median(seconds), takes_turns=True)
    note = measure.call("compare", name, "", case)["note"]
    for side in sides.values():
        del side["evidence"]
    return {
        "title": step.title,
        **made,
        "goal": step.goal,
        "cores": step.cores or allotment.cores(),
        "equal": note,
        "sides": sides,
    }


def environment() -> Dict[str, Any]:
    """Return what the numbers depend on: versions, platform, cores, time."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "missing"
    return {
        "python": platform.python_version(),
        "packages": versions,
        "platform": platform.platform(),
        "cores": allotment.cores(),
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(),
    }


def run(options: argparse.Namespace, folder: str) -> Dict[str, Dict[str, Any]]:
    """Return {step: result}. A failure is recorded under "failed" and the other steps still run."""
    steps = options.steps or os.path.join(folder, "world")
    results: Dict[str, Dict[str, Any]] = {}
    chosen = [name for name in measure.STEPS if not options.only or name in options.only]
    missing = measure.missing_packages(("numpy",) if options.steps else WORLD_PACKAGES)
    if missing:
        reason = f"{missing[0]} is not installed, so step files cannot be made (give --steps DIR)"
        return {name: {"title": measure.load(name).title, "skipped": reason} for name in chosen}
    case = Case(
        folder,
        steps,
        options.pairs,
        options.rows,
        options.search_rows or max(384, options.rows // 32),
    )
    if not options.steps:
        measure.call("world", chosen[0], "", case)
    for name in chosen:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        try:
            results[name] = measure_step(name, case)
        except (SideError, UnequalError) as error:
            kind = "results differ: " if isinstance(error, UnequalError) else ""
            results[name] = {"title": measure.load(name).title, "failed": f"{kind}{error}"}
        source.remove_files(case, name)  # the next step's files need the disk
    return results


def main(argv: Sequence[str]) -> int:
    """Run the benchmarks, print the table, write the JSON file; return 1 if a step failed."""
    options = parse_arguments(argv)
    # A plain kill must remove the temporary files as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.steps and not Path(options.steps).is_dir():
        raise KitError(
            "the folder of step files is missing",
            options.steps,
            "give --steps a folder of YYYY-MM folders",
        )
    with tempfile.TemporaryDirectory(prefix="leap-bench-") as folder:
        results = run(options, folder)
    print("\n".join(table(results)))
    print("\n".join(["", *rates(results)] if rates(results) else []))
    print(
        f"\ns: the fastest of up to {measure.RUNS} runs; of training and inference the median of "
        "turns, on a CPU in seconds of CPU on one thread. "
        "MB: peak above the bare imports (whole process in brackets)."
    )
    report = {
        "environment": environment(),
        "steps": options.steps or "sample world",
        "results": results,
    }
    target = (
        options.json
        or RESULTS / f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}.json"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1) + "\n")
    print(f"numbers: {target}")
    return 1 if any("failed" in result for result in results.values()) else 0


if __name__ == "__main__":
    run_cli(main)
