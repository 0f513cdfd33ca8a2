"""One pass over the steps: every prediction against the truth, in memory that no row adds to."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence

import numpy as np

from evaluation.predictions import Prediction
from evaluation.truths import Step, Truth
from leapkit.climate.evaluation import Evaluation
from leapkit.climate.grid import Grid
from leapkit.climate.results import EvaluationResult
from leapkit.core.columns import INPUTS
from leapkit.core.errors import KitError
from leapkit.data.progress import progress

# Predictions of one pass: each has some 30 MB of sums and 50 MB of a parquet's rows.
AT_ONCE = 6
_ROWS_AT_ONCE = 4096
_LAND = INPUTS.index("cam_in_LANDFRAC")


class Judged:
    """What one pass over the steps gives.

    results  {name of a prediction: its figures}
    land     (C,) the fraction of land of the grid's columns, at the last step
    """

    def __init__(self, results: Dict[str, EvaluationResult], land: np.ndarray) -> None:
        self.results = results
        self.land = land


def judge(truth: Truth, predictions: Sequence[Prediction], grid: Grid) -> Judged:
    """Compare predictions with the truth of the same steps.

    Raises KitError if the grid has another number of columns, and for a prediction that lacks a
    step or is not finite.
    """
    if grid.columns != truth.columns:
        raise KitError(
            f"has {grid.columns} columns, and the steps have {truth.columns}",
            grid.source,
            "give the grid that belongs to the step files",
        )
    evaluations = {prediction.name: Evaluation(grid) for prediction in predictions}
    land = np.zeros(grid.columns)
    what = predictions[0].name if len(predictions) == 1 else f"{len(predictions)} predictions"
    total = len(truth.stamps) * truth.columns
    with progress(total=total, desc=f"evaluating {what}", unit="row") as bar:
        for steps in _in_blocks(truth.steps(), max(1, _ROWS_AT_ONCE // truth.columns)):
            columns = np.tile(np.arange(truth.columns), len(steps))
            months = [step.month for step in steps for _ in range(truth.columns)]
            inputs = np.concatenate([step.inputs for step in steps])
            expected = np.concatenate([step.truth for step in steps])
            for prediction in predictions:
                values = np.concatenate([prediction.values(step) for step in steps])
                evaluations[prediction.name].add(inputs, expected, values, columns, months)
            land = steps[-1].inputs[:, _LAND]
            bar.update(len(columns))
    return Judged({name: each.result() for name, each in evaluations.items()}, land)


def _in_blocks(steps: Iterator[Step], count: int) -> Iterator[List[Step]]:
    """Yield lists of `count` steps; the last may be shorter."""
    block: List[Step] = []
    for step in steps:
        block.append(step)
        if len(block) == count:
            yield block
            block = []
    if block:
        yield block
