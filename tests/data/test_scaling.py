"""Each family's arithmetic equals the published one, restated in plain numpy, bit for bit."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Dict, List

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leapkit.core.columns import (
    INPUTS,
    LINEAR,
    LINEAR_INPUTS,
    NETWORK_INPUTS,
    NETWORK_TARGETS,
    PREDICTED,
    TARGETS,
    ZERO,
    kaggle_positions,
)
from leapkit.core.step_files import list_pairs
from leapkit.data import scaling
from leapkit.data.moments import Moments, moments_of
from leapkit.data.old_weights import read_old_weights
from leapkit.data.scaling import FAMILIES, Family, Scaling, linear_tendency, load_scaling
from leapkit.data.step_reader import StepReader
from tests.helpers.refusals import refused

pytestmark = pytest.mark.stack

EPS32 = 2.0**-24
EPS64 = 2.0**-53  # largest relative error of one rounding


def bits(values: np.ndarray) -> np.ndarray:
    values = np.ascontiguousarray(values)
    return values.view(np.int32 if values.dtype == np.float32 else np.int64)


def exact_csv(path: Path) -> pd.DataFrame:
    """Read a CSV with correctly rounded numbers, which is an option of pandas."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pd.read_csv(path, float_precision="round_trip")


@pytest.fixture(scope="module")
def rows(tiny_world: Path) -> tuple:
    """Return (x, y) of 48 columns of the tiny world."""
    return StepReader().read(list_pairs(tiny_world / "ClimSim_low-res" / "train")[3])


@pytest.fixture(params=["published", "made"])
def folders(request: pytest.FixtureRequest) -> Dict[str, Path]:
    """Return {family: folder of mean.json and std.json}, and the old weights under ''."""
    if request.param == "published":
        root = request.getfixturevalue("published")
        return {
            "adam": root / "adam",
            "fdzm": root / "fdzm",
            "": root / "adam" / "old_sample_weight.csv",
        }
    root = request.getfixturevalue("tiny_world")
    return {
        "adam": root / "statistics" / "adam",
        "fdzm": root / "statistics" / "fdzm",
        "": root / "kaggle-data" / "sample_submission_old.csv",
    }


def tables(folders: Dict[str, Path], family: str) -> tuple:
    mean, std = (
        json.loads((folders[family] / name).read_text()) for name in ("mean.json", "std.json")
    )
    return mean, std, exact_csv(folders[""]).iloc[:1]


# --- the arithmetic, restated column by column ----------------------------------------------------


@pytest.mark.parametrize("family", ["adam", "fdzm"])
def test_training_inputs_equal_the_published_arithmetic(
    folders: Dict[str, Path], rows: tuple, family: str
) -> None:
    mean, std, _ = tables(folders, family)
    scaled_inputs = load_scaling(folders[family], family, folders[""]).scaled_inputs(rows[0])
    assert scaled_inputs.dtype == np.float32 and scaled_inputs.shape == (48, 556)
    for k, name in enumerate(NETWORK_INPUTS):
        m, s = mean[name], std[name]
        if family == "fdzm":
            m, s = float(np.float32(m)), float(np.float32(s))
        expected = np.array(
            [np.float32((x - m) / s) for x in rows[0][:, INPUTS.index(name)].tolist()]
        )
        assert (bits(scaled_inputs[:, k]) == bits(expected)).all(), name


@pytest.mark.parametrize("family, last_kept", [("adam", 28), ("fdzm", 27)])
def test_test_inputs_are_rounded_to_float32_first_but_for_the_tiny_columns(
    folders: Dict[str, Path], rows: tuple, family: str, last_kept: int
) -> None:
    mean, std, _ = tables(folders, family)
    x = rows[0].copy()
    x[:, [INPUTS.index(n) for n in LINEAR_INPUTS]] *= 1e-20  # below what float32 holds
    scaled_inputs = load_scaling(folders[family], family, folders[""]).scaled_test_inputs(x)
    kept_float64 = [f"state_q0002_{k}" for k in range(12, last_kept + 1)]
    for k, name in enumerate(NETWORK_INPUTS):
        m, s = mean[name], std[name]
        if family == "fdzm":
            m, s = float(np.float32(m)), float(np.float32(s))
        column = x[:, INPUTS.index(name)]
        if name not in kept_float64:
            column = column.astype(np.float32).astype(np.float64)
        assert (bits(scaled_inputs[:, k]) == bits(((column - m) / s).astype(np.float32))).all(), (
            name
        )


@pytest.mark.parametrize("family", ["adam", "fdzm"])
def test_the_rounding_of_test_inputs_really_differs_and_really_spares_the_tiny_columns(
    folders: Dict[str, Path], family: str
) -> None:
    kind = load_scaling(folders[family], family, folders[""])
    x = np.full((1, 556), 1e-60)
    x[0, INPUTS.index("state_ps")] = 98765.4321987
    train = kind.scaled_inputs(x - 1e-60)
    test = kind.scaled_test_inputs(x)
    assert train[0, NETWORK_INPUTS.index("state_ps")] != test[0, NETWORK_INPUTS.index("state_ps")]
    kept_float64 = [INPUTS.index(n) for n in kind.family.kept_float64]
    scaled = x.copy()
    scaled[:, kept_float64] = kind.input_mean[kept_float64] + kind.input_std[kept_float64] * (
        1 + 2.0**-20
    )
    positions = [NETWORK_INPUTS.index(n) for n in kind.family.kept_float64]
    assert (
        kind.scaled_test_inputs(scaled)[:, positions] == kind.scaled_inputs(scaled)[:, positions]
    ).all()


@pytest.mark.parametrize("family", ["adam", "fdzm"])
def test_targets_equal_the_published_arithmetic(
    folders: Dict[str, Path], rows: tuple, family: str
) -> None:
    mean, std, weights = tables(folders, family)
    scaled_targets = load_scaling(folders[family], family, folders[""]).scaled_targets(rows[1])
    assert scaled_targets.dtype == np.float32 and scaled_targets.shape == (48, 368)
    for k, name in enumerate(NETWORK_TARGETS):
        m = mean[name]
        s = std[name]
        w = float(weights[name].iloc[0])
        expected = np.array(
            [np.float32((y * w - m) / s) for y in rows[1][:, TARGETS.index(name)].tolist()]
        )
        assert (bits(scaled_targets[:, k]) == bits(expected)).all(), name


@pytest.mark.parametrize("family", ["adam", "fdzm"])
def test_raw_values_equal_the_published_post_processing(
    folders: Dict[str, Path], rows: tuple, family: str
) -> None:
    mean, std, weights = tables(folders, family)
    z = np.random.RandomState(2).randn(48, 368).astype(np.float32)
    q = rows[0][:, [INPUTS.index(n) for n in LINEAR_INPUTS]]
    with np.errstate(divide="raise", invalid="raise"):  # 63 old weights are 0 and must not divide
        raw_values = load_scaling(folders[family], family, folders[""]).raw(z, q)
    assert raw_values.dtype == np.float64 and raw_values.shape == (48, 368)
    for k, name in enumerate(TARGETS):
        if name in ZERO:
            expected = np.zeros(48)
        elif name in LINEAR:
            expected = -rows[0][:, INPUTS.index(name.replace("ptend", "state"))] / 1200
        else:
            scaled = z[:, NETWORK_TARGETS.index(name)].astype(np.float64) * std[name] + mean[name]
            expected = scaled / float(weights[name].iloc[0])
        assert (bits(raw_values[:, k]) == bits(expected)).all(), name


def test_raw_leaves_the_network_s_output_as_it_was(folders: Dict[str, Path]) -> None:
    z = np.ones((3, 368), dtype=np.float32)
    load_scaling(folders["adam"], "adam", folders[""]).raw(z, np.ones((3, 16)))
    assert (z == 1).all()


@pytest.mark.parametrize("family", ["adam", "fdzm"])
def test_raw_undoes_targets_on_predicted_columns(
    folders: Dict[str, Path], rows: tuple, family: str
) -> None:
    # z is rounded once to float32 (relative 2^-24, or half the smallest denormal), the rest are a
    # few float64 roundings of y * weight and of the mean that is subtracted and added again.
    kind = load_scaling(folders[family], family, folders[""])
    y = rows[1]
    raw_values = kind.raw(
        kind.scaled_targets(y), rows[0][:, [INPUTS.index(n) for n in LINEAR_INPUTS]]
    )
    z = (y * kind.weight - kind.target_mean) / kind.target_std
    allowed = kind.target_std * (np.abs(z) * EPS32 + 2.0**-149) + 8 * EPS64 * (
        np.abs(y * kind.weight) + np.abs(kind.target_mean)
    )
    wrong = np.abs(raw_values - y) * kind.weight > allowed * 1.001
    assert not wrong[:, kaggle_positions(PREDICTED)].any()
    assert (raw_values[:, kaggle_positions(ZERO)] == 0).all()


def test_linear_columns_and_zero_columns_do_not_hear_the_network(
    folders: Dict[str, Path], rows: tuple
) -> None:
    kind = load_scaling(folders["fdzm"], "fdzm", folders[""])
    q = rows[0][:, [INPUTS.index(n) for n in LINEAR_INPUTS]]
    special = kaggle_positions(ZERO + LINEAR)
    not_numbers = np.full((48, 368), np.nan, dtype=np.float32)
    raw_values = kind.raw(not_numbers, q)
    assert np.isfinite(raw_values[:, special]).all()
    assert np.isnan(np.delete(raw_values, special, axis=1)).all()
    assert (bits(raw_values[:, kaggle_positions(LINEAR)]) == bits(-q / 1200)).all()


def test_the_weighted_unit_is_raw_times_weight_where_the_weight_is_not_zero(
    folders: Dict[str, Path],
) -> None:
    kind = load_scaling(folders["adam"], "adam", folders[""])
    z = np.random.RandomState(0).randn(5, 368).astype(np.float32)
    predicted = kaggle_positions(PREDICTED)
    assert (
        bits((kind.weighted(z) / np.where(kind.weight == 0, 1, kind.weight))[:, predicted])
        == bits(kind.raw(z, np.zeros((5, 16)))[:, predicted])
    ).all()


@given(q=st.lists(st.floats(0, 1e-3), min_size=16, max_size=16))
@settings(max_examples=50, deadline=None)
def test_the_linear_formula_is_one_correctly_rounded_division(q: List[float]) -> None:
    assert linear_tendency(np.array([q]))[0].tolist() == [-value / 1200 for value in q]


# --- the families ---------------------------------------------------------------------------------


def test_families_differ_by_their_floor_their_cast_and_one_kept_level() -> None:
    adam, fdzm = FAMILIES["adam"], FAMILIES["fdzm"]
    assert (adam.std_floor, fdzm.std_floor) == (1e-10, 1e-8)
    assert (adam.cast_inputs, fdzm.cast_inputs) == ("float64", "float32")
    assert set(adam.kept_float64) - set(fdzm.kept_float64) == {"state_q0002_28"}
    assert not set(fdzm.kept_float64) - set(adam.kept_float64)


@pytest.mark.parametrize("family, floored_inputs", [("adam", 101), ("fdzm", 113)])
def test_the_published_statistics_stand_at_their_family_s_floor(
    published: Path, family: str, floored_inputs: int
) -> None:
    kind = load_scaling(published / family, family, published / "adam" / "old_sample_weight.csv")
    raw = json.loads((published / family / "std.json").read_text())
    assert sum(raw[n] == kind.family.std_floor for n in INPUTS) == floored_inputs
    assert sum(raw[n] == kind.family.std_floor for n in TARGETS) == 72
    assert min(raw.values()) == kind.family.std_floor


def test_made_statistics_differ_by_the_floor_alone(tiny_world: Path) -> None:
    adam, fdzm = (
        json.loads((tiny_world / "statistics" / f / "std.json").read_text())
        for f in ("adam", "fdzm")
    )
    assert (tiny_world / "statistics/adam/mean.json").read_bytes() == (
        tiny_world / "statistics/fdzm/mean.json"
    ).read_bytes()
    assert min(adam.values()) == 1e-10 and min(fdzm.values()) == 1e-8
    assert all(fdzm[name] == max(adam[name], 1e-8) for name in INPUTS + TARGETS)
    assert any(fdzm[name] != adam[name] for name in INPUTS)


def test_float32_statistics_of_inputs_are_fdzm_s_alone(published: Path) -> None:
    weights = published / "adam" / "old_sample_weight.csv"
    adam, fdzm = (load_scaling(published / f, f, weights) for f in ("adam", "fdzm"))
    for values in (fdzm.input_mean, fdzm.input_std):
        assert (values.astype(np.float32).astype(np.float64) == values).all()
    assert (adam.input_std.astype(np.float32).astype(np.float64) != adam.input_std).any()
    # the cast flushes two means that adam keeps
    tiny = [INPUTS.index("state_q0002_15"), INPUTS.index("state_q0002_16")]
    assert (fdzm.input_mean[tiny] == 0).all() and (adam.input_mean[tiny] != 0).all()
    # targets stay float64 in both
    assert (fdzm.target_std.astype(np.float32).astype(np.float64) != fdzm.target_std).any()


@pytest.mark.parametrize(
    "options",
    [
        {"std_floor": 0.0},
        {"std_floor": float("nan")},
        {"cast_inputs": "float16"},
        {"kept_float64": ("state_q0002_60",)},
    ],
)
def test_an_impossible_family_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="family x"):
        Family(
            **dict(
                dict(name="x", std_floor=1e-8, cast_inputs="float64", kept_float64=()), **options
            )
        )


# --- moments --------------------------------------------------------------------------------------


def moments_of_parts(data: np.ndarray, cuts: List[int]) -> Moments:
    moments = Moments(data.shape[1])
    for chunk in np.split(data, sorted(cuts)):
        moments.add(chunk)
    return moments


@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 40), max_size=6),
    offset=st.sampled_from([0.0, 1.0, 1e5]),
    spread=st.sampled_from([1e-30, 1.0, 1e15]),
)
@settings(max_examples=60, deadline=None)
def test_moments_merged_from_any_split_equal_those_of_the_whole(
    seed: int, cuts: List[int], offset: float, spread: float
) -> None:
    # Each merge rounds mean and m2 a few times; a rounding of the mean by e adds n e^2 and nothing
    # linear to m2. So the mean is good to some eps of the largest value, m2 to some eps of itself
    # and n (eps of the largest value)^2.
    data = (np.random.RandomState(seed).randn(40, 3) + offset) * spread
    moments = moments_of_parts(data, cuts)
    largest = np.abs(data).max()
    assert moments.count == 40
    assert (np.abs(moments.mean - data.mean(axis=0)) <= 40 * EPS64 * largest).all()
    m2 = np.square(data - data.mean(axis=0)).sum(axis=0)
    assert (
        np.abs(moments.m2 - m2)
        <= 100 * EPS64 * m2 + 40 * (40 * EPS64 * largest) ** 2 + 200 * EPS64 * largest * np.sqrt(m2)
    ).all()


@given(cuts=st.lists(st.integers(0, 12), max_size=4), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_merging_moments_in_another_order_changes_rounding_only(cuts: List[int], seed: int) -> None:
    data = np.random.RandomState(seed).randn(12, 2)
    chunk_moments = []
    for chunk in np.split(data, sorted(cuts)):
        chunk_moments.append(Moments(2))
        chunk_moments[-1].add(chunk)
    forwards, backwards = Moments(2), Moments(2)
    for chunk in chunk_moments:
        forwards.merge(chunk)
    for chunk in reversed(chunk_moments):
        backwards.merge(chunk)
    assert forwards.count == backwards.count == 12
    np.testing.assert_allclose(
        forwards.mean, backwards.mean, rtol=0, atol=50 * EPS64 * np.abs(data).max()
    )
    np.testing.assert_allclose(forwards.m2, backwards.m2, rtol=100 * EPS64)


def test_moments_of_nothing_are_empty_and_harm_nothing() -> None:
    moments = Moments(2)
    moments.add(np.empty((0, 2)))
    moments.merge(Moments(2))
    assert moments.count == 0 and moments.std().tolist() == [0, 0]
    moments.add(np.array([[1.0, 2.0]]))
    moments.merge(Moments(2))
    assert moments.mean.tolist() == [1, 2] and moments.std().tolist() == [0, 0]


def test_the_standard_deviation_is_that_of_pandas() -> None:
    data = np.random.RandomState(4).randn(101, 5) * [1e-9, 1, 1, 1e15, 0] + [0, 1e4, -3, 0, 7]
    expected = pd.DataFrame(data)
    moments = moments_of_parts(data, [1, 17, 60])
    np.testing.assert_allclose(moments.std(), expected.std().to_numpy(), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(moments.mean, expected.mean().to_numpy(), rtol=1e-13, atol=1e-15)
    assert (
        abs(moments.std()[1] / data[:, 1].std() - np.sqrt(101 / 100)) < 1e-9
    )  # ddof = 1 and not 0


def test_blocks_of_float32_are_summed_in_float64() -> None:
    data = np.full((100_001, 1), 0.1, dtype=np.float32)
    moments = Moments(1)
    moments.add(data)
    assert abs(moments.mean[0] - float(np.float32(0.1))) < 1e-15 and moments.std()[0] < 1e-15


def test_statistics_of_the_split_equal_pandas_on_train_csv(tiny_world: Path) -> None:
    # rtol 1e-10: one pass over blocks here, two passes in pandas; the std of a column of mean m is
    # good to eps m / std.
    table = exact_csv(tiny_world / "kaggle-data" / "train.csv")
    weight = 1 / np.maximum(table[list(TARGETS)].std(), 1e-15)
    weight[list(ZERO) + ["ptend_q0002_12", "ptend_q0002_13", "ptend_q0002_14"]] = 0.0
    written = exact_csv(tiny_world / "kaggle-data" / "sample_submission_old.csv")
    np.testing.assert_allclose(
        written[list(TARGETS)].iloc[0].to_numpy(), weight.to_numpy(), rtol=1e-10
    )
    values = table[list(INPUTS + TARGETS)].copy()
    values[list(TARGETS)] = values[list(TARGETS)] * written[list(TARGETS)].iloc[0]
    for family, floor in (("adam", 1e-10), ("fdzm", 1e-8)):
        folder = tiny_world / "statistics" / family
        mean, std = (json.loads((folder / name).read_text()) for name in ("mean.json", "std.json"))
        for name in INPUTS + TARGETS:
            expected = values[name].mean(), max(values[name].std(), floor)
            largest = values[name].abs().max()
            assert abs(mean[name] - expected[0]) <= 1e-13 * largest, name
            assert abs(std[name] - expected[1]) <= 1e-10 * expected[1] + 1e-14 * largest, name
            assert std[name] >= floor


def test_the_weights_of_flat_targets_stop_at_the_floor_and_ablated_ones_are_zero() -> None:
    moments = Moments(368)
    moments.add(np.zeros((3, 368)))
    weight = scaling.old_weights(moments)
    assert (weight == 0).sum() == 63
    np.testing.assert_allclose(weight[weight > 0], 1e15, rtol=1e-15)


# --- loading --------------------------------------------------------------------------------------


@pytest.fixture
def copied(tiny_world: Path, tmp_path: Path) -> Path:
    """Return the folder of statistics and old weights that a test may damage."""
    for name in ("mean.json", "std.json"):
        shutil.copyfile(str(tiny_world / "statistics" / "fdzm" / name), str(tmp_path / name))
    shutil.copyfile(
        str(tiny_world / "kaggle-data" / "sample_submission_old.csv"), str(tmp_path / "old.csv")
    )
    return tmp_path


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("mean.json", None, "lacks state_t_7 (1 are missing)"),
        ("std.json", None, "lacks state_t_7"),
        ("std.json", 0.0, "not positive"),
        ("std.json", -1.0, "not positive"),
        ("mean.json", float("nan"), "NaN"),
        ("std.json", float("inf"), "infinity"),
        ("mean.json", "text", "state_t_7"),
        ("mean.json", [1], "state_t_7"),
        ("mean.json", {}, "state_t_7"),
    ],
)
def test_damaged_statistics_are_refused_by_file(
    copied: Path, name: str, value: object, words: str
) -> None:
    table = json.loads((copied / name).read_text())
    table["state_t_7"] = value
    if value is None:
        del table["state_t_7"]
    (copied / name).write_text(json.dumps(table))
    with refused(copied / name, words, "make split"):
        load_scaling(copied, "fdzm", copied / "old.csv")


@pytest.mark.parametrize("content", ["", "[]", "7", "null", '"text"'])
def test_statistics_that_are_no_table_are_refused(copied: Path, content: str) -> None:
    (copied / "std.json").write_text(content)
    with refused(copied / "std.json", "make split"):
        load_scaling(copied, "fdzm", copied / "old.csv")


def test_missing_statistics_are_refused(copied: Path) -> None:
    (copied / "mean.json").unlink()
    with refused(copied / "mean.json", "missing", "make split"):
        load_scaling(copied, "fdzm", copied / "old.csv")


def test_a_zero_weight_where_a_network_predicts_is_refused(copied: Path) -> None:
    lines = (copied / "old.csv").read_text().split("\n")
    cells = lines[1].split(",")
    cells[1 + TARGETS.index("cam_out_PRECC")] = "0.0"
    (copied / "old.csv").write_text("\n".join([lines[0], ",".join(cells), ""]))
    with refused(copied / "old.csv", "the weight of cam_out_PRECC is 0"):
        load_scaling(copied, "fdzm", copied / "old.csv")


def test_written_statistics_are_loaded_exactly(tmp_path: Path, tiny_world: Path) -> None:
    blocks = exact_csv(tiny_world / "kaggle-data" / "train.csv")[list(INPUTS + TARGETS)].to_numpy()
    moments = moments_of((blocks[k::3] for k in range(3)), 924)
    weights = tiny_world / "kaggle-data" / "sample_submission_old.csv"
    weight = read_old_weights(weights)
    scaling.write_scaling(tmp_path / "new", "adam", moments, weight)
    loaded: Scaling = load_scaling(tmp_path / "new", "adam", weights)
    assert loaded.family is FAMILIES["adam"]
    assert (bits(loaded.input_mean) == bits(moments.mean[:556])).all()
    assert (bits(loaded.target_std) == bits(np.maximum(moments.std()[556:] * weight, 1e-10))).all()
