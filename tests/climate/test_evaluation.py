"""The field's numbers against xarray, on the sample world's steps and on real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leapkit.climate import evaluation as evaluation_module
from leapkit.climate.diagnostics import DIAGNOSTICS
from leapkit.climate.energy_units import VARIABLES
from leapkit.climate.evaluation import Evaluation
from leapkit.climate.grid_files import read_grid, sample_grid
from leapkit.climate.regions import REGIONS
from leapkit.climate.results import Budget, EvaluationResult, plain
from leapkit.climate.sections import LATITUDE_EDGES
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.layout import GRID_FILE
from leapkit.data.score import R2, submission_score
from tests.helpers import xarray_metrics
from tests.helpers.climates import Climate, climate
from tests.helpers.refusals import refused

pytest.importorskip("xarray")

METRICS = ("mae", "rmse", "bias", "r2", "r2_clipped", "kaggle_r2")

Case = Tuple[Climate, EvaluationResult]


@pytest.fixture(scope="module", params=["sample", "real"])
def case(request: pytest.FixtureRequest) -> Case:
    """Return steps with a prediction, and their evaluation."""
    if request.param == "sample":
        steps = request.getfixturevalue("tiny_world") / "ClimSim_low-res" / "train"
        made = climate(sample_grid(48), steps)
    else:
        steps = request.getfixturevalue("real_steps")
        made = climate(read_grid(steps.parent / GRID_FILE), steps, 6)
    return made, made.result()


def close(actual: Any, expected: Any, scale: float = 1.0) -> None:
    """Assert equality to rounding: relative to each number, or to `scale` if that is larger."""
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=1e-8, atol=1e-10 * scale)


def close_r2(actual: np.ndarray, expected: Any) -> None:
    """Assert equality to rounding, which is larger where the truth varies by next to nothing."""
    expected = np.asarray(expected)
    hardly_varies = expected < -1e9
    close(actual[~hardly_varies], expected[~hardly_varies])
    np.testing.assert_allclose(actual[hardly_varies], expected[hardly_varies], rtol=1e-4)


def test_the_scores_are_climsims_by_xarray(case: Case) -> None:
    made, result = case
    expected = xarray_metrics.climsim_scores(made.truth, made.prediction, made.grid_data())
    for metric in METRICS:
        values = np.concatenate([np.atleast_1d(expected[name][metric]) for name in VARIABLES])
        if metric == "kaggle_r2":
            zero = [k for k, name in enumerate(TARGETS) if _is_ablated(name)]
            assert len(zero) == 60
            values[zero] = 1.0
        tiny = 1e-12 if metric in ("mae", "rmse", "bias") else 1.0
        close(getattr(result.targets, metric), values, tiny)
        means = [np.mean(part) for part in np.split(values, [60, 120, 180, 240, 300, 360])[:6]]
        close(getattr(result.variables, metric), [*means, *values[360:]], tiny)
    assert result.variables.names == VARIABLES and result.targets.names == TARGETS


def _is_ablated(name: str) -> bool:
    variable, _, level = name.rpartition("_")
    return variable.startswith("ptend") and variable != "ptend_t" and int(level) < 12


def test_the_zonal_sections_are_xarrays(case: Case) -> None:
    made, result = case
    grid = made.grid_data()
    pressure = made.truth["state_pmid"].mean("time")
    for variable, section in result.sections.items():
        truth, prediction = made.truth[variable], made.prediction[variable]
        bias = (prediction - truth).mean("time")
        r2 = xarray_metrics.r_squared(truth, prediction, "time")
        for values, expected, scale in (
            (section.r2, r2, 1.0),
            (section.bias, bias, float(abs(bias).max())),
            (section.truth_mean, truth.mean("time"), float(abs(truth).max())),
            (section.pressure, pressure / 100.0, 1.0),
        ):
            binned = xarray_metrics.by_latitude(expected, grid, LATITUDE_EDGES)
            close(values, binned.transpose("lat_bins", "lev"), scale)
        assert (np.diff(section.latitude) > 0).all() and section.r2.shape == (18, 60)


def test_the_maps_are_xarrays(case: Case) -> None:
    made, result = case
    truth = made.truth.merge(xarray_metrics.diagnostics(made.truth, made.grid_data()))
    prediction = made.prediction.merge(
        xarray_metrics.diagnostics(made.prediction, made.grid_data())
    )
    assert set(result.maps) == {name for name, _ in DIAGNOSTICS} | set(TARGETS[360:])
    for name, column_map in result.maps.items():
        t, p = truth[name], prediction[name]
        # A residual is a small difference of large numbers; fluxes are numbers of their own size.
        scale = float(abs(t).max()) if name in TARGETS else 1.0
        close(column_map.truth_mean, t.mean("time"), scale)
        close(column_map.prediction_mean, p.mean("time"), scale)
        close(column_map.bias, (p - t).mean("time"), scale)
        close(column_map.rmse, ((p - t) ** 2).mean("time") ** 0.5, scale)
        if "residual_with_evaporation" not in name:  # which the sample world closes: no variance
            close_r2(column_map.r2, xarray_metrics.r_squared(t, p, "time"))


def test_the_budgets_of_regions_and_months_are_xarrays(case: Case) -> None:
    made, result = case
    grid = made.grid_data()
    truth = xarray_metrics.diagnostics(made.truth, grid)
    prediction = xarray_metrics.diagnostics(made.prediction, grid)
    months = truth["precipitation"].isel(ncol=0).copy(data=[pair.month for pair in made.pairs])
    seen: Dict[Tuple[str, str], Dict[str, Budget]] = {}
    for budget in result.budgets:
        seen.setdefault((budget.region, budget.month), {})[budget.quantity] = budget
    assert {region for region, month in seen if month == ""} == set(REGIONS)
    assert {month for _, month in seen} == {"", *(pair.month for pair in made.pairs)}
    for region, month in [key for key in seen if "" in key or "globe" in key or "land" in key]:
        inside = xarray_metrics.in_region(made.truth, grid, region)
        weights = grid["area"].where(inside & ((months == month) | (month == "")), 0.0)

        def mean(values: Any, weights: Any = weights) -> Any:
            return values.weighted(weights).mean()

        for data, average, rms in (
            (truth, "truth_mean", "truth_rms"),
            (prediction, "prediction_mean", "prediction_rms"),
            (prediction - truth, "error_mean", "error_rms"),
        ):
            first, second = mean(data), mean(data**2)
            for name, budget in seen[region, month].items():
                close(getattr(budget, average), first[name])
                close(getattr(budget, rms) ** 2, second[name])


def test_the_scores_of_a_region_are_xarrays(case: Case) -> None:
    made, result = case
    grid = made.grid_data()
    for scores in result.regions:
        if scores.month:
            continue
        inside = xarray_metrics.in_region(made.truth, grid, scores.region)
        assert scores.rows == int(inside.sum())
        weights = grid["area"].where(inside, 0.0)
        for k, variable in enumerate(VARIABLES):
            t, error = made.truth[variable], made.prediction[variable] - made.truth[variable]
            mean = t.weighted(weights).mean(("time", "ncol"))
            spread = ((t - mean) ** 2).weighted(weights).mean(("time", "ncol"))
            residual = (error**2).weighted(weights).mean(("time", "ncol"))
            r2 = (1 - residual / spread.where(spread != 0)).where(spread != 0, residual == 0)
            if "lev" in r2.dims:
                r2 = r2.clip(min=0).mean()
            close(scores.r2[k], r2)
            scale = float(abs(t).max())
            close(scores.rmse[k], (residual**0.5).mean(), scale)
            close(scores.bias[k], error.weighted(weights).mean(("time", "ncol")).mean(), scale)


def test_the_distribution_of_precipitation_is_numpys(case: Case) -> None:
    made, result = case
    grid = made.grid_data()
    for region, pdf in result.precipitation.items():
        inside = xarray_metrics.in_region(made.truth, grid, region).values
        area = np.broadcast_to(made.grid.area, inside.shape)[inside]
        for data, density, dry, beyond in (
            (made.truth, pdf.truth, pdf.truth_dry, pdf.truth_beyond),
            (made.prediction, pdf.prediction, pdf.prediction_dry, pdf.prediction_beyond),
        ):
            rain = (data["cam_out_PRECC"].values * 86400e3)[inside]
            share = np.histogram(rain, pdf.edges, weights=area)[0] / area.sum()
            close(density * np.diff(pdf.edges), share)
            close(dry, area[rain < pdf.edges[0]].sum() / area.sum())
            close(dry + beyond + (density * np.diff(pdf.edges)).sum(), 1.0)


def test_kaggles_means_are_those_of_a_submission(case: Case) -> None:
    made, result = case
    sums = R2()
    sums.add(made.targets, made.predicted)
    score = submission_score(sums)
    np.testing.assert_allclose(result.kaggle, score.all_columns, rtol=1e-8)
    np.testing.assert_allclose(result.kaggle_predicted, score.predicted, rtol=1e-8)


def test_the_sample_world_closes_its_water_with_evaporation(tiny_world: Path) -> None:
    # Its steps hold the surface fluxes, so that a wrong constant or layer leaves a residual.
    steps = climate(sample_grid(48), tiny_world / "ClimSim_low-res" / "train")
    budgets = {(b.quantity, b.region, b.month): b for b in steps.result().budgets}
    rain = budgets["precipitation", "globe", ""]
    closed = budgets["water_residual_with_evaporation", "globe", ""]
    assert rain.truth_mean > 1.0 and closed.truth_rms < 1e-10
    assert closed.prediction_rms > 0.1 and closed.error_rms == pytest.approx(closed.prediction_rms)


def test_real_steps_close_their_water_without_evaporation(real_steps: Path) -> None:
    steps = climate(read_grid(real_steps.parent / GRID_FILE), real_steps, 6)
    budgets = {(b.quantity, b.region, b.month): b for b in steps.result().budgets}
    assert budgets["precipitation", "globe", ""].truth_mean > 2.0  # mm/day
    assert abs(budgets["water_residual", "globe", ""].truth_mean) < 0.1
    assert budgets["water_residual_with_evaporation", "globe", ""].truth_mean < -2.0
    # What leaves at the top of the atmosphere: reflected sunlight and some 230 W/m2 of heat.
    assert -380 < budgets["energy_residual", "globe", ""].truth_mean < -280


def rows(count: int, columns: int = 7, seed: int = 0) -> Tuple[np.ndarray, ...]:
    """Return (inputs, truth, prediction, columns, months) of plausible size, in random order."""
    random = np.random.RandomState(seed)
    inputs = np.abs(random.standard_normal((count, len(INPUTS))))
    inputs[:, INPUTS.index("state_ps")] = 1e5 + 2e3 * random.standard_normal(count)
    truth = random.standard_normal((count, len(TARGETS))) * 10.0 ** random.uniform(-9, 2, 368)
    prediction = truth + 0.3 * truth.std(axis=0) * random.standard_normal(truth.shape)
    months = np.array(["0008-07", "0008-08", "0009-01"])[random.randint(0, 3, count)]
    return inputs, truth, prediction, random.randint(0, columns, count), months


def numbers(result: EvaluationResult) -> np.ndarray:
    """Return all numbers of a result as one array."""
    found: List[float] = []

    def collect(value: Any) -> None:
        if isinstance(value, (dict, list)):
            for item in value.values() if isinstance(value, dict) else value:
                collect(item)
        elif not isinstance(value, str):
            found.append(np.nan if value is None else float(value))

    collect(plain(result))
    return np.array(found)


@pytest.mark.oldest
@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=4), seed=st.integers(0, 3))
def test_any_split_and_order_of_the_rows_gives_the_same_numbers(cuts: List[int], seed: int) -> None:
    grid, data = sample_grid(7), rows(60)
    whole = Evaluation(grid)
    whole.add(*data)
    order = np.random.RandomState(seed).permutation(60)
    merged = Evaluation(grid)
    for part in np.split(order, sorted(cuts)):
        piece = Evaluation(grid)
        piece.add(*(array[part] for array in data))
        merged.merge(piece)
    expected = numbers(whole.result())
    scale = np.maximum(np.abs(expected), 1e-30)
    np.testing.assert_allclose(
        numbers(merged.result()) / scale, expected / scale, rtol=0, atol=1e-9
    )


def test_targets_that_kaggle_ignores_count_as_met() -> None:
    grid, data = sample_grid(7), rows(60)  # truth and prediction differ in all targets
    evaluation = Evaluation(grid)
    evaluation.add(*data)
    result = evaluation.result()
    sums = R2()
    sums.add(data[1], data[2])
    assert result.kaggle == pytest.approx(submission_score(sums).all_columns, rel=1e-12)
    ignored = np.array([_is_ablated(name) for name in TARGETS])
    assert ((result.targets.kaggle_r2 == 1) == ignored).all()
    assert (result.targets.r2 < 1).all()


def test_steps_of_one_block_are_the_same_as_steps_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grid, data = sample_grid(7), rows(60)
    whole = Evaluation(grid)
    whole.add(*data)
    monkeypatch.setattr(evaluation_module, "_CHUNK_ROWS", 14)
    pieces = Evaluation(grid)
    pieces.add(*data)
    np.testing.assert_allclose(numbers(pieces.result()), numbers(whole.result()), rtol=1e-9)


def test_float32_is_evaluated_in_float64() -> None:
    grid, (inputs, truth, prediction, columns, months) = sample_grid(7), rows(60)
    rounded = [array.astype(np.float32) for array in (inputs, truth, prediction)]
    single, double = Evaluation(grid), Evaluation(grid)
    single.add(*rounded, columns, months)
    double.add(*(array.astype(np.float64) for array in rounded), columns, months)
    np.testing.assert_array_equal(numbers(single.result()), numbers(double.result()))


def test_a_perfect_prediction_scores_one_and_has_no_error() -> None:
    evaluation = Evaluation(sample_grid(7))
    inputs, truth, _, columns, months = rows(60)
    evaluation.add(inputs, truth, truth, columns, months)
    result = evaluation.result()
    for table in (result.targets, result.variables):
        assert (table.r2 == 1).all() and (table.kaggle_r2 == 1).all()
        assert not table.mae.any() and not table.rmse.any() and not table.bias.any()
    assert result.kaggle == result.kaggle_predicted == 1.0
    assert all(budget.error_rms == 0 for budget in result.budgets)
    assert all((scores.r2 == 1).all() for scores in result.regions if scores.rows > 1)
    for pdf in result.precipitation.values():
        np.testing.assert_array_equal(pdf.truth, pdf.prediction)


def test_the_mean_of_the_truth_scores_zero() -> None:
    evaluation = Evaluation(sample_grid(1))
    inputs, truth, _, _, _ = rows(40)
    mean = np.broadcast_to(truth.mean(axis=0), truth.shape)
    evaluation.add(inputs, truth, mean, np.zeros(40, int), "0008-07")
    maps = evaluation.result().maps
    np.testing.assert_allclose(maps["cam_out_SOLS"].r2, 0.0, atol=1e-12)
    np.testing.assert_allclose(maps["cam_out_SOLS"].bias, 0.0, atol=1e-12)


def test_a_result_can_be_written_as_json() -> None:
    evaluation = Evaluation(sample_grid(7))
    evaluation.add(*rows(3))  # most columns have no row: their numbers are undefined
    text = json.dumps(plain(evaluation.result()), allow_nan=False)
    assert json.loads(text)["maps"]["precipitation"]["unit"] == "mm/day"
    assert None in json.loads(text)["maps"]["precipitation"]["truth_mean"]


def test_what_cannot_be_evaluated_is_refused_by_name() -> None:
    inputs, truth, prediction, columns, months = rows(5)
    evaluation = Evaluation(sample_grid(7))
    with refused("formulas", "no rows"):
        evaluation.result()
    with refused("formulas", "column 7 of a grid of 7"):
        evaluation.add(inputs, truth, prediction, columns + 7 - columns.max(), months)
    with refused("formulas", "column -1 of a grid of 7"):
        evaluation.add(inputs, truth, prediction, np.array([0, 1, 2, 3, -1]), months)
    prediction[3, TARGETS.index("ptend_q0001_30")] = np.nan
    with refused("", "ptend_q0001_30", "not finite"):
        evaluation.add(inputs, truth, prediction, columns, months)
    with refused("", "the truth of ptend_q0001_30", "not finite"):
        evaluation.add(inputs, prediction, truth, columns, months)
    with pytest.raises(ValueError, match="different grids"):
        evaluation.merge(Evaluation(sample_grid(8)))
