"""R2 is sklearn's, in float64, from any blocks; a score follows the rules for its 368 columns."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leapkit.core.columns import (
    GROUPS,
    LINEAR,
    NETWORK_TARGETS,
    PREDICTED,
    TARGETS,
    TARGETS_TO_NETWORK,
    ZERO,
    kaggle_positions,
    network_positions,
)
from leapkit.data.scaling import FAMILIES, Scaling, load_scaling
from leapkit.data.score import R2, score_network_order, submission_score, validation_r2


def sklearn_r2(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Restate sklearn.metrics.r2_score(..., multioutput="raw_values") in float64."""
    truth = truth.astype(np.float64)
    prediction = prediction.astype(np.float64)
    numerator = ((truth - prediction) ** 2).sum(axis=0)
    denominator = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    scores = np.ones(truth.shape[1])
    varied = denominator != 0
    scores[varied] = 1 - numerator[varied] / denominator[varied]
    scores[~varied & (numerator != 0)] = 0.0
    return scores


def r2_of(truth: np.ndarray, prediction: np.ndarray, cuts: List[int]) -> R2:
    sums = R2(truth.shape[1])
    for truth_chunk, prediction_chunk in zip(
        np.split(truth, sorted(cuts)), np.split(prediction, sorted(cuts))
    ):
        sums.add(truth_chunk, prediction_chunk)
    return sums


def sample(seed: int = 0, rows: int = 200) -> tuple:
    """Return float32 truth and prediction (rows, 368), network order, with an R2 of about 0.8."""
    random = np.random.RandomState(seed)
    truth = random.randn(rows, 368).astype(np.float32)
    return truth, (truth + 0.45 * random.randn(rows, 368)).astype(np.float32)


@pytest.fixture(params=["published/adam", "published/fdzm", "tiny/fdzm"])
def statistics(request: pytest.FixtureRequest) -> Scaling:
    source, family = request.param.split("/")
    if source == "published":
        root: Path = request.getfixturevalue("published")
        return load_scaling(root / family, family, root / "adam" / "old_sample_weight.csv")
    root = request.getfixturevalue("tiny_world")
    return load_scaling(
        root / "statistics" / family, family, root / "kaggle-data" / "sample_submission_old.csv"
    )


# --- R2 per column --------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32 - 1),
    offset=st.sampled_from([0.0, 3.0, 1e4]),
    noise=st.sampled_from([0.0, 0.3, 1, 30]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=50, deadline=None)
def test_r2_is_sklearn_s(seed: int, offset: float, noise: float, dtype: type) -> None:
    random = np.random.RandomState(seed)
    truth = (random.randn(30, 4) + offset).astype(dtype)
    prediction = (truth + noise * random.randn(30, 4)).astype(dtype)
    np.testing.assert_allclose(
        r2_of(truth, prediction, []).per_column(),
        sklearn_r2(truth, prediction),
        rtol=1e-10,
        atol=1e-12,
    )


def test_r2_is_what_sklearn_itself_says() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, prediction = (values.astype(np.float64) for values in sample())
    expected = metrics.r2_score(truth, prediction, multioutput="raw_values")
    np.testing.assert_allclose(r2_of(truth, prediction, []).per_column(), expected, rtol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 60), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_blocks_give_the_r2_of_the_whole(seed: int, cuts: List[int]) -> None:
    random = np.random.RandomState(seed)
    truth = (random.randn(60, 3) * [1, 1e-20, 1e9] + [5, 0, 1e9]).astype(np.float64)
    prediction = truth + 0.5 * random.randn(60, 3) * [1, 1e-20, 1e9]
    np.testing.assert_allclose(
        r2_of(truth, prediction, cuts).per_column(), sklearn_r2(truth, prediction), rtol=1e-9
    )


def test_sums_are_float64_even_of_float32_arrays() -> None:
    truth = np.full((50_000, 1), 100.0, dtype=np.float32)
    truth[::2] += 0.25  # float32 sums of squares would lose this
    prediction = truth + np.float32(0.125)
    assert (
        abs(r2_of(truth, prediction, [7]).per_column()[0] - sklearn_r2(truth, prediction)[0])
        < 1e-10
    )
    assert abs(r2_of(truth, prediction, []).per_column()[0]) < 1e-10


def test_the_given_arrays_stay_as_they_were() -> None:
    truth, prediction = sample(rows=5)
    copies = truth.copy(), prediction.copy()
    r2_of(truth, prediction, [2])
    assert (truth == copies[0]).all() and (prediction == copies[1]).all()


@pytest.mark.parametrize("cuts", [[], [1], [3, 7]])
def test_a_constant_truth_scores_one_when_met_exactly_and_zero_when_not(cuts: List[int]) -> None:
    truth = np.zeros((10, 4))
    truth[:, 2:] = 0.5
    prediction = truth.copy()
    prediction[4, [1, 3]] = 1e-300, 0.25
    prediction[:, 0] = -0.0  # the standardised zero column
    assert (
        r2_of(truth, prediction, cuts).per_column().tolist()
        == sklearn_r2(truth, prediction).tolist()
    )
    assert r2_of(truth, prediction, cuts).per_column()[[0, 2, 3]].tolist() == [1, 1, 0]


def test_the_mean_scores_zero_and_the_truth_scores_one() -> None:
    truth = np.random.RandomState(3).randn(40, 2) + 7
    np.testing.assert_allclose(
        r2_of(truth, np.broadcast_to(truth.mean(axis=0), truth.shape), [9]).per_column(),
        0,
        atol=1e-12,
    )
    assert r2_of(truth, truth, [9]).per_column().tolist() == [1, 1]


def test_r2_does_not_change_with_the_unit(statistics: Scaling) -> None:
    truth, prediction = sample()
    predicted = kaggle_positions(PREDICTED)
    raw = [statistics.raw(z, np.zeros((len(z), 16))) for z in (truth, prediction)]
    standardised = r2_of(truth, prediction, [50]).per_column()[network_positions(PREDICTED)]
    np.testing.assert_allclose(
        r2_of(raw[0], raw[1], [50]).per_column()[predicted], standardised, rtol=1e-7
    )


# --- predicting raw 0 -----------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 50), max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_score_of_raw_zero_is_that_of_the_naive_formula(seed: int, cuts: List[int]) -> None:
    random = np.random.RandomState(seed)
    mean = random.randn(4) * [0, 0.01, 1, 5]
    std = 10.0 ** random.uniform(-3, 3, 4)
    truth = random.randn(50, 4) + random.randn(4) * 0.1
    naive = sklearn_r2(truth * std + mean, np.zeros((50, 4)))
    scores = r2_of(truth, np.zeros((50, 4)), cuts).of_raw_zero(mean, std)
    np.testing.assert_allclose(scores, naive, rtol=1e-8, atol=1e-9)


def test_raw_zero_for_a_constant_truth_is_right_only_when_it_is_zero() -> None:
    truth = np.zeros((5, 2))
    assert r2_of(truth, truth, []).of_raw_zero(np.array([0.0, 2.0]), np.ones(2)).tolist() == [1, 0]


# --- the rules ------------------------------------------------------------------------------------


def team_score(truth: np.ndarray, prediction: np.ndarray, statistics: Scaling) -> np.ndarray:
    """Score each column in network order (docs/reference/data_pipeline.md, "Score")."""
    scores = []
    for k, name in enumerate(NETWORK_TARGETS):
        j = TARGETS.index(name)
        mean, std = statistics.target_mean[j], statistics.target_std[j]
        if name in LINEAR or name in ZERO:
            scores.append(1.0)
            continue
        column = truth[:, k : k + 1].astype(np.float64)
        r2 = sklearn_r2(column, prediction[:, k : k + 1])[0]
        if r2 <= 0:
            r2 = max(r2, sklearn_r2(column * std + mean, 0 * column)[0])
        scores.append(r2)
    return np.array(scores)


def test_validation_follows_the_team_s_rules_column_by_column(statistics: Scaling) -> None:
    truth, prediction = sample()
    prediction[:, 10:90:3] *= -2  # far below 0, where raw 0 is better
    prediction[:, 11:90:3] = truth[:, 11:90:3].mean(axis=0)  # about 0
    scores = validation_r2(r2_of(truth, prediction, [13, 150]), statistics)
    np.testing.assert_allclose(
        scores, team_score(truth, prediction, statistics), rtol=1e-8, atol=1e-10
    )


def test_the_score_is_76_free_columns_and_292_earned_ones(statistics: Scaling) -> None:
    truth, prediction = sample()
    prediction[:, network_positions(ZERO + LINEAR)] = 1e6  # whatever the network says there
    r2 = validation_r2(r2_of(truth, prediction, []), statistics)
    earned = sklearn_r2(truth, prediction)[network_positions(PREDICTED)]
    score = score_network_order(r2)
    assert abs(score.all_columns - (76 + earned.sum()) / 368) < 1e-12
    assert abs(score.predicted - earned.mean()) < 1e-12
    assert 0.7 < score.predicted < 0.9


def test_the_raw_zero_rule_lifts_a_bad_column_and_no_good_one(statistics: Scaling) -> None:
    truth, prediction = sample()
    column = NETWORK_TARGETS.index("ptend_t_30")
    prediction[:, column] = -3 * truth[:, column]
    with_rule = validation_r2(r2_of(truth, prediction, []), statistics)
    without = sklearn_r2(truth, prediction)
    assert without[column] < -10 and -1.5 < with_rule[column] <= 1e-3
    other_columns = [k for k in network_positions(PREDICTED) if k != column]
    np.testing.assert_allclose(with_rule[other_columns], without[other_columns], rtol=1e-12)


def test_groups_are_the_plain_means_of_their_columns_free_ones_included() -> None:
    r2 = np.random.RandomState(8).rand(368)
    score = score_network_order(r2)
    assert len(score.groups) == 7
    assert [
        abs(value - r2[group].mean()) < 1e-15 for value, group in zip(score.groups, GROUPS)
    ] == [True] * 7
    assert (
        f"{r2.mean():.5f} over 368" in score.line()
        and f"scalars {r2[:8].mean():.4f}" in score.line()
    )


def test_the_mean_over_predicted_columns_is_clipped_at_zero_and_that_over_all_is_not() -> None:
    r2 = np.ones(368)
    r2[network_positions(PREDICTED)] = -1.0
    score = score_network_order(r2)
    assert score.predicted == 0 and abs(score.all_columns - (76 - 292) / 368) < 1e-15


def test_a_submission_is_scored_in_kaggle_order_with_the_zero_columns_free() -> None:
    random = np.random.RandomState(5)
    truth = random.randn(100, 368)
    truth[:, kaggle_positions(ZERO)] *= 1e-9  # what Kaggle multiplies by 0
    prediction = truth + 0.3 * random.randn(100, 368) * np.linspace(0.1, 1, 368)
    prediction[:, kaggle_positions(ZERO)] = 0
    expected = sklearn_r2(truth, prediction)
    expected[kaggle_positions(ZERO)] = 1
    score = submission_score(r2_of(truth, prediction, [40]))
    assert abs(score.all_columns - expected.mean()) < 1e-12
    by_group = expected[list(TARGETS_TO_NETWORK)]
    assert all(
        abs(group_score - by_group[group].mean()) < 1e-12
        for group_score, group in zip(score.groups, GROUPS)
    )


def test_a_submission_s_linear_columns_must_be_earned() -> None:
    random = np.random.RandomState(6)
    truth = random.randn(50, 368)
    truth[:, kaggle_positions(ZERO)] = 0
    prediction = truth.copy()
    assert submission_score(r2_of(truth, prediction, [])).all_columns == 1
    prediction[:, kaggle_positions(LINEAR)] = truth[:, kaggle_positions(LINEAR)].mean(axis=0)
    assert abs(submission_score(r2_of(truth, prediction, [])).all_columns - 352 / 368) < 1e-12


def test_every_family_is_scored_by_the_same_rule() -> None:
    assert set(FAMILIES) == {"adam", "fdzm"}
    truth, prediction = sample(rows=50)
    sums = r2_of(truth, prediction, [])
    weight = np.ones(368)
    scores = [
        validation_r2(
            sums, Scaling(kind, np.zeros(556), np.ones(556), np.zeros(368), np.ones(368), weight)
        )
        for kind in FAMILIES.values()
    ]
    assert (scores[0] == scores[1]).all()
