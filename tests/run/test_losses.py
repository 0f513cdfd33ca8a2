"""The training losses have the team's golden values, and their one line is the published sum."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.nn.functional import smooth_l1_loss  # noqa: E402

from leapkit.core.columns import GROUPS  # noqa: E402
from leapkit.run.losses import loss_all, loss_group  # noqa: E402

pytestmark = pytest.mark.stack

torch.set_num_threads(1)


@pytest.mark.parametrize(
    "key, beta",
    [
        ("stage1_beta1 (adam, fwm, joseph 907/912)", 1.0),
        ("max_stage1_beta0.5 (007/014/015/021/022)", 0.5),
    ],
)
def test_the_loss_over_all_columns_is_the_teams(key, beta, reference):
    assert abs(float(loss_all(*_golden_inputs(), beta)) - _golden(reference)[key]) < 1e-12


def test_the_loss_of_every_group_is_the_teams(reference):
    losses = [float(loss_group(*_golden_inputs(), group)) for group in range(len(GROUPS))]
    golden = _golden(reference)["group_finetune g0..g6 (all gf, beta 1)"]
    assert len(golden) == 7 and max(abs(a - b) for a, b in zip(losses, golden)) < 1e-12


def _golden(reference):
    return json.loads((reference / "parity" / "losses.json").read_text())


def _golden_inputs():
    row_number = torch.arange(4, dtype=torch.float64)[:, None]
    column_number = torch.arange(368, dtype=torch.float64)[None]
    prediction = 1.5 * torch.sin(0.05 * column_number + row_number)
    label = torch.cos(0.031 * column_number + 0.4 * row_number)
    return prediction, label


def _published_sum(prediction, label, beta):
    """Return SL1(all) + (1/6) sum over six profiles of SL1(first differences).

    Source: docs/reference/models.md, "Losses".
    """
    total = smooth_l1_loss(prediction, label, beta=beta)
    for profile in range(6):
        columns = slice(8 + 60 * profile, 68 + 60 * profile)
        p, y = prediction[:, columns], label[:, columns]
        total = total + smooth_l1_loss(p[:, 1:] - p[:, :-1], y[:, 1:] - y[:, :-1], beta=beta) / 6
    return total


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 5),
    st.sampled_from([0.1, 0.5, 1.0, 2.0]),
    st.floats(0.01, 100),
    st.integers(0, 2**31),
)
def test_one_mean_over_six_profiles_is_a_sixth_of_their_sum(rows, beta, magnitude, seed):
    generator = torch.Generator().manual_seed(seed)
    prediction, label = (
        magnitude * torch.randn(rows, 368, generator=generator, dtype=torch.float64)
        for _ in range(2)
    )
    loss, expected = (
        float(loss_all(prediction, label, beta)),
        float(_published_sum(prediction, label, beta)),
    )
    assert loss == pytest.approx(expected, rel=1e-12)


def test_a_shift_of_a_whole_profile_costs_nothing_in_its_differences() -> None:
    label = torch.randn(2, 368, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shifted = label.clone()
    shifted[:, 68:128] += 3.0
    assert float(loss_all(shifted, label, 1.0)) == pytest.approx(60 / 368 * 2.5, rel=1e-12)


def test_no_difference_is_taken_across_the_border_of_two_profiles() -> None:
    label, prediction = (
        torch.zeros(1, 368, dtype=torch.float64),
        torch.zeros(1, 368, dtype=torch.float64),
    )
    prediction[:, 8:68] = 2.0  # constant in the first profile: every difference is 0
    assert float(loss_all(prediction, label, 1.0)) == pytest.approx(60 / 368 * 1.5, rel=1e-12)


def test_the_gradient_reaches_every_column() -> None:
    prediction = torch.zeros(1, 368, dtype=torch.float64, requires_grad=True)
    loss_all(prediction, torch.ones(1, 368, dtype=torch.float64), 1.0).backward()
    assert bool((prediction.grad != 0).all())


def test_the_scalars_group_has_no_part_for_differences() -> None:
    prediction, label = _golden_inputs()
    assert torch.equal(
        loss_group(prediction, label, 0), smooth_l1_loss(prediction[:, :8], label[:, :8])
    )


@pytest.mark.parametrize("group", range(7))
def test_a_groups_loss_reaches_its_own_columns_and_no_others(group: int) -> None:
    prediction, label = _golden_inputs()
    prediction.requires_grad_()
    loss_group(prediction, label, group).backward()
    touched = (prediction.grad != 0).all(dim=0), (prediction.grad != 0).any(dim=0)
    group_columns = torch.zeros(368, dtype=torch.bool)
    group_columns[GROUPS[group]] = True
    assert torch.equal(touched[0], group_columns) and torch.equal(touched[1], group_columns)
