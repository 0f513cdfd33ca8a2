"""Losses add up where they are computed, and one that is not finite stops a run in time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Tuple

import pytest

torch = pytest.importorskip("torch")

from leapkit.core.columns import INPUTS, TARGETS  # noqa: E402
from leapkit.core.errors import KitError  # noqa: E402
from leapkit.core.layout import RunFiles  # noqa: E402
from leapkit.core.recipes import CosineRestarts  # noqa: E402
from leapkit.run import training  # noqa: E402
from leapkit.run.loss_sum import GPU_INTERVAL, LossSum  # noqa: E402
from members.adam.networks import build  # noqa: E402
from tests.helpers import small_run  # noqa: E402

pytestmark = pytest.mark.stack

CPU = torch.device("cpu")


def test_the_sum_is_that_of_floats() -> None:
    losses = LossSum(CPU)
    total = 0.0
    for update, value in enumerate(torch.rand(50), 1):
        losses.add(value, 0, update)
        total += float(value)
    assert losses.value(0, 50) == total
    losses.begin()
    assert losses.value(1, 0) == 0.0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_on_a_cpu_a_loss_that_is_not_finite_is_met_at_its_own_update(value: float) -> None:
    losses = LossSum(CPU)
    losses.begin(3.5, 6)
    losses.add(torch.tensor(1.0), 2, 7)
    with pytest.raises(KitError, match=r"became NaN or infinite in epoch 3, step 8\b"):
        losses.add(torch.tensor(value), 2, 8)


def test_on_a_gpu_it_is_read_every_hundred_updates_and_the_range_is_named() -> None:
    losses = LossSum(CPU)
    losses._interval = GPU_INTERVAL
    for update in range(1, 150):
        losses.add(torch.tensor(float("nan") if update == 120 else 1.0), 0, update)
    with pytest.raises(KitError, match="in epoch 1, steps 101 to 149"):  # before an evaluation
        losses.value(0, 149)
    for update in range(150, 200):
        losses.add(torch.tensor(1.0), 0, update)
    with pytest.raises(KitError, match="in epoch 1, steps 101 to 200"):
        losses.add(torch.tensor(1.0), 0, 200)


# ---- of a training step --------------------------------------------------------------------------


def run_on(device: torch.device, folder: Path) -> training.Run:
    recipe = replace(small_run.RECIPE, optimiser="adamw", schedule=CosineRestarts(1, 2, 1e-6))
    task = training.Task(RunFiles(folder, "200"), recipe, "key")
    return training.Run(build(small_run.NETWORK), task, 1000, device)


def rows_on(device: torch.device) -> Tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(96, len(INPUTS), device=device), torch.zeros(96, len(TARGETS), device=device)


@pytest.mark.process
def test_no_value_is_read_in_a_step_that_is_not_on_a_cpu(tmp_path: Path) -> None:
    """torch's `meta` device computes shapes alone, so to read a value of it is an error."""
    if torch.__version__.startswith("1."):
        pytest.skip("this torch has no LSTM on the meta device")
    meta = torch.device("meta")
    run = run_on(meta, tmp_path)
    run.losses._interval = 2
    training._step(run, *rows_on(meta))
    with pytest.raises(RuntimeError, match="meta"):
        training._step(run, *rows_on(meta))


def test_an_infinite_gradient_of_a_finite_loss_ends_the_run_too(tmp_path: Path) -> None:
    run = run_on(CPU, tmp_path)
    x, y = rows_on(CPU)
    training._step(run, x, y)
    run.network.fc2.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(KitError, match=r"in epoch 1, step 2\b"):
        training._step(run, x + 1, y)


def test_what_was_last_read_is_told_without_reading_anew() -> None:
    """The history of a training takes it, and a GPU must not wait for that."""
    losses = LossSum(CPU)
    losses._interval = 3
    told = []
    for update in range(1, 8):
        losses.add(torch.tensor(1.0), 0, update)
        told.append(losses.last_read)
    assert told == [(0, 0.0)] * 2 + [(3, 3.0)] * 3 + [(6, 6.0)] * 2
    losses.begin(4.0, 2)
    assert losses.last_read == (2, 4.0)
