"""A network of a thousand weights behind the real command line, which can end at a named moment.

    python tests/helpers/small_run.py MODULE.FUNCTION:N:SIGNAL reproduce --raw-data ...

This command sends itself SIGNAL just before the N-th call of the function. For a generator it is
the N-th item. Of several processes, which torchrun starts, 1@MODULE... is the second; with
0@MODULE.FUNCTION:N:SIGNAL:parent the first sends it to the process that started it.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, List, Tuple

import numpy as np

from leapkit.core.experiments import Experiment, GroupRule, PublishedCheckpoints
from leapkit.core.recipes import CosineRestarts, PlateauSchedule, Recipe, RowSelection
from leapkit.data.loader import Loader
from members.adam.experiments import EXPERIMENTS as PUBLISHED
from members.adam.experiments import AdamNetwork

# As main() does, and before the first product of matrices: a command of its own and this process
# then round alike.
with contextlib.suppress(ImportError):
    from leapkit.run.devices import tune_libraries

    tune_libraries()

NETWORK = AdamNetwork((2, 2, 2), 4, 1, 2, "relu", "transformer", (4,), dropout=0.1, silu=True)
# A pool of 200 rows: fewer than there are, so that an epoch has three.
RECIPE = Recipe(
    lr=5e-3,
    epochs=3,
    batch=96,
    validation_batch=40,
    seed=5,
    schedule=PlateauSchedule(),
    optimiser="adam",
    weight_decay=0.0,
    early_stop=True,
    evaluations_per_epoch=2,
    rows=RowSelection(pool=200),
)
FULL = replace(NETWORK, hidden=6, heads=3)
EXPERIMENT: Experiment = replace(
    next(published for published in PUBLISHED if published.id == "200"),
    batch=32,
    network={"sample": NETWORK, "full": FULL},
    recipe={"sample": RECIPE, "full": RECIPE},
)
OTHER: Experiment = replace(
    EXPERIMENT,
    id="195",
    artifact="adam_195_78569.oof",
    recipe={profile: replace(RECIPE, seed=6, epochs=1) for profile in ("sample", "full")},
)
# Fine-tuned from EXPERIMENT per group: group 0 keeps the parent's weights by construction, others
# if they are worse.
TUNING = Recipe(
    lr=1e-3,
    epochs=1,
    batch=96,
    validation_batch=40,
    seed=7,
    schedule=CosineRestarts(1, 1, 1e-7),
    evaluations_per_epoch=2,
)
TUNED: Experiment = replace(
    EXPERIMENT,
    id="200gf",
    artifact="adam_200gf",
    parent="200",
    published=PublishedCheckpoints(("adam_200gf",)),
    groups=GroupRule(parents=(0,), keep_if_better=True),
    recipe={"sample": TUNING, "full": TUNING},
)
EXPERIMENTS = (OTHER, EXPERIMENT, TUNED)
PARQUET = EXPERIMENT.artifact + ".parquet"


def arguments(command: str, raw: Path, submission: Path, *more: str) -> List[str]:
    return [
        command,
        "--raw-data",
        str(raw),
        "--submission",
        str(submission),
        "--profile",
        "sample",
        "--device",
        "cpu",
        "--experiments",
        EXPERIMENT.id,
    ] + list(more)


def run(argv: List[str]) -> int:
    """Run the member's main() in this process."""
    from leapkit.run.member import main
    from members.adam.networks import build

    return main("adam", EXPERIMENTS, build, argv)


def end_at(moment: str) -> None:
    """Make this process send a signal at the moment: to itself, or to its parent."""
    rank, _, moment = moment.rpartition("@")
    if rank != os.environ.get("RANK", ""):
        return
    path, count, name, *parent = moment.split(":")
    module, function = path.rsplit(".", 1)
    calls_left = int(count)

    def tick() -> None:
        nonlocal calls_left
        calls_left -= 1
        if calls_left == 0:
            os.kill(os.getppid() if parent else os.getpid(), getattr(signal, name))

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


def run_cli_armed(moment: str, argv: List[str]) -> None:
    import torch

    from leapkit.core.errors import run_cli
    from leapkit.run import torchrun

    torch.set_num_threads(1)
    torchrun.command = lambda member, argv: [__file__, moment, *argv]
    if moment:
        end_at(moment)
    run_cli(run, argv)


def in_children(jobs: List[Any], at_once: bool = False) -> List[Any]:
    """Run (moment, argv) jobs one after another, or at once, each in a process of its own.

    Returns [(exit code or -signal, output), ...]. The processes are forks of one interpreter that
    has imported torch and started no thread, which saves seconds at each.
    """
    root = Path(__file__).resolve().parents[2]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(root / "shared"), str(root)]))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve())],
        input=json.dumps([at_once, jobs]),
        env=env,
        cwd=str(root),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return list(json.loads(done.stdout))


def serve() -> None:
    import torch

    import members.adam.networks  # noqa: F401

    # What is imported late, and would be again in every child: torch's compiler by optimisers,
    # pandas by pyarrow.
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    with contextlib.suppress(ImportError):
        import pandas  # noqa: F401
    at_once, jobs = json.load(sys.stdin)
    started = (started_child(moment, argv) for moment, argv in jobs)
    json.dump([ended(*child) for child in (list(started) if at_once else started)], sys.stdout)


def started_child(moment: str, argv: List[str]) -> Tuple[int, IO[bytes]]:
    """Start a command as a fork of this process; return its number and what takes its output."""
    output = tempfile.TemporaryFile()
    child = os.fork()
    if not child:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        run_cli_armed(moment, argv)
    return child, output


def ended(child: int, output: IO[bytes]) -> Tuple[int, str]:
    """Wait for a process; return its exit code, or -signal, and its output."""
    with output:
        _, status = os.waitpid(child, 0)
        output.seek(0)
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return code, output.read().decode("utf-8", "replace")


if __name__ == "__main__":
    if sys.argv[1:]:
        run_cli_armed(sys.argv[1], sys.argv[2:])
    else:
        serve()


class InMemory:
    """The blocks of a loader as arrays, which a test may change."""

    def __init__(self, loader: Loader) -> None:
        self.counts = loader.blocks.counts
        batches = list(loader.in_order(len(loader)))
        self.inputs, self.targets = (
            np.concatenate([batch[k] for batch in batches]) for k in (0, 1)
        )
        self._ends = np.cumsum(self.counts)

    def read(self, block: int, inputs: np.ndarray, targets: np.ndarray) -> None:
        rows = slice(self._ends[block] - self.counts[block], self._ends[block])
        inputs[...], targets[...] = self.inputs[rows], self.targets[rows]
