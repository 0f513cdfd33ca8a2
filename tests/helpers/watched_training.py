"""Whole trainings by the kit, in float64, with an eye on every update and evaluation.

A network computes in float64 because its weights and inputs are: the kit's own steps from the files
to the checkpoint are those of any run. Nothing is replaced but the type of the batches.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import pytest
import torch
from torch import nn

from leapkit.core.experiments import Experiment
from leapkit.core.layout import Layout, RawData, Results
from leapkit.run import training
from leapkit.run.options import RunOptions
from leapkit.run.pipeline import run_experiment

CPU = torch.device("cpu")


@dataclass
class Watched:
    """What a run did.

    losses, rates  of each update
    evaluations    epoch, step, score, and whether it is the best one so far
    """

    losses: List[float] = field(default_factory=list)
    rates: List[List[float]] = field(default_factory=list)
    evaluations: List[Tuple[int, int, float, bool]] = field(default_factory=list)


def in_float64(build: Callable[[Any], nn.Module]) -> Callable[[Any], nn.Module]:
    """Return what builds the same networks in float64, from the same random numbers."""

    def built(config: Any) -> nn.Module:
        network = build(config).double()
        network.register_forward_pre_hook(lambda _, inputs: tuple(x.double() for x in inputs))
        return network

    return built


def watch(patch: pytest.MonkeyPatch) -> Dict[str, Watched]:
    """Watch all trainings from now on, by the stem of their files; their batches are float64."""
    runs: Dict[str, Watched] = defaultdict(Watched)
    batches_of = training.training_batches
    update = training._update
    keep = training._keep

    def doubled(*arguments: Any) -> Iterator[Tuple[torch.Tensor, ...]]:
        with contextlib.closing(batches_of(*arguments)) as batches:
            for tensors in batches:
                yield tuple(tensor.double() for tensor in tensors)

    def updated(run: Any, *batch: torch.Tensor) -> torch.Tensor:
        watched = runs[run.task.files.stem]
        watched.rates.append([float(group["lr"]) for group in run.optimiser.param_groups])
        loss = update(run, *batch)
        watched.losses.append(float(loss))
        return loss

    def kept(run: Any, score: Any, *predictions: Any) -> None:
        keep(run, score, *predictions)
        runs[run.task.files.stem].evaluations.append(
            (run.epoch, run.step, run.task.value(score), run.best is score)
        )

    patch.setattr(training, "training_batches", doubled)
    patch.setattr(training, "_update", updated)
    patch.setattr(training, "_keep", kept)
    return runs


def run_family(
    family: Sequence[Experiment], build: Callable[[Any], nn.Module], world: Path, results: Path
) -> Results:
    """Run experiments, each after its parent, as a member's command does."""
    layout = Layout(RawData(world), Results(results), results / "weights")
    options = RunOptions("reproduce", "sample", layout, in_float64(build), "cpu", 1)
    for experiment in family:
        run_experiment(experiment, family, options)
    return layout.results
