"""Write step files as one plain array per month, for work that needs random access to rows.

    <to>/YYYY-MM.npy            (rows, 924) float64: 556 inputs, then 368 targets; Kaggle order
    <to>/YYYY-MM.receipt.json   the step files of the array, and how many of the month exist

The values are in physical units. Row 384 * step + column. `Scaling.scaled_inputs` and `.targets`
give both families' training rows; a row is 7,392 contiguous bytes of
`numpy.load(path, mmap_mode="r")`. A month is written whole or not at all. Months are written in
parallel by processes of this machine, or by the workers of a Dask cluster, with the same bytes.
Training in this kit reads the step files instead.
"""

from __future__ import annotations

import argparse
import functools
import os
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple, Type

import numpy as np

from leapkit.core import allotment, receipts, stops
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.errors import KitError, run_cli
from leapkit.core.files import atomic, require_free
from leapkit.core.hash_index import HashIndex
from leapkit.core.splits import months_of
from leapkit.core.step_files import PRECISIONS, list_months, read_month, require_pairs
from leapkit.data.progress import progress
from leapkit.data.step_reader import StepReader, grid_columns
from leapkit.worlds import cluster

WIDTH = len(INPUTS) + len(TARGETS)
_MODULE = "leapkit.worlds.month_arrays"  # `__name__` is another one where this is the program


def write_month(steps: Path, to: Path, name: str, accept_float32: bool = False) -> str:
    """Make one month unless its receipt proves it; return a line about it.

    accept_float32  whether step files in float32 are read too
    Raises KitError if the month cannot be read or written, and leaves no part of it.
    """
    month = read_month(steps / name)
    target = to / (name + ".npy")
    started = receipts.now()
    pairs = require_pairs(month, steps / name)
    index = HashIndex(to / ".cache" / (name + ".json"))
    inputs = {
        "steps": index.of_many([path for pair in pairs for path in (pair.mli, pair.mlo)], steps)
    }
    verdict = receipts.judge(target, inputs, index)
    if not verdict.done:
        reader = StepReader(accept_float32)
        columns = grid_columns(pairs[0])
        rows = len(pairs) * columns
        require_free(target, 8 * WIDTH * rows, "the rows of " + name)
        with atomic(target) as temporary, open(temporary, "wb") as handle:
            np.lib.format.write_array_header_1_0(
                handle, {"descr": "<f8", "fortran_order": False, "shape": (rows, WIDTH)}
            )
            block = np.empty((columns, WIDTH))
            for pair in pairs:
                x, y = reader.levels(pair, columns)
                block[:, : len(INPUTS)] = x.T
                block[:, len(INPUTS) :] = y.T
                handle.write(block.data)
        receipts.write(
            target,
            "rows",
            inputs,
            started,
            {
                "month": month.line(),
                "rows": rows,
                "columns": columns,
                "step precision": reader.precision,
            },
        )
    index.of(target)
    index.save()
    return f"{month.line()} ({verdict.reason if verdict.done else 'made'})"


def locally(
    steps: Path, to: Path, months: Sequence[str], accept_float32: bool, jobs: int
) -> Iterator[Tuple[str, Any]]:
    """Yield (month, its future) as the processes of this machine finish."""
    with ProcessPoolExecutor(jobs, initializer=stops.worker, initargs=(os.getpid(),)) as pool:
        futures: Dict[Any, str] = {}
        try:
            for name in months:
                futures[pool.submit(write_month, steps, to, name, accept_float32)] = name
            for future in as_completed(futures):
                yield futures[future], future
        except KeyboardInterrupt:
            stops.end_workers()
            raise
        finally:
            for future in futures:
                future.cancel()


def on_cluster(
    steps: Path, to: Path, months: Sequence[str], accept_float32: bool, address: str
) -> Iterator[Tuple[str, Any]]:
    """Yield (month, its future) as the workers of a Dask cluster finish.

    Raises KitError if Dask is not installed, or if the cluster cannot do the work
    (`cluster.connected`).
    """
    with cluster.connected(address, _MODULE) as client:
        futures = {
            client.submit(
                write_month,
                steps,
                to,
                name,
                accept_float32,
                key=f"leap-rows-{name}-{to}",
                pure=False,
            ): name
            for name in months
        }
        for future in cluster.as_completed(futures):
            yield futures[future], future


def outcome(future: Any, name: str) -> str:
    """Return the line of a finished month. Raises KitError if it, or its process, failed."""
    lost: Tuple[Type[Exception], ...] = (BrokenExecutor, *cluster.lost())
    try:
        return str(future.result())
    except lost as error:
        raise KitError(
            "its process was killed or lost, perhaps as the memory ran out",
            name,
            "let fewer run at a time (--jobs, or fewer workers)",
        ) from error


def main(argv: List[str]) -> int:
    """Make the months; one that fails does not stop the others.

    Raises KitError if a month was not made.
    """
    parser = argparse.ArgumentParser(
        prog="leapkit.worlds.month_arrays",
        description="Write step files as one array of rows per month.",
    )
    parser.add_argument(
        "--steps", type=Path, required=True, help="folder of YYYY-MM folders of mli/mlo files"
    )
    parser.add_argument(
        "--to", type=Path, required=True, help="folder for YYYY-MM.npy: 6.3 GB per whole month"
    )
    parser.add_argument(
        "--months",
        default="",
        help="as 0008-01:0008-06 or a comma list (default: all that exist)",
    )
    parser.add_argument(
        "--step-precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="float32 accepts step files in float32 too, which the receipts record",
    )
    parser.add_argument("--jobs", type=int, default=0, help="processes (default: one per core)")
    parser.add_argument(
        "--scheduler",
        default="",
        help="address of a Dask scheduler, tcp://host:8786 (default: processes of this machine)",
    )
    options = parser.parse_args(argv)
    steps = options.steps.resolve()
    to = options.to.resolve()
    months = months_of(options.months, "--months") if options.months else list_months(steps)
    if not months:
        raise KitError("holds no month (YYYY-MM)", steps, "check the path")
    work = (
        functools.partial(on_cluster, address=options.scheduler)
        if options.scheduler
        else functools.partial(locally, jobs=options.jobs or allotment.cores())
    )
    failed: List[KitError] = []
    for name, future in progress(
        work(steps, to, months, options.step_precision == "float32"),
        total=len(months),
        desc="rows",
        unit="month",
    ):
        try:
            print(outcome(future, name), flush=True)
        except KitError as error:
            print(f"{name}: {error}", flush=True)
            failed.append(error)
    if failed:
        raise KitError(
            f"{len(failed)} of {len(months)} months were not made",
            to,
            "fix what the lines above name and run the same command again",
        )
    return 0


if __name__ == "__main__":
    run_cli(main)
