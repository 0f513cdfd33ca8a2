"""Gram matrices score as rows do, the climb equals naive rescoring, and optima are unbeaten."""

from __future__ import annotations

from typing import List, Sequence, Tuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
from blend import climb, forms, gram, optimum, scopes
from blend.gram import PREDICTED_POSITIONS, FoldedGram, Gram
from blend.naming import FORMS, SCOPES, Search
from blend.tables import FIELDS_OF_SCOPE
from leapkit.core.columns import PREDICTED, TARGETS
from leapkit.core.errors import KitError
from tests.helpers.refusals import refused

T = len(PREDICTED)
ALL = scopes.STARTS["all"]


def rows_of(
    seed: int, artifacts: int, length: int, noise: float = 0.8
) -> Tuple[np.ndarray, List[np.ndarray]]:
    """Return truth (n, T) and predictions (n, T).

    The errors are partly common. Some targets are constant, and some are predicted by nobody.
    """
    random = np.random.RandomState(seed)
    truth = random.standard_normal((length, T)) * random.uniform(0.5, 2, T) + random.uniform(
        -1, 1, T
    )
    truth[:, random.randint(0, T, 4)] = 0.0
    truth[:, random.randint(0, T, 4)] = 1.5
    common = random.standard_normal(truth.shape)
    predictions = [
        truth
        + noise
        * (
            random.uniform(0.3, 1.2) * random.standard_normal(truth.shape)
            + random.uniform(0, 1) * common
        )
        for _ in range(artifacts)
    ]
    for prediction in predictions:
        prediction[:, random.randint(0, T, 20)] += 10 * random.standard_normal()
    return truth, predictions


def gram_of(truth: np.ndarray, predictions: Sequence[np.ndarray], folds: int = 1) -> FoldedGram:
    grams = []
    for k, rows in enumerate(np.array_split(np.arange(len(truth)), folds)):
        errors = np.empty((T, len(predictions) + 1, len(rows)))
        for m, prediction in enumerate(predictions):
            errors[:, m] = (prediction[rows] - truth[rows]).T
        grams.append(
            (k, gram.of_rows(np.ascontiguousarray(truth[rows].T), errors, ["x"] * len(predictions)))
        )
    return gram.folded(
        [f"a{m}" for m in range(len(predictions))], [f"f{k}" for k in range(folds)], grams
    )


def naive_metric(truth: np.ndarray, blend: np.ndarray) -> np.ndarray:
    """Return R2 per target by the team's rule, computed from the rows."""
    metrics = []
    for k in range(truth.shape[1]):
        scores = []
        for prediction in (blend[:, k], np.zeros(len(truth))):
            residual = ((truth[:, k] - prediction) ** 2).sum()
            spread = ((truth[:, k] - truth[:, k].mean()) ** 2).sum()
            scores.append(1 - residual / spread if np.ptp(truth[:, k]) else float(residual == 0))
        metrics.append(scores[0] if scores[0] > 0 else max(scores))
    return np.array(metrics)


# ---- Gram matrices -------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(1, 5), st.integers(4, 30), st.integers(1, 4), st.booleans()
)
def test_the_gram_matrices_give_the_published_score_of_any_weights(
    seed, artifacts, length, folds, per_target
):
    truth, predictions = rows_of(seed, artifacts, length)
    folded = gram_of(truth, predictions, min(folds, length))
    weights = np.random.RandomState(seed).standard_normal(
        (T, artifacts) if per_target else artifacts
    )
    weights_by_target = np.broadcast_to(weights, (T, artifacts))
    expected = naive_metric(
        truth, sum(weights_by_target[:, m] * p for m, p in enumerate(predictions))
    )
    # Float64 sums in another order; relative to the largest of the terms, which large weights make.
    size = (
        1
        + np.abs(folded.whole.scaled).max(axis=(1, 2))
        * (1 + np.abs(weights_by_target).sum(axis=1)) ** 2
    )
    assert (
        np.abs(folded.whole.metric(folded.whole.errors(weights)) - expected) <= 1e-12 * size
    ).all()


def test_folds_add_up_and_their_rest_is_what_is_left() -> None:
    truth, predictions = rows_of(1, 3, 40)
    one_fold = gram_of(truth, predictions).whole
    four_folds = gram_of(truth, predictions, 4)
    np.testing.assert_allclose(four_folds.whole.products, one_fold.products, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(four_folds.whole.truth.m2, one_fold.truth.m2, rtol=1e-12)
    other_folds = four_folds.without(1)
    assert other_folds.folds == ("f0", "f2", "f3")
    np.testing.assert_allclose(
        other_folds.whole.products + four_folds.grams[1].products,
        one_fold.products,
        rtol=1e-12,
        atol=1e-12,
    )
    chosen = four_folds.choosing([2, 0])
    assert chosen.artifacts == ("a2", "a0")
    w = np.array([0.3, 0.7])
    np.testing.assert_allclose(
        chosen.whole.errors(w), four_folds.whole.errors(np.array([0.7, 0, 0.3])), rtol=1e-10
    )


def test_saved_matrices_are_read_back_to_the_last_bit(tmp_path):
    folded = gram_of(*rows_of(2, 3, 20), folds=3)
    folded.save(tmp_path / "g.npz")
    again = gram.load(tmp_path / "g.npz")
    assert (again.artifacts, again.folds) == (folded.artifacts, folded.folds)
    for a, b in zip(folded.grams, again.grams):
        assert (
            a.products.tobytes() == b.products.tobytes()
            and a.truth.mean.tobytes() == b.truth.mean.tobytes()
        )
        assert a.truth.m2.tobytes() == b.truth.m2.tobytes() and a.truth.count == b.truth.count
    content = (tmp_path / "g.npz").read_bytes()
    for share in (0, 0.3, 0.9, 0.999):
        (tmp_path / "g.npz").write_bytes(content[: int(share * len(content))])
        with refused(tmp_path / "g.npz"):
            gram.load(tmp_path / "g.npz")
    np.save(str(tmp_path / "p.npy"), np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "g.npz").write_bytes((tmp_path / "p.npy").read_bytes())
    with refused(tmp_path / "g.npz"):
        gram.load(tmp_path / "g.npz")


def test_a_nan_is_refused_with_its_target_and_file() -> None:
    truth, predictions = rows_of(3, 2, 10)
    predictions[1][3, 7] = np.nan
    with pytest.raises(KitError, match=PREDICTED[7]):
        gram_of(truth, predictions)


def test_a_degenerate_target_scores_as_raw_zero_and_moves_no_weight() -> None:
    """In the stratosphere of one real month the truth hardly varies: an error is R2 -1e15."""
    truth, predictions = rows_of(4, 3, 50)
    k = int(np.flatnonzero(truth.std(axis=0) > 0)[0])
    truth[:, k] *= 1e-9
    folded = gram_of(truth, predictions)
    metric = folded.whole.metric(folded.whole.errors(np.array([0.2, 0.3, 0.5])))
    assert (
        metric[k] == pytest.approx(naive_metric(truth[:, [k]], np.zeros((50, 1)))[0])
        and metric.min() > -20
    )
    assert not folded.whole.counted(folded.whole.errors(np.array([0.2, 0.3, 0.5])))[k]
    without = Gram(np.delete(folded.whole.products, k, axis=0), folded.whole.truth)
    assert without.products.shape[0] == T - 1
    for form in FORMS:
        weights = forms.fit(folded, form)[0]
        assert np.abs(weights).max() < 10 and np.isfinite(weights).all(), form


@pytest.mark.parametrize(
    "months, expected",
    [
        (
            ["0008-07"] * 2 + ["0008-08"] * 3 + ["0008-09"],
            ["0008-07"] * 2 + ["0008-08"] * 3 + ["0008-09"],
        ),
        (
            ["0008-07"] * 8,
            ["part 1 of 4"] * 2 + ["part 2 of 4"] * 2 + ["part 3 of 4"] * 2 + ["part 4 of 4"] * 2,
        ),
        (["0008-07", "0008-08"], ["part 1 of 2", "part 2 of 2"]),
        (["0008-07"], ["part 1 of 1"]),
    ],
)
def test_folds_are_months_or_runs_of_consecutive_steps(months, expected):
    assert gram.time_folds(months) == expected


def test_the_score_counts_the_formulas_as_exact() -> None:
    score = gram.score(np.zeros(T))
    assert score.all_columns == pytest.approx(76 / 368) and score.predicted == 0.0
    assert gram.score(np.full(T, 0.5)).all_columns == pytest.approx((76 + 146) / 368)


# ---- the climb -----------------------------------------------------------------------------------


def naive_climb(truth: np.ndarray, predictions: Sequence[np.ndarray], columns: np.ndarray):
    """Climb by rescoring every candidate from its rows, which the matrices must reproduce."""

    def score(blend: np.ndarray) -> float:
        return float(naive_metric(truth[:, columns], blend).mean())

    values = [p[:, columns] for p in predictions]
    scores = [score(p) for p in values]
    best = int(np.argmax(scores))
    current = values[best]
    used = {best}
    path = [(best, 1.0, scores[best])]
    weights = np.eye(len(values))[best]
    while len(used) < len(values):
        candidates = [
            (score(current * (1 - s) + values[k] * s), k, s)
            for k in range(len(values))
            if k not in used
            for s in np.arange(-50, 51) / 100
        ]
        r2, k, step = max(candidates, key=lambda c: c[0])
        if r2 <= path[-1][2] + 1e-13:
            break
        current = current * (1 - step) + values[k] * step
        weights = weights * (1 - step) + np.eye(len(values))[k] * step
        used.add(k)
        path.append((k, step, r2))
    return weights, path


@pytest.mark.parametrize("seed", range(4))
def test_the_climb_takes_the_same_path_as_naive_rescoring_for_every_part(seed: int) -> None:
    """Each of the two parts has twelve targets, of which one is constant and one at the floor."""
    truth, predictions = rows_of(seed, 4, 25)
    columns = np.random.RandomState(seed).permutation(T)[:24]
    truth[:, columns[0]], truth[:, columns[1]] = 0.0, 1.5
    for prediction in predictions:
        prediction[:, columns[2]] += 50.0
    all_rows = gram_of(truth, predictions).whole
    moments = gram._moments(
        all_rows.truth.count, all_rows.truth.mean[columns], all_rows.truth.m2[columns]
    )
    weights, paths = climb.hill_climb(Gram(all_rows.products[columns], moments), np.array([0, 12]))
    for p, part_columns in enumerate((columns[:12], columns[12:])):
        expected, naive = naive_climb(truth, predictions, part_columns)
        assert [(k, round(step, 2)) for k, step, _ in paths[p]] == [
            (k, round(step, 2)) for k, step, _ in naive
        ]
        # The score of float64 sums of 25 rows, twelve targets: 1e-10 is 1e5 roundings.
        np.testing.assert_allclose(
            [r2 for *_, r2 in paths[p]], [r2 for *_, r2 in naive], rtol=0, atol=1e-10
        )
        np.testing.assert_allclose(weights[p], expected, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.sampled_from(SCOPES))
def test_a_climb_never_falls_uses_each_artifact_once_and_keeps_the_sum_of_one(seed, count, scope):
    all_rows = gram_of(*rows_of(seed, count, 12)).whole
    weights, paths = climb.hill_climb(all_rows, scopes.STARTS[scope])
    assert len(weights) == len(paths) == (T if scope == "target" else len(FIELDS_OF_SCOPE[scope]))
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    metric = all_rows.metric(all_rows.errors(scopes.by_target(weights, scope)))
    ends = np.append(scopes.STARTS[scope], T)
    for p, path in enumerate(paths):
        assert len({k for k, _, _ in path}) == len(path) <= count
        assert all(later > earlier for (_, _, earlier), (_, _, later) in zip(path, path[1:]))
        assert path[-1][2] == pytest.approx(metric[ends[p] : ends[p + 1]].mean(), abs=1e-9)
        assert set(np.flatnonzero(weights[p])) <= {k for k, _, _ in path}


# ---- exact optima --------------------------------------------------------------------------------


def errors_matrix(seed: int, count: int, common: float = 0.5) -> np.ndarray:
    random = np.random.RandomState(seed)
    errors = random.standard_normal((3 * count + 2, count)) + common
    return errors.T @ errors / len(errors)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8))
def test_no_weights_of_sum_one_beat_the_optimum_and_none_without_negatives_the_simplex(seed, count):
    s = errors_matrix(seed, count)
    random = np.random.RandomState(seed)
    best = optimum.sum_one(s)
    inside = optimum.simplex(s)
    assert best.sum() == pytest.approx(1, abs=1e-10) and inside.sum() == pytest.approx(1, abs=1e-12)
    assert (inside >= 0).all()
    for _ in range(20):
        other = best + (lambda d: d - d.mean())(
            random.standard_normal(count)
        ) * 10.0 ** random.randint(-4, 1)
        assert best @ s @ best <= other @ s @ other + 1e-12 * np.trace(s)
        convex = random.dirichlet(np.full(count, 0.3))
        assert inside @ s @ inside <= convex @ s @ convex + 1e-12 * np.trace(s)
    slope = s @ inside  # Kuhn and Tucker: equal where there is a weight, not smaller elsewhere
    used = inside > 1e-12
    np.testing.assert_allclose(slope[used], inside @ s @ inside, atol=1e-10 * np.trace(s))
    assert (slope[~used] >= inside @ s @ inside - 1e-10 * np.trace(s)).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8))
def test_no_non_negative_weights_of_any_sum_beat_theirs(seed, count):
    random = np.random.RandomState(seed)
    truth = random.standard_normal(40) + 0.5
    p = truth[:, None] * random.uniform(-0.2, 1.2, count) + 0.5 * random.standard_normal(
        (40, count)
    )
    errors = np.column_stack([p - truth[:, None], -truth])
    weights = optimum.non_negative(errors.T @ errors)
    assert (weights >= 0).all()
    slope = p.T @ (p @ weights - truth)
    np.testing.assert_allclose(slope[weights > 0], 0, atol=1e-9)
    assert (slope >= -1e-9).all()


@pytest.mark.parametrize("find", [optimum.sum_one, optimum.simplex])
def test_an_artifact_that_is_exact_gets_all_and_two_that_are_the_same_share(find):
    s = errors_matrix(1, 3)
    exact = np.pad(s, (0, 1))
    np.testing.assert_allclose(find(exact), [0, 0, 0, 1], atol=1e-12)
    duplicated = np.block([[s, s[:, :1]], [s[:1], s[:1, :1]]])
    weights, single = find(duplicated), find(s)
    assert weights @ duplicated @ weights == pytest.approx(single @ s @ single, rel=1e-10)
    np.testing.assert_allclose(find(np.zeros((2, 2))).sum(), 1)


def test_a_penalty_shrinks_towards_equal_weights() -> None:
    s = errors_matrix(2, 5)
    distance = [
        np.abs(optimum.sum_one(s, penalty) - 0.2).max() for penalty in (0.0, 1e-2, 1.0, 1e4)
    ]
    assert distance == sorted(distance, reverse=True) and distance[-1] < 1e-3
    batch = np.stack([s, 2 * s, errors_matrix(3, 5)])
    for penalty in (0.0, 0.1):
        np.testing.assert_allclose(
            optimum.sum_one(batch, penalty),
            [optimum.sum_one(products, penalty) for products in batch],
            atol=1e-12,
        )


# ---- forms ---------------------------------------------------------------------------------------


def mean(folded: FoldedGram, weights: np.ndarray, scope: str) -> float:
    return float(folded.whole.metric(folded.whole.errors(scopes.by_target(weights, scope))).mean())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5), st.sampled_from(SCOPES))
def test_the_exact_optimum_is_never_below_the_climb_nor_a_finer_scope_below_a_coarser_one(
    seed, count, scope
):
    folded = gram_of(*rows_of(seed, count, 15), folds=3)
    exact = {s: mean(folded, forms.fit(folded, "sum-one", s), s) for s in SCOPES}
    assert (
        exact[scope] >= mean(folded, forms.fit(folded, "climb", scope), scope) - 1e-15
    )  # a sum of 292 in another order
    assert exact["target"] >= exact["all"] - 1e-11  # two solutions, rounded
    for form in ("simplex", "non-negative"):
        assert (forms.fit(folded, form, scope) >= 0).all()


def test_a_matrix_solver_finds_the_same_optimum_where_all_targets_count() -> None:
    """Compare with scipy's constrained minimiser, which uses no matrices of errors."""
    from scipy.optimize import minimize

    truth, predictions = rows_of(5, 4, 60, noise=0.4)
    folded = gram_of(truth, predictions)
    weights = forms.fit(folded, "simplex")[0]

    def loss(w: np.ndarray) -> float:
        return -naive_metric(truth, sum(v * p for v, p in zip(w, predictions))).mean()

    other = minimize(
        loss,
        weights * 0.9 + 0.025,
        method="SLSQP",
        bounds=[(0, 1)] * 4,
        tol=1e-12,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    )
    assert loss(weights) <= other.fun + 1e-9
    np.testing.assert_allclose(weights, other.x, atol=2e-3)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("form", FORMS)
def test_held_out_errors_are_those_of_weights_found_without_the_fold(form, scope):
    truth, predictions = rows_of(6, 3, 48)
    folded = gram_of(truth, predictions, folds=3)
    fitted = forms.Fits(folded).fitted(Search("searched", form, scope))
    assert fitted.held_out is not None
    expected = np.zeros(T)
    for rows in np.array_split(np.arange(48), 3):
        other_rows = np.setdiff1d(np.arange(48), rows)
        other_folds = gram_of(truth[other_rows], [p[other_rows] for p in predictions], folds=2)
        weights = scopes.by_target(forms.fit(other_folds, form, scope), scope)
        blend = sum(weights[:, m] * p[rows] for m, p in enumerate(predictions))
        expected += ((blend - truth[rows]) ** 2).sum(axis=0)
    # Weights of float64 solutions on sums in another order.
    np.testing.assert_allclose(fitted.held_out, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(fitted.in_sample, folded.whole.errors(fitted.by_target), rtol=1e-12)


def test_with_one_fold_nothing_is_held_out() -> None:
    folded = gram_of(*rows_of(7, 3, 20))
    assert all(fitted.held_out is None for fitted in forms.Fits(folded).all_forms("searched"))


def test_a_block_that_nobody_predicts_is_given_the_weights_of_all() -> None:
    truth, predictions = rows_of(8, 3, 30)
    group = [k for k, name in enumerate(PREDICTED) if name.startswith("ptend_u_")]
    for prediction in predictions:
        prediction[:, group] = 1e3
    folded = gram_of(truth, predictions, folds=2)
    for form in ("climb", "sum-one", "simplex", "non-negative"):
        weights = scopes.by_target(forms.fit(folded, form, "group"), "group")
        np.testing.assert_allclose(weights[group[0]], forms.fit(folded, form)[0], atol=1e-9)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("form", FORMS)
def test_weights_do_not_depend_on_the_order_of_the_artifacts(form, scope):
    folded = gram_of(*rows_of(10, 4, 30), folds=2)
    order = [2, 0, 3, 1]
    weights, other = (forms.fit(grams, form, scope) for grams in (folded, folded.choosing(order)))
    np.testing.assert_allclose(other, weights[:, order], atol=1e-7)


@pytest.mark.parametrize("scope", SCOPES)
def test_the_table_of_weights_is_heaviest_first_and_has_a_weight_for_every_column(scope):
    folded = gram_of(*rows_of(9, 4, 30), folds=2)
    search = Search("searched", "sum-one", scope)
    weights = forms.fit(folded, search.form, scope)
    table = forms.Fits(folded).table(search)
    assert table.fields == FIELDS_OF_SCOPE[scope] and table.name == search.name
    from blend.target_weights import weights_of

    weights_of_artifact = dict(zip(table.artifacts, weights_of(table)))
    for m, artifact in enumerate(folded.artifacts):
        np.testing.assert_array_equal(
            weights_of_artifact[artifact][PREDICTED_POSITIONS],
            scopes.by_target(weights, scope)[:, m],
        )
    means = [np.mean(table_row[1:]) for table_row in table.rows]
    assert means == sorted(means, reverse=True)
    linear = weights_of_artifact[folded.artifacts[0]][TARGETS.index("ptend_q0002_20")]
    if scope == "target":
        assert linear == forms.fit(folded, "sum-one")[0][0]
