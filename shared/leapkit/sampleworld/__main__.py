"""Make the sample world, unless its receipt proves it (`make world`).

It has a year of training months, the published validation months and seven test months: a few
steps of each on the real grid, from which worlds.make_world writes Kaggle's files. The same seed
gives the same bytes.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import List, Sequence

import numpy as np

from leapkit.core import receipts
from leapkit.core.errors import KitError, explain_os_errors, run_cli
from leapkit.core.files import TEMPORARY
from leapkit.core.layout import world_receipt
from leapkit.core.sample_world import SPLIT, STEPS_PER_MONTH, judge_world, sample_inputs
from leapkit.sampleworld.steptime import DAYS_IN_MONTH, StepTime
from leapkit.sampleworld.write import write_steps
from leapkit.worlds.make_world import make_world, write_world_receipt

CSV_STRIDE = 4  # train.csv holds one step of each training month


def times(months: Sequence[str], count: int, seed: int) -> List[StepTime]:
    """Return `count` distinct steps of each month, drawn from (seed, month)."""
    steps: List[StepTime] = []
    for month in months:
        year, number = int(month[:4]), int(month[5:])
        random = np.random.RandomState([seed, year, number])
        slots = sorted(random.choice(DAYS_IN_MONTH[number - 1] * 72, count, replace=False))
        steps += [StepTime(year, number, int(s) // 72 + 1, int(s) % 72 * 1200) for s in slots]
    return steps


def make(to: Path, seed: int) -> None:
    """Make the world in a folder of another name, then rename it.

    Raises KitError if `to` holds something else than a world.
    """
    started = receipts.now()
    if (
        to.exists()
        and not world_receipt(to).exists()
        and not (to.is_dir() and not any(to.iterdir()))
    ):
        raise KitError(
            "holds something that is not a sample world", to, "choose another folder with --to"
        )
    partial = to.with_name(TEMPORARY + to.name)
    shutil.rmtree(str(partial), ignore_errors=True)
    try:
        with explain_os_errors(to):
            partial.mkdir(parents=True)
            steps = partial / "ClimSim_low-res" / "train"
            print("making the sample world's step files", flush=True)
            for role in ("train", "validation"):
                write_steps(steps, times(getattr(SPLIT, role), STEPS_PER_MONTH[role], seed), seed)
            with tempfile.TemporaryDirectory(dir=str(partial)) as withheld:
                write_steps(Path(withheld), times(SPLIT.test, STEPS_PER_MONTH["test"], seed), seed)
                make_world(steps, Path(withheld), partial, SPLIT, None, seed, CSV_STRIDE)
            write_world_receipt(partial, sample_inputs(seed), started, {"seed": seed})
            shutil.rmtree(str(to), ignore_errors=True)
            partial.rename(to)
    finally:
        shutil.rmtree(str(partial), ignore_errors=True)


def main(argv: List[str]) -> int:
    """Make the world of --to if it is not proved."""
    parser = argparse.ArgumentParser(
        prog="leapkit.sampleworld", description="Make the sample world."
    )
    parser.add_argument("--to", type=Path, default=Path("raw_data/sample"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    verdict = judge_world(options.to, sample_inputs(options.seed))
    print(
        f"sample world {'exists' if verdict.done else 'is made'}: {verdict.reason}",
        flush=True,
    )
    if not verdict.done:
        make(options.to, options.seed)
    return 0


if __name__ == "__main__":
    run_cli(main)
