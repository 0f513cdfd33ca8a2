"""The moving average of the weights is that of its formula, and lends itself without a trace."""

from __future__ import annotations

from typing import List

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from leapkit.run.weight_average import WeightAverage  # noqa: E402

pytestmark = pytest.mark.stack

torch.set_num_threads(1)


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


def weights(module: torch.nn.Module) -> np.ndarray:
    return torch.cat([p.detach().flatten() for p in module.parameters()]).double().numpy()


def with_weights(module: torch.nn.Module, values: float) -> np.ndarray:
    """Give all parameters new random values; return them."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(values * torch.randn(parameter.shape))
    return weights(module)


def expected(start: np.ndarray, updates: List[np.ndarray], decay: float) -> np.ndarray:
    average = start
    for t, after in enumerate(updates):
        d = min(decay, (1 + t) / (10 + t))
        average = d * average + (1 - d) * after
    return average


@settings(max_examples=30, deadline=None)
@given(
    decay=st.floats(0.01, 0.9999),
    sizes=st.lists(st.floats(-10, 10), min_size=1, max_size=40),
)
def test_the_average_is_the_formulas_in_float64(decay: float, sizes: List[float]) -> None:
    module = network()
    start = with_weights(module, 1.0)
    average = WeightAverage(module, decay)
    updates = []
    for number, size in enumerate(sizes):
        updates.append(with_weights(module, size))
        average.update(number)
    trained = weights(module)
    with average.in_place():
        np.testing.assert_allclose(
            weights(module), expected(start, updates, decay), rtol=2e-5, atol=2e-5
        )
    assert np.array_equal(weights(module), trained)


def test_the_trained_weights_come_back_also_after_an_error() -> None:
    module = network()
    average = WeightAverage(module, 0.9)
    trained = with_weights(module, 1.0)
    with pytest.raises(KeyboardInterrupt), average.in_place():
        assert not np.array_equal(weights(module), trained)
        raise KeyboardInterrupt
    assert np.array_equal(weights(module), trained)


def test_running_moments_are_taken_as_they_are() -> None:
    module = network()
    average = WeightAverage(module, 0.9)
    module[1].running_mean.fill_(3.0)
    average.update(0)
    with average.in_place():
        assert module[1].running_mean.tolist() == [3.0, 3.0]


def test_an_average_goes_on_from_its_state() -> None:
    first, second = network(), network()
    average = WeightAverage(first, 0.5)
    with_weights(first, 1.0)
    average.update(0)
    restored = WeightAverage(second, 0.5)
    restored.load_state_dict({name: t.clone() for name, t in average.state_dict().items()})
    with average.in_place(), restored.in_place():
        assert np.array_equal(weights(first), weights(second))


def test_without_a_decay_there_is_no_average() -> None:
    module = network()
    average = WeightAverage(module, 0.0)
    trained = with_weights(module, 1.0)
    average.update(0)
    assert average.state_dict() == {}
    with average.in_place():
        assert np.array_equal(weights(module), trained)
