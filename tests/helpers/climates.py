"""Worlds on which leapkit.climate is compared with xarray: the tiny world and the real steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, List

import numpy as np

from leapkit.climate.evaluation import Evaluation
from leapkit.climate.grid import Grid
from leapkit.climate.results import EvaluationResult
from leapkit.core.step_files import StepPair, list_pairs
from leapkit.data.step_reader import StepReader
from tests.helpers import xarray_metrics


@dataclass
class Climate:
    """Steps as the kit reads them and as xarray does, and a prediction of some skill."""

    grid: Grid
    pairs: List[StepPair]
    truth: Any
    prediction: Any
    targets: np.ndarray
    predicted: np.ndarray

    def result(self) -> EvaluationResult:
        """Evaluate step by step, as `make evaluate` does."""
        evaluation = Evaluation(self.grid)
        reader = StepReader()
        for k, pair in enumerate(self.pairs):
            inputs, targets = reader.read(pair)
            columns = np.arange(len(inputs))
            rows = slice(k * len(inputs), (k + 1) * len(inputs))
            evaluation.add(inputs, targets, self.predicted[rows], columns, pair.month)
        return evaluation.result()

    def grid_data(self) -> Any:
        """Return the grid as a data set."""
        import xarray as xr

        columns = {name: ("ncol", getattr(self.grid, name)) for name in ("lat", "lon", "area")}
        faces = {name: ("ilev", getattr(self.grid, name)) for name in ("hyai", "hybi")}
        return xr.Dataset({**columns, **faces, "P0": self.grid.p0})


def climate(grid: Grid, steps: Path, stride: int = 1) -> Climate:
    """Return every `stride`-th step of a folder of months with a biased and noisy prediction."""
    pairs = list_pairs(steps)[::stride]
    truth = xarray_metrics.open_steps([pair.mli for pair in pairs])
    targets = xarray_metrics.targets_of(truth)
    random = np.random.RandomState(5)
    noise = random.standard_normal(targets.shape)
    predicted = 0.9 * targets + targets.std(axis=0) * (0.3 * noise + 0.05)
    prediction = xarray_metrics.with_targets(truth, predicted)
    return Climate(grid, pairs, truth, prediction, targets, predicted)
