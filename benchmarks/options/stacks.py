"""Stacking, measured as an option: the blend against its stack, with several seeds of the latter.

python -m benchmarks.options.stacks --world sample=DIR --submission DIR --results FILE --work DIR

in fold        validation rows, by a network that was trained with them
out of fold    the same rows, cross-fitted: by the network that has not seen their month
withheld       the world's test rows, by the mean of all networks
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import torch

from benchmarks.options import records
from benchmarks.options.variants import BASE
from blend import validation
from blend.naming import BlendName
from blend.target_weights import weights_of
from leapkit.core.errors import run_cli
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.data import submission
from leapkit.data.inference_set import prepare
from leapkit.data.score import R2, Score, submission_score
from leapkit.data.submission import OpenedParquet
from leapkit.run import devices
from stacking import applying
from stacking.cross_fitting import CrossFit, cross_predict
from stacking.networks import StackConfig, StackNetwork
from stacking.rows import ValidationRows
from stacking.run import CONFIG, RECIPE
from stacking.units import Unit

CPU = torch.device("cpu")
Scores = Dict[str, Dict[str, Score]]  # of blend and stack, by kind of rows


class Measured:
    """A blend of a world's trained networks."""

    def __init__(self, raw: RawData, results: Results, table: str, work: Path) -> None:
        index = HashIndex()
        self.raw = raw
        self.table = BlendName.parse(table).read_table(results)
        self.members = validation.load_predictions(self.table.artifacts, results, raw, index)
        self.unit = Unit(self.members[0].scaling)
        self.rows = ValidationRows(
            raw.validation_pairs(), self.members, weights_of(self.table), self.unit
        )
        roles = {role: index.of(path) for role, path in raw.test_files().items()}
        self.test_set = prepare(raw, self.unit.scaling, work, roles)
        self.opened = [OpenedParquet(results.parquet(name)) for name in self.table.artifacts]

    def scores(self, seed: int, folder: Path) -> Scores:
        """Return all scores of the blend and of a stack that is trained with a seed."""
        recipe = replace(RECIPE, seed=RECIPE.seed + seed)
        fit = CrossFit(len(self.members), CONFIG, recipe, folder, {"seed": str(seed)}, CPU)
        networks = fit.networks(self.rows, HashIndex())

        def not_kept(_: slice, block: np.ndarray) -> None:
            pass

        still = StackNetwork(len(self.members), StackConfig(hidden=1)).eval()  # corrects nothing
        return {
            "in fold": cross_predict(self.rows, networks, CPU, not_kept, fitted=True),
            "out of fold": cross_predict(self.rows, networks, CPU, not_kept),
            "withheld": {"blend": self._withheld([still]), "stack": self._withheld(networks)},
        }

    def _withheld(self, networks: List[StackNetwork]) -> Score:
        sums = R2()
        sources = applying.sources_of(self.table, self.opened)
        blocks = applying.stacked(self.table, sources, networks, self.test_set, self.unit, CPU)
        for values, (_, truth) in zip(blocks, submission.blocks(self.raw.truth)):
            sums.add(truth, values)
        return submission_score(sums)


def main(argv: List[str]) -> int:
    """Measure the seeds that the file does not hold yet."""
    options = _parser().parse_args(argv)
    devices.tune_libraries()
    torch.set_num_threads(1)
    world, _, root = options.world.partition("=")
    done = {
        (each["world"], each["network"], each["seed"]) for each in records.read(options.results)
    }
    measured = Measured(
        RawData(Path(root)), Results(options.submission), options.table, options.work / world
    )
    network = f"blend {options.table}"
    for seed in range(options.seeds):
        if (world, network, seed) in done:
            continue
        clock = time.process_time()
        folder = options.work / world / f"stack-{options.table}-{seed}"
        scores = measured.scores(seed, folder)
        seconds = time.process_time() - clock
        for variant, name in ((BASE, "blend"), ("stack", "stack")):
            records.append(
                options.results,
                {
                    "identity": f"{network} {variant} {seed} {world}",
                    "network": network,
                    "world": world,
                    "seed": seed,
                    "variant": variant,
                    "scores": {kind: _recorded(both[name]) for kind, both in scores.items()},
                    "seconds": seconds,
                    "seconds a step": seconds / (len(measured.rows.names) * RECIPE.updates),
                    "peak memory": devices.peak_memory(),
                },
            )
    return 0


def _recorded(score: Score) -> Dict[str, Any]:
    return {"predicted": score.predicted, "groups": list(score.groups)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.options.stacks", description=__doc__)
    parser.add_argument("--world", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--submission", type=Path, required=True, help="its trained networks")
    parser.add_argument("--results", type=Path, required=True, help="a file of JSON lines")
    parser.add_argument("--work", type=Path, required=True, help="for networks and parsed rows")
    parser.add_argument("--table", default="searched")
    parser.add_argument("--seeds", type=int, default=3)
    return parser


if __name__ == "__main__":
    run_cli(main)
