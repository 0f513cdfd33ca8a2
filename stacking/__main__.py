"""python -m stacking: corrects a blend by a small network; what `make stack` starts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import List

from blend.alone import alone
from leapkit.core import pauses
from leapkit.core.errors import run_cli
from leapkit.core.layout import RawData, Results


def main(argv: List[str]) -> int:
    """Make a stack. Raises KitError if something that it needs is missing, and Paused."""
    options = _parser().parse_args(argv)
    from leapkit.run.devices import tune_libraries
    from stacking.run import Request, run

    tune_libraries()
    artifacts = [name for name in options.artifacts.split(",") if name]
    request = Request(options.table, artifacts, options.device, options.threads)
    results = Results(options.submission)
    with pauses.listening(), alone(results.stacks, "another stack") as index:
        run(request, RawData(options.raw_data), results, index)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stacking", description=__doc__)
    parser.add_argument("--table", default="searched", help="the weights of the blend")
    parser.add_argument("--artifacts", default="", help="further networks that it may see")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="of torch; all cores")
    # Where a container has them mounted.
    parser.add_argument("--raw-data", type=Path, default=Path("/raw_data"))
    parser.add_argument("--submission", type=Path, default=Path("/submission"))
    return parser


if __name__ == "__main__":
    run_cli(main)
