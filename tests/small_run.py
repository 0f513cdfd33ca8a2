"""A network of a thousand weights behind the real command line, which can end itself at a named moment.

    python tests/small_run.py [MODULE.FUNCTION:N:SIGNAL] -- reproduce --raw-data ...

sends itself SIGNAL just before the N-th call of the function (or, of a generator, before its N-th item).
"""
from __future__ import annotations

import importlib
import inspect
import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, List

from leapkit.experiments import Experiment, Recipe, TrainingRows
from members.adam.experiments import EXPERIMENTS, AdamNetwork

NETWORK = AdamNetwork((2, 2, 2), 4, 1, 2, "relu", "transformer", (4,), dropout=0.1, silu=True)
RECIPE = Recipe(lr=5e-3, epochs=3, batch=96, validation_batch=40, seed=5, rows=TrainingRows(), evaluations_per_epoch=2)
FULL = replace(NETWORK, hidden=6, heads=3)
ROW: Experiment = replace(next(row for row in EXPERIMENTS if row.id == "200"), batch=32,
                          network={"sample": NETWORK, "full": FULL}, recipe={"sample": RECIPE, "full": RECIPE})
OTHER: Experiment = replace(ROW, id="195", artifact="adam_195_78569.oof", recipe={
    profile: replace(RECIPE, seed=6, epochs=1) for profile in ("sample", "full")})
ROWS = (OTHER, ROW)
PARQUET = ROW.artifact + ".parquet"


def arguments(command: str, raw: Path, submission: Path, *more: str) -> List[str]:
    return [command, "--raw-data", str(raw), "--submission", str(submission), "--profile", "sample", "--device", "cpu",
            "--experiments", ROW.id] + list(more)


def run(argv: List[str]) -> int:
    """The member's main() in this process."""
    from leapkit.member import main
    from members.adam.networks import build
    return main("adam", ROWS, build, argv)


def end_at(moment: str) -> None:
    """Arms the process: it sends itself a signal at the moment."""
    path, count, name = moment.split(":")
    module, function = path.rsplit(".", 1)
    left = int(count)

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), getattr(signal, name))

    def armed(*args: Any, **options: Any) -> Any:
        if not inspect.isgeneratorfunction(original):
            tick()
            return original(*args, **options)
        return items(original(*args, **options))

    def items(generator: Any) -> Any:
        for item in generator:
            tick()
            yield item

    owner = importlib.import_module(module)
    original = getattr(owner, function)
    setattr(owner, function, armed)


if __name__ == "__main__":
    import torch

    from leapkit.errors import run_cli

    torch.set_num_threads(1)
    at = sys.argv.index("--")
    for wanted in sys.argv[1:at]:
        end_at(wanted)
    run_cli(partial(run), sys.argv[at + 1:])
