"""Rules that weigh the targets are their stated formulas, and the loss is that of their weights."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from leapkit.core.columns import GROUPS, LINEAR, NETWORK_TARGETS, ZERO  # noqa: E402
from leapkit.core.training_options import TARGET_WEIGHTS  # noqa: E402
from leapkit.run import target_weights  # noqa: E402
from leapkit.run.losses import loss_all, loss_group  # noqa: E402
from leapkit.run.processes import ALONE  # noqa: E402

pytestmark = pytest.mark.stack

torch.set_num_threads(1)
CPU = torch.device("cpu")
OVERWRITTEN = np.array([name in ZERO + LINEAR for name in NETWORK_TARGETS])


@pytest.mark.parametrize("name", [rule for rule in TARGET_WEIGHTS if rule])
def test_every_rule_leaves_the_size_of_the_loss_as_it_is(name: str) -> None:
    rule = target_weights.rule(name, CPU)
    for _ in range(3):
        assert rule.weights.shape == (368,) and float(rule.weights.min()) >= 0
        assert float(rule.weights.mean()) == pytest.approx(1.0, rel=1e-12)
        rule.update(torch.randn(9, 368), torch.randn(9, 368), ALONE, 9)


def test_seven_groups_weigh_alike() -> None:
    weights = target_weights.rule("groups", CPU).weights
    assert [float(weights[group].sum()) for group in GROUPS] == pytest.approx([368 / 7] * 7)
    assert all(len(set(weights[group].tolist())) == 1 for group in GROUPS)


@pytest.mark.parametrize("name", ["scored", "targets"])
def test_what_submissions_overwrite_weighs_nothing(name: str) -> None:
    rule = target_weights.rule(name, CPU)
    for _ in range(2):
        assert np.array_equal(rule.weights.numpy() == 0, OVERWRITTEN)
        rule.update(torch.randn(9, 368), torch.randn(9, 368), ALONE, 9)


def test_targets_are_weighed_by_the_inverse_of_a_running_mean_of_their_squared_errors() -> None:
    rule = target_weights.rule("targets", CPU)
    mean = np.ones(368)
    for t in range(130):
        torch.manual_seed(t)
        size = torch.logspace(-3, 1, 368)
        prediction, y = size * torch.randn(8, 368), size * torch.randn(8, 368)
        d = min(0.99, (1 + t) / (10 + t))
        squared = (prediction.numpy().astype(np.float64) - y.numpy()) ** 2
        mean = d * mean + (1 - d) * squared.mean(axis=0)
        rule.update(prediction, y, ALONE, 8)
    inverse = np.where(OVERWRITTEN, 0.0, 1 / np.maximum(mean, 0.01))
    np.testing.assert_allclose(rule.weights.numpy(), inverse / inverse.mean(), rtol=1e-5)
    again = target_weights.rule("targets", CPU)
    again.load_state_dict(rule.state_dict())
    assert torch.equal(again.weights, rule.weights)
    for each in (rule, again):
        each.update(prediction, y, ALONE, 8)
    assert torch.equal(again.weights, rule.weights)


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_tails_weigh_what_smooth_l1_takes_from_squares(beta: float) -> None:
    rule = target_weights.rule("tails", CPU, beta)
    assert bool((rule.weights == 1).all())
    squares, smooth = np.ones(368), np.full(368, 1 / (2 * beta))
    size = np.where(np.arange(368) < 8, 0.0, 0.01 + 0.05 * np.arange(368))
    for t in range(20):
        errors = size * np.random.default_rng(t).standard_t(3, size=(8, 368))
        d = min(0.99, (1 + t) / (10 + t))
        gap = np.abs(errors)
        h = np.where(gap < beta, gap**2 / (2 * beta), gap - beta / 2)
        squares = d * squares + (1 - d) * (gap**2).mean(axis=0)
        smooth = d * smooth + (1 - d) * h.mean(axis=0)
        rule.update(torch.from_numpy(errors), torch.zeros(8, 368), ALONE, 8)
    expected = squares / (2 * beta * smooth)
    assert expected[:8] == pytest.approx(np.ones(8)) and expected[-1] > 3
    np.testing.assert_allclose(rule.weights.numpy(), expected / expected.mean(), rtol=1e-9)
    again = target_weights.rule("tails", CPU, beta)
    again.load_state_dict(rule.state_dict())
    assert torch.equal(again.weights, rule.weights)


def _expected(p: np.ndarray, y: np.ndarray, w: np.ndarray, beta: float, group: Any) -> float:
    """Return the weighted loss, target by target and level by level."""

    def smooth(a: float, b: float) -> float:
        gap = abs(a - b)
        return gap * gap / (2 * beta) if gap < beta else gap - beta / 2

    groups = range(7) if group is None else [group]
    if group is not None:
        w = w / w[GROUPS[group]].mean()
    values, shapes = [], []
    for row in range(len(p)):
        for g in groups:
            levels = range(GROUPS[g].start, GROUPS[g].stop)
            values += [w[k] * smooth(p[row, k], y[row, k]) for k in levels]
            if g:
                shapes += [
                    (w[k] + w[k + 1])
                    / 2
                    * smooth(p[row, k + 1] - p[row, k], y[row, k + 1] - y[row, k])
                    for k in levels[:-1]
                ]
    return float(np.mean(values) + (np.mean(shapes) if shapes else 0.0))


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 999),
    beta=st.sampled_from([0.5, 1.0]),
    group=st.sampled_from([None, *range(7)]),
)
def test_the_weighted_loss_is_the_sum_written_out(
    seed: int, beta: float, group: Optional[int]
) -> None:
    random = np.random.default_rng(seed)
    p, y = random.normal(size=(2, 2, 368))
    w = random.uniform(0, 3, 368)
    prediction, label, weights = (torch.from_numpy(each) for each in (p, y, w))
    if group is None:
        loss = loss_all(prediction, label, beta, weights)
    else:
        beta = 1.0
        loss = loss_group(prediction, label, group, weights)
    assert float(loss) == pytest.approx(_expected(p, y, w, beta, group), rel=1e-12)


def test_weights_of_one_give_the_plain_loss() -> None:
    prediction, label = torch.randn(3, 368).double(), torch.randn(3, 368).double()
    ones = torch.ones(368, dtype=torch.float64)
    assert float(loss_all(prediction, label, 0.5, ones)) == pytest.approx(
        float(loss_all(prediction, label, 0.5)), rel=1e-12
    )
    for group in range(7):
        assert float(loss_group(prediction, label, group, ones)) == pytest.approx(
            float(loss_group(prediction, label, group)), rel=1e-12
        )
