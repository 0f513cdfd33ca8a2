"""The bound in standardised units is that of raw submissions, and learning passes through it."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from blend.postprocess import STATES, bound  # noqa: E402
from leapkit.core.columns import (  # noqa: E402
    INPUTS,
    NETWORK_INPUTS,
    PREDICTED,
    TARGETS,
    TARGETS_TO_NETWORK,
)
from leapkit.core.layout import RawData  # noqa: E402
from leapkit.core.training_options import TrainingOptions  # noqa: E402
from leapkit.data.scaling import Scaling, load_scaling  # noqa: E402
from leapkit.run.positivity import WaterBound, bounded  # noqa: E402

pytestmark = pytest.mark.stack

torch.set_num_threads(1)
ON = TrainingOptions(positivity=True)
WATER = [TARGETS.index(name) for name in PREDICTED if name.startswith("ptend_q")]


@pytest.fixture(scope="module", params=["adam", "fdzm"])
def scaling(request: pytest.FixtureRequest, tiny_world: Path) -> Scaling:
    raw = RawData(tiny_world)
    return load_scaling(raw.statistics(request.param), request.param, raw.old_weights)


def columns(seed: int, rows: int = 40) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return standardised inputs and predictions of which some leave less than no water."""
    torch.manual_seed(seed)
    return torch.randn(rows, 556), 100 * torch.randn(rows, 368)


class Constant(torch.nn.Module):
    def __init__(self, y: torch.Tensor) -> None:
        super().__init__()
        self.y = torch.nn.Parameter(y)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.y


def raw_states(x: torch.Tensor, scaling: Scaling) -> np.ndarray:
    """Return the states (n, W), kg/kg, that standardised inputs stand for."""
    order = [NETWORK_INPUTS.index(name) for name in INPUTS]
    kaggle = x.numpy().astype(np.float64)[:, order]
    states: np.ndarray = (kaggle * scaling.input_std + scaling.input_mean)[:, STATES]
    return states


def test_the_bound_is_that_of_raw_submissions(scaling: Scaling) -> None:
    """By blend/postprocess.py, in float64 and raw units, to what float32 holds of z."""
    x, y = columns(1)
    with torch.no_grad():
        z = bounded(Constant(y), ON, scaling)(x)
    weight = np.where(scaling.weight == 0, 1.0, scaling.weight)
    expected = scaling.weighted(y.numpy()) / weight
    moved = bound(expected, raw_states(x, scaling), ["positivity"])
    assert 0.2 * len(x) < moved[WATER].mean() < 0.8 * len(x), "about half are moved"
    got = scaling.weighted(z.numpy()) / weight
    unit = scaling.target_std / weight
    exact = expected[:, WATER] / unit[WATER]
    size = 1 + np.abs(WaterBound(scaling)._intercept.numpy()[_places()]) + np.abs(exact)
    assert (np.abs(got[:, WATER] / unit[WATER] - exact) < 1e-6 * size).all()
    others = np.setdiff1d(np.arange(368), WATER)
    assert np.array_equal(got[:, others], expected[:, others])


def _places() -> np.ndarray:
    network_of = {kaggle: place for place, kaggle in enumerate(TARGETS_TO_NETWORK)}
    return np.array([network_of[position] for position in WATER])


def test_a_gradient_passes_as_if_there_were_no_bound(scaling: Scaling) -> None:
    x, y = columns(2)
    network = bounded(Constant(y), ON, scaling)
    z = network(x)
    assert bool((z != network.y).any())
    seeds = torch.randn(z.shape)
    z.backward(seeds)
    assert torch.equal(network.y.grad, seeds)


def test_what_is_below_the_bound_learns_the_truth_above_it(scaling: Scaling) -> None:
    """With the gradient of a clamp it would stay where it is for ever."""
    x = torch.randn(4, 556)
    floor = WaterBound(scaling).floor(x)
    is_bound = torch.isfinite(floor)
    truth = torch.where(is_bound, floor + 1.0, torch.zeros(()))
    network = bounded(Constant(torch.where(is_bound, floor - 5.0, torch.zeros(()))), ON, scaling)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.5)
    for _ in range(60):
        optimiser.zero_grad()
        ((network(x) - truth) ** 2).sum().backward()
        optimiser.step()
    assert float((network(x) - truth).detach().abs().max()) < 1e-2


def test_the_option_off_leaves_the_network_alone(scaling: Scaling) -> None:
    x, y = columns(3)
    network = Constant(y)
    assert bounded(network, TrainingOptions(), scaling)(x) is network.y
    assert list(bounded(network, ON, scaling).state_dict()) == ["y"]
