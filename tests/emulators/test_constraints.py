"""Each constraint does what its source says, to its targets alone, and nothing if it is off."""

from __future__ import annotations

import warnings
from typing import Tuple

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from blend.postprocess import STATES, bound
from leapkit.core import hybrid_levels
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.emulators.constraints import CONSTRAINTS, Constraints
from tests.helpers.refusals import refused

pytestmark = pytest.mark.stack

ROWS = 40


@pytest.fixture
def columns() -> Tuple[np.ndarray, np.ndarray]:
    """Return x (40, 556) with plausible states, and y (40, 368) that every constraint moves."""
    random = np.random.RandomState(3)
    x = random.standard_normal((ROWS, len(INPUTS)))
    level = np.arange(60)
    # Cold and dry above, warm and moist below; the tropopause lies between.
    x[:, :60] = 215 + 80 * (level / 59) ** 4 + random.standard_normal((ROWS, 60))
    x[:, 60:240] = 1e-5 * random.uniform(size=(ROWS, 180))
    x[:, INPUTS.index("state_ps")] = random.uniform(6e4, 1.04e5, ROWS)
    y = 1e-8 * random.standard_normal((ROWS, len(TARGETS)))
    y[:, :60] = 1e-3 * random.standard_normal((ROWS, 60))
    return x, y


def apply(names: Tuple[str, ...], columns: Tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    x, y = columns
    return Constraints(names).of_arrays(x, y.copy())


def profile(name: str) -> slice:
    names = INPUTS if name.startswith("state") else TARGETS
    first = names.index(f"{name}_0")
    return slice(first, first + 60)


def moved(before: np.ndarray, after: np.ndarray) -> set:
    """Return the variables whose values differ."""
    return {
        TARGETS[k].rsplit("_", 1)[0] if k < 360 else TARGETS[k].split("_")[-1]
        for k in np.nonzero((before != after).any(axis=0))[0]
    }


def test_without_any_the_predictions_are_the_same_object(columns) -> None:
    x, y = (torch.from_numpy(array) for array in columns)
    assert Constraints()(x, y) is y and Constraints().of_arrays(*columns) is columns[1]


@pytest.mark.parametrize("names", [("positivity",), ("fluxes",), ("fluxes", "positivity")])
def test_positivity_and_fluxes_are_those_of_the_blend_bit_for_bit(names, columns) -> None:
    x, y = columns
    expected = y.copy()
    assert bound(expected, x[:, STATES], names).any()
    assert apply(names, columns).tobytes() == expected.tobytes()


def test_there_is_no_sunlight_at_night(columns) -> None:
    x, y = columns
    x[0, INPUTS.index("pbuf_COSZRS")] = 0.0
    after = apply(("night",), columns)
    assert moved(y, after) == {"NETSW", "SOLS", "SOLL", "SOLSD", "SOLLD"}
    is_day = x[:, INPUTS.index("pbuf_COSZRS")] > 0
    assert is_day.any() and np.array_equal(after[is_day], y[is_day])
    assert not after[~is_day][:, [360, 364, 365, 366, 367]].any()


def test_the_upper_fifteen_levels_keep_their_water_and_wind(columns) -> None:
    after = apply(("top_levels",), columns)
    before = columns[1]
    for name in ("ptend_q0001", "ptend_q0002", "ptend_q0003", "ptend_u", "ptend_v"):
        assert not after[:, profile(name)][:, :15].any()
        assert np.array_equal(after[:, profile(name)][:, 15:], before[:, profile(name)][:, 15:])
    assert np.array_equal(after[:, :60], before[:, :60])


def test_the_new_temperature_parts_cloud_water_into_liquid_and_ice(columns) -> None:
    x, y = columns
    x[:3, :60] = np.array([240.0, 263.16, 280.0])[:, None]
    y[:3, :60] = np.array([0.0, 0.0, -40.0])[:, None] / 1200  # the third ends at 240 K
    after = apply(("partition",), columns)
    assert moved(y, after) == {"ptend_q0002", "ptend_q0003"}
    liquid, ice = (x[:, profile(f"state_q000{k}")] for k in (2, 3))
    new_liquid = liquid + 1200 * after[:, profile("ptend_q0002")]
    new_ice = ice + 1200 * after[:, profile("ptend_q0003")]
    total = liquid + ice + 1200 * (y[:, profile("ptend_q0002")] + y[:, profile("ptend_q0003")])
    np.testing.assert_allclose(new_liquid + new_ice, total, rtol=0, atol=1e-19)
    for row, share in enumerate((0.0, 0.5, 0.0)):
        np.testing.assert_allclose(new_liquid[row], share * total[row], rtol=0, atol=1e-19)


def tropopause(x: np.ndarray) -> int:
    """Return the level that detect_tropopause of mmf_nn_emulator.F90 finds, in plain loops."""
    surface = x[INPUTS.index("state_ps")]
    temperature, vapour = x[profile("state_t")], x[profile("state_q0001")]
    pressure = [a * 1e5 + b * surface for a, b in zip(hybrid_levels.LEVEL_A, hybrid_levels.LEVEL_B)]
    theta = [t * (surface / p) ** (287.04 / 1004.64) for t, p in zip(temperature, pressure)]
    height = [0.0] * 60
    for k in range(58, -1, -1):
        warm = (temperature * (1 + 0.608 * vapour))[k : k + 2].mean()
        height[k] = height[k + 1] + 287.04 / 9.80616 * warm * np.log(pressure[k + 1] / pressure[k])
    found = 0
    for k in range(1, 59):
        gradient = (theta[k - 1] - theta[k + 1]) / (height[k - 1] - height[k + 1]) * 1000
        if pressure[k] <= 40000 and gradient > 10:
            found = k
    return found


def test_above_the_tropopause_vapour_stays_and_clouds_go(columns) -> None:
    x, y = columns
    after = apply(("stratosphere",), columns)
    levels = [tropopause(row) for row in x]
    assert len(set(levels)) > 2 and all(5 < level < 40 for level in levels)
    assert moved(y, after) == {"ptend_q0001", "ptend_q0002", "ptend_q0003"}
    for row, level in enumerate(levels):
        above = slice(0, level + 1)
        assert not after[row, profile("ptend_q0001")][above].any()
        for name in ("q0002", "q0003"):
            expected = -x[row, profile(f"state_{name}")][above] / 1200
            assert np.array_equal(after[row, profile(f"ptend_{name}")][above], expected)
        below = np.ones(len(TARGETS), dtype=bool)
        for name in ("ptend_q0001", "ptend_q0002", "ptend_q0003"):
            below[profile(name)][above] = False
        assert np.array_equal(after[row, below], y[row, below])


def test_rows_of_zeros_stay_finite() -> None:
    zeros = np.zeros((2, len(INPUTS))), np.ones((2, len(TARGETS)))
    assert np.isfinite(apply(tuple(CONSTRAINTS), zeros)).all()


def test_they_are_applied_in_one_order_however_they_are_given(columns) -> None:
    names = tuple(CONSTRAINTS)
    assert Constraints(names[::-1]).names == names
    assert np.array_equal(apply(names[::-1], columns), apply(names, columns))
    with refused("POSTPROCESS=night,gravity", "gravity", "positivity"):
        Constraints(("night", "gravity"))


def test_a_traced_one_holds_for_any_rows_and_any_device(columns) -> None:
    x, y = (torch.from_numpy(array) for array in columns)
    constraints = Constraints(tuple(CONSTRAINTS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(constraints, (x[:3], y[:3]))
    assert torch.equal(traced(x, y), constraints(x, y))
    assert "Device" not in str(traced.inlined_graph)
