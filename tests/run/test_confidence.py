"""The confidence head sees what the network's last layer sees, and changes nothing else."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from launch.registry import members  # noqa: E402
from leapkit.core.errors import KitError  # noqa: E402
from leapkit.core.experiments import Experiment  # noqa: E402
from leapkit.data import checkpoints  # noqa: E402
from leapkit.run.confidence import WithConfidence, confidence_loss, with_saved_head  # noqa: E402
from members.joseph.networks import build as build_joseph  # noqa: E402

pytestmark = pytest.mark.stack

torch.set_num_threads(1)
EXPERIMENTS = [one for of_member in members().values() for one in of_member if not one.parent]


def built(experiment: Experiment) -> Any:
    torch.manual_seed(3)
    networks = import_module(f"members.{experiment.member}.networks")
    return networks.build(experiment.network["sample"])


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_every_members_network_gets_a_head_and_predicts_the_same_bits(
    experiment: Experiment,
) -> None:
    network = built(experiment).eval()
    tensors = list(network.state_dict())
    x = torch.randn(3, 556)
    with torch.no_grad():
        alone = network(x)
        prediction, errors = WithConfidence(network, seed=1)(x)
        assert torch.equal(prediction, alone) and torch.equal(network(x), alone)
    assert errors.shape == (3, 368) and bool(torch.isfinite(errors).all())
    assert list(network.state_dict()) == tensors, "the checkpoint is the plain network's"


class OfLevels(torch.nn.Module):
    """Features 2 x of each level's first channel and 1, then 14 outputs a level."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(2, 14)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = x[:, 16:76]
        y = self.fc(torch.stack([2 * levels, torch.ones_like(levels)], dim=2))
        return torch.cat([y[:, :, :8].mean(dim=1), y[:, :, 8:].transpose(1, 2).flatten(1)], dim=1)


def test_predicted_errors_are_the_heads_own_sum() -> None:
    """By NumPy, in float64: scalars are means over levels, profiles follow one by one."""
    both = WithConfidence(OfLevels(), seed=2).double()
    x = torch.randn(5, 556, dtype=torch.float64)
    weight, bias = (p.detach().numpy() for p in (both.head.weight, both.head.bias))
    expected = np.empty((5, 368))
    for row in range(5):
        features = np.stack([2 * x[row, 16:76].numpy(), np.ones(60)], axis=1)
        y = features @ weight.T + bias  # (60, 14)
        expected[row] = np.concatenate([y[:, :8].mean(axis=0), *(y[:, k] for k in range(8, 14))])
    np.testing.assert_allclose(both(x)[1].detach().numpy(), expected, rtol=1e-12)


def test_a_network_of_columns_gets_a_head_of_all_targets() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(556, 7), torch.nn.ReLU(), torch.nn.Linear(7, 368))
    both = WithConfidence(network, seed=2)
    x = torch.randn(4, 556)
    assert torch.equal(both(x)[1], both.head(network[1](network[0](x))))


def test_a_last_layer_that_is_applied_several_times_gives_the_mean_of_its_errors() -> None:
    """912's head has five passes in training, each under its own dropout."""
    [experiment] = [one for one in EXPERIMENTS if one.name == "joseph/912"]
    network = build_joseph(experiment.network["sample"]).train()
    both = WithConfidence(network, seed=2)
    seen: List[Any] = []
    last = network.final_fc.module
    last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    errors = both(torch.randn(2, 556))[1]
    assert len(seen) == len(experiment.network["sample"].dropouts) > 1
    levels = torch.stack([both.head(features) for features in seen]).mean(dim=0)
    np.testing.assert_allclose(
        errors[:, 8:68].detach().numpy(), levels[:, :, 8].detach().numpy(), rtol=1e-5, atol=1e-6
    )


def test_making_a_head_draws_no_number_that_the_network_would_have_drawn() -> None:
    torch.manual_seed(4)
    network = OfLevels()
    expected = torch.random.get_rng_state()
    first, second = WithConfidence(network, seed=1), WithConfidence(network, seed=1)
    assert torch.equal(torch.random.get_rng_state(), expected)
    assert torch.equal(first.head.weight, second.head.weight)
    assert not torch.equal(first.head.weight, WithConfidence(network, seed=2).head.weight)


def test_the_loss_teaches_the_shared_layers_and_not_by_way_of_the_error() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(556, 3), torch.nn.Linear(3, 368))
    prediction, errors = WithConfidence(network, seed=1)(torch.randn(2, 556))
    y = torch.randn(2, 368)
    confidence_loss(errors, prediction, y, slice(0, 368), 1.0).backward()
    assert network[1].weight.grad is None, "the error is a constant"
    assert float(network[0].weight.grad.abs().max()) > 0


def test_a_head_learns_where_errors_will_be_large() -> None:
    """Half of the columns are pure noise, ten times that of the others; the first input says so."""
    random = np.random.default_rng(1)
    x = torch.from_numpy(random.normal(size=(256, 556)).astype(np.float32))
    is_noisy = x[:, 0] > 0
    noise = torch.from_numpy(random.normal(size=(256, 368)).astype(np.float32))
    y = torch.where(is_noisy, torch.tensor(1.0), torch.tensor(0.1))[:, None] * noise
    torch.manual_seed(1)
    last = torch.nn.Linear(4, 368)
    both = WithConfidence(torch.nn.Sequential(torch.nn.Linear(556, 4), torch.nn.Tanh(), last), 1)
    optimiser = torch.optim.Adam(both.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        prediction, errors = both(x)
        loss = (prediction - y).square().mean()
        (loss + confidence_loss(errors, prediction, y, slice(0, 368), 1.0)).backward()
        optimiser.step()
    predicted = both(x)[1].detach()
    assert float(predicted[is_noisy].mean()) > 3 * float(predicted[~is_noisy].mean())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), beta=st.floats(0.1, 2), group=st.sampled_from([(0, 368), (8, 68)]))
def test_the_loss_is_smooth_l1_of_predicted_and_true_errors(seed: int, beta: float, group) -> None:
    torch.manual_seed(seed)
    errors, prediction, y = (2 * torch.randn(4, 368, dtype=torch.float64) for _ in range(3))
    targets = slice(*group)
    gap = np.abs(errors.numpy() - np.abs(prediction.numpy() - y.numpy()))[:, targets]
    expected = np.where(gap < beta, gap**2 / (2 * beta), gap - beta / 2).mean()
    loss = float(confidence_loss(errors, prediction, y, targets, beta))
    assert loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "network, count",
    [
        (torch.nn.Conv1d(9, 14, 1), 0),
        (torch.nn.Sequential(torch.nn.Linear(9, 14), torch.nn.Linear(14, 368)), 2),
    ],
)
def test_a_network_whose_last_layer_cannot_be_told_is_refused(network: Any, count: int) -> None:
    with pytest.raises(KitError, match=f"has {count} linear layers of 14 or 368 outputs.*without"):
        WithConfidence(network, seed=1)


def test_a_saved_head_predicts_errors_again(tmp_path: Path) -> None:
    both = WithConfidence(OfLevels(), seed=7)
    checkpoints.save(both.head, tmp_path / "head.pt")
    x = torch.randn(2, 556)
    again = with_saved_head(both.network, tmp_path / "head.pt")
    assert torch.equal(again(x)[1], both(x)[1])
    with pytest.raises(KitError, match="another network or width"):
        with_saved_head(torch.nn.Linear(556, 368), tmp_path / "head.pt")
