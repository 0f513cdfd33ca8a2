"""What the loader's pools do to R2: sample-size recipes trained with other pools, some seeds each.

    python -m benchmarks.pools KEPT.jsonl --world sample=DIR --network adam/195 --pool 8192 ...

Each run is a line of KEPT.jsonl; a run that has its line is not repeated, so a stopped measurement
goes on. The first pool is what the others are compared with: one of all rows is a global shuffle.
Runs of one seed begin with the same weights, so their differences are paired.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Dict, List, Sequence, Tuple

from benchmarks import kinds
from benchmarks.options import records
from leapkit.core.errors import run_cli
from leapkit.core.experiments import Experiment
from leapkit.core.layout import RawData, RunFiles
from leapkit.core.recipes import CosineRestarts, Recipe
from leapkit.core.registry import discover

PROFILE = "sample"
GLOBAL = 1 << 30  # more rows than a world that fits in memory has
Key = Tuple[str, str, int, int]  # world, network, seed, pool


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pools", description=__doc__)
    parser.add_argument("kept", type=Path, metavar="KEPT.jsonl", help="file of the runs")
    parser.add_argument("--world", action="append", default=[], metavar="NAME=DIR")
    parser.add_argument("--network", action="append", default=[], metavar="MEMBER/ID")
    parser.add_argument("--pool", action="append", default=[], type=int, help="besides all rows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4, help="at most so many")
    return parser.parse_args(argv)


def read(kept: Path) -> Dict[Key, Dict[str, Any]]:
    """Return the runs that are kept, by world, network, seed and pool."""
    runs = records.read(kept)
    return {(run["world"], run["network"], run["seed"], run["pool"]): run for run in runs}


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """Return a recipe of at most so many epochs, its first cycle of rates no longer than they."""
    epochs = min(epochs, recipe.epochs)
    schedule = recipe.schedule
    if isinstance(schedule, CosineRestarts):
        schedule = replace(schedule, first=min(schedule.first, epochs))
    return replace(recipe, epochs=epochs, schedule=schedule)


def measure(raw: RawData, experiment: Experiment, recipe: Recipe) -> Dict[str, Any]:
    """Train one network of sample size and return its R2 out of fold, and what it took."""
    import torch

    from leapkit.data.loader import Loader
    from leapkit.data.scaling import load_scaling
    from leapkit.data.step_rows import StepRows
    from leapkit.run import training
    from leapkit.run.training_run import Task

    torch.set_num_threads(1)
    scaling = load_scaling(raw.statistics(experiment.family), experiment.family, raw.old_weights)
    rows = StepRows(raw.training_pairs(recipe.rows.first_month), scaling, recipe.rows)
    validation = StepRows(raw.validation_pairs(), scaling)
    started = time.process_time()
    with tempfile.TemporaryDirectory(prefix="leap-pools-") as folder:
        trained = training.train(
            lambda: kinds.builder(experiment)(experiment.network[PROFILE]),
            Task(RunFiles(Path(folder), experiment.id), recipe, "pools"),
            Loader(rows, recipe.rows.pool),
            Loader(validation, recipe.rows.pool),
            scaling,
            torch.device("cpu"),
        )
    return {
        "rows": int(rows.counts.sum()),
        "steps": len(rows.counts),
        "all_columns": trained.score.all_columns,
        "predicted": trained.score.predicted,
        "cpu_seconds": round(time.process_time() - started, 1),
    }


def table(runs: Dict[Key, Dict[str, Any]]) -> List[str]:
    """Return a line per world, network and pool: R2 and its difference to a global shuffle."""
    lines = [
        "| world | network | rows in a pool | seeds | R2 | spread | difference | spread |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for world, network, pool in sorted({(w, n, -p) for w, n, _, p in runs}):
        of_pool = {s: r for (w, n, s, p), r in runs.items() if (w, n, -p) == (world, network, pool)}
        values = {seed: run["all_columns"] for seed, run in of_pool.items()}
        differences = [
            value - runs[world, network, seed, GLOBAL]["all_columns"]
            for seed, value in values.items()
            if (world, network, seed, GLOBAL) in runs
        ]
        [one, *_] = of_pool.values()
        name = f"all {one['rows']:,}" if -pool == GLOBAL else f"{-pool:,}"
        r2 = [f"{mean(values.values()):.4f}", _spread(list(values.values()))]
        to_global = [f"{mean(differences):+.4f}", _spread(differences)] if differences else ["", ""]
        if -pool == GLOBAL:
            to_global = ["", ""]
        cells = [world, network, name, str(len(values)), *r2, *to_global]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _spread(values: Sequence[float]) -> str:
    return f"{stdev(values):.4f}" if len(values) > 1 else ""


def main(argv: Sequence[str]) -> int:
    """Train what is missing, seed by seed, and print the table."""
    options = parse_arguments(argv)
    experiments = {
        experiment.name: experiment
        for of_member in discover(kinds.REPOSITORY).values()
        for experiment in of_member
    }
    worlds = dict(each.split("=", 1) for each in options.world)
    runs = read(options.kept)
    pools = (GLOBAL, *options.pool)
    seeds = range(1, options.seeds + 1)
    for seed, world, network, pool in product(seeds, worlds, options.network, pools):
        if (world, network, seed, pool) in runs:
            continue
        recipe = shortened(experiments[network].recipe[PROFILE], options.epochs)
        recipe = replace(recipe, seed=seed, rows=replace(recipe.rows, pool=pool))
        run = {
            "seed": seed,
            "world": world,
            "network": network,
            "pool": pool,
            "epochs": recipe.epochs,
            **measure(RawData(Path(worlds[world])), experiments[network], recipe),
        }
        records.append(options.kept, run)
        runs[world, network, seed, pool] = run
    print("\n".join(table(runs)))
    return 0


if __name__ == "__main__":
    run_cli(main)
