"""Streamed moments of groups: any split, any order, any weights, and nothing cancels."""

from __future__ import annotations

from fractions import Fraction
from typing import List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leapkit.climate.errors import GroupedErrors

pytestmark = pytest.mark.oldest
GROUPS = 4
ARRAYS = ("truth_mean", "truth_m2", "prediction_mean", "prediction_m2", "error_mean", "squared")


def sample(rows: int, seed: int, offset: float = 0.0) -> List[np.ndarray]:
    """Return (group, truth, prediction, weights) of rows with three quantities."""
    random = np.random.RandomState(seed)
    truth = offset + random.standard_normal((rows, 3)) * [1.0, 1e-9, 1e3]
    prediction = truth + random.standard_normal((rows, 3)) * [0.3, 1e-9, 1e2]
    return [random.randint(0, GROUPS, rows), truth, prediction, random.uniform(0.5, 2.0, rows)]


def errors_of(data: List[np.ndarray]) -> GroupedErrors:
    errors = GroupedErrors(GROUPS, 3)
    errors.add(*data)
    return errors


def assert_same(one: GroupedErrors, other: GroupedErrors, rtol: float = 1e-12) -> None:
    np.testing.assert_array_equal(one.rows, other.rows)
    for name in ("weight", "absolute", *ARRAYS):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol, 1e-24)


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 50), max_size=6), seed=st.integers(0, 50), shuffle=st.booleans()
)
def test_chunks_merge_to_the_whole(cuts: List[int], seed: int, shuffle: bool) -> None:
    data = sample(50, seed)
    order = np.random.RandomState(seed).permutation(50) if shuffle else np.arange(50)
    merged = GroupedErrors(GROUPS, 3)
    for k, part in enumerate(np.split(order, sorted(cuts))):
        chunk = [array[part] for array in data]
        if k % 2:
            merged.add(*chunk)
        else:
            merged.merge(errors_of(chunk))
    assert_same(merged, errors_of(data))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 50), scale=st.sampled_from([1e-30, 0.5, 1e20]))
def test_another_unit_scales_the_errors_and_leaves_r2(seed: int, scale: float) -> None:
    group, truth, prediction, weights = sample(30, seed)
    errors = errors_of([group, truth, prediction, weights])
    scaled = errors_of([group, truth * scale, prediction * scale, weights])
    for name in ("mae", "rmse", "bias", "truth_std", "prediction_rms"):
        np.testing.assert_allclose(getattr(scaled, name)(), getattr(errors, name)() * scale, 1e-12)
    np.testing.assert_allclose(scaled.r2(), errors.r2(), 1e-12, 1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 50))
def test_equal_weights_are_no_weights(seed: int) -> None:
    group, truth, prediction, _ = sample(30, seed)
    plain = GroupedErrors(GROUPS, 3)
    plain.add(group, truth, prediction)
    assert_same(errors_of([group, truth, prediction, np.ones(30)]), plain)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 50))
def test_pools_are_the_groups_in_one(seed: int) -> None:
    group, truth, prediction, weights = sample(40, seed)
    factor = np.array([1.0, 2.0, 0.5, 3.0])
    label = np.array([0, 1, 0, -1])
    pools = errors_of([group, truth, prediction, weights]).pooled(label, 3, factor)
    kept = label[group] >= 0
    direct = GroupedErrors(3, 3)
    arrays = [truth[kept], prediction[kept], (weights * factor[group])[kept]]
    direct.add(label[group][kept], *arrays)
    assert_same(pools, direct)
    assert np.isnan(pools.r2()[2]).all() and np.isnan(pools.mae()[2]).all()


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9])
def test_a_large_mean_takes_nothing_of_the_variance(offset: float) -> None:
    group, truth, prediction, weights = sample(60, 3, offset)
    chunks = GroupedErrors(GROUPS, 3)
    for part in np.array_split(np.arange(60), 7):
        chunks.add(group[part], truth[part], prediction[part], weights[part])
    for g in range(GROUPS):
        rows = group == g
        exact = [
            [Fraction(value) for value in column]
            for column in (weights[rows], truth[rows, 0], prediction[rows, 0])
        ]
        w, t, p = exact
        mean = sum(a * b for a, b in zip(w, t)) / sum(w)
        m2 = sum(a * (b - mean) ** 2 for a, b in zip(w, t))
        squared = sum(a * (c - b) ** 2 for a, b, c in zip(w, t, p))
        bias = sum(a * (c - b) for a, b, c in zip(w, t, p)) / sum(w)
        # Rounding of the means, 1e-16 of them; sums of squares would have lost everything at 1e9.
        close = {"rel": max(1e-12, 1e-15 * abs(offset))}
        assert chunks.truth_m2[g, 0] == pytest.approx(float(m2), **close)
        assert chunks.r2()[g, 0] == pytest.approx(float(1 - squared / m2), **close)
        assert chunks.bias()[g, 0] == pytest.approx(float(bias), rel=1e-12)


def test_a_constant_truth_scores_one_if_it_is_met_and_else_zero() -> None:
    errors = GroupedErrors(3, 2)
    truth = np.full((7, 2), 0.1)  # seven times 0.1 is not 0.7
    prediction = truth.copy()
    prediction[:, 1] += 1e-3
    errors.add(np.zeros(7, int), truth[:7], prediction[:7])
    errors.add(np.zeros(6, int), truth[:6], prediction[:6])
    errors.add(np.array([1]), truth[:1], prediction[:1])
    assert errors.r2()[0].tolist() == [1.0, 0.0]
    assert np.isnan(errors.r2()[1:]).all()  # one row, and none, have no R2
    assert np.isnan(errors.mae()[2]).all() and errors.mae()[1, 0] == 0.0
