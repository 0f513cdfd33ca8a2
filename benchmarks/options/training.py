"""One training of a variant by the kit's own run, and its scores on three kinds of rows.

in fold        rows that it was trained on: those of every eighth training step
out of fold    the world's validation rows, at the evaluation that the run kept
withheld       the world's test rows, through the parquet that the kit writes
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict

import numpy as np

from leapkit.core.experiments import Experiment
from leapkit.core.layout import Layout, RawData, Results, RunFiles
from leapkit.core.receipts import read
from leapkit.data import submission
from leapkit.data.loader import Loader
from leapkit.data.scaling import load_scaling
from leapkit.data.score import R2, Score, submission_score
from leapkit.data.step_rows import StepRows
from leapkit.run import devices, evaluation, inference
from leapkit.run.options import RunOptions
from leapkit.run.pipeline import run_experiment
from leapkit.run.positivity import bounded
from members.student.networks import build

PROFILE = "sample"
_EVERY = 8  # step of training: its rows are scored in fold


class EveryStep:
    """Every n-th block of rows (leapkit.data.loader.Blocks)."""

    def __init__(self, rows: StepRows, every: int) -> None:
        self._rows = rows
        self._every = every
        self.counts = rows.counts[::every]

    def read(self, block: int, inputs: np.ndarray, targets: np.ndarray) -> None:
        self._rows.read(block * self._every, inputs, targets)


def measure(experiment: Experiment, raw: RawData, results: Results) -> Dict[str, Any]:
    """Train and predict, or go on with it; return scores, CPU seconds a step and memory.

    The seconds are those of this process, and None if another one has begun the run.
    """
    files = RunFiles(results.experiment(experiment.member, experiment.id), experiment.id)
    begun = files.state.exists() or files.checkpoint.exists()
    options = RunOptions("reproduce", PROFILE, Layout(raw, results, Path()), build, "cpu", 1)
    clock = time.process_time()
    run_experiment(experiment, [experiment], options)
    seconds = time.process_time() - clock
    trained = read(files.checkpoint)["details"]
    recipe = experiment.recipe[PROFILE]
    steps = recipe.epochs * (trained["training rows"] // recipe.batch)
    scores = {
        "in fold": _in_fold(experiment, raw, files),
        "out of fold": Score(**dict(trained["validation"])),
        "withheld": _withheld(raw, results.parquet(experiment.artifact)),
    }
    return {
        "scores": {
            name: {"predicted": score.predicted, "groups": list(score.groups)}
            for name, score in scores.items()
        },
        "steps": steps,
        "seconds a step": None if begun else seconds / steps,
        "peak memory": devices.peak_memory(),
    }


def _in_fold(experiment: Experiment, raw: RawData, files: RunFiles) -> Score:
    scaling = load_scaling(raw.statistics(experiment.family), experiment.family, raw.old_weights)
    recipe = experiment.recipe[PROFILE]
    trained = StepRows(raw.training_pairs(recipe.rows.first_month), scaling, recipe.rows)
    rows = Loader(EveryStep(trained, _EVERY), recipe.rows.pool)
    network = bounded(build(experiment.network[PROFILE]), recipe.options, scaling)
    inference.load(network, files.checkpoint)
    device = devices.choose_device("cpu")

    def not_kept(_: np.ndarray) -> None:
        pass

    [score] = evaluation.evaluate(
        [network], recipe.validation_batch, rows, scaling, device, [not_kept]
    )
    return score


def _withheld(raw: RawData, parquet: Path) -> Score:
    sums = R2()
    for (_, truth), (_, values) in zip(submission.blocks(raw.truth), submission.blocks(parquet)):
        sums.add(truth, values)
    return submission_score(sums)
