"""The energy unit of ClimSim's metrics, number by number."""

from __future__ import annotations

import numpy as np
import pytest

from leapkit.climate.energy_units import TARGET_UNITS, VARIABLES, energy_fluxes
from leapkit.climate.grid import layer_mass
from leapkit.climate.grid_files import sample_grid
from leapkit.core.columns import TARGETS


def energy_of(**targets: float) -> np.ndarray:
    """Return the energies (368,) of one row in layers of 2 kg/m2."""
    row = np.zeros((1, len(TARGETS)))
    for name, value in targets.items():
        row[0, TARGETS.index(name)] = value
    return energy_fluxes(row, np.full((1, 60), 2.0))[0]


@pytest.mark.parametrize(
    ("name", "joules"),
    [
        ("ptend_t_7", 1004.64 * 2),
        ("ptend_q0001_0", 2.501e6 * 2),
        ("ptend_q0002_59", 2.501e6 * 2),  # ClimSim has one latent heat for all water
        ("ptend_q0003_33", 2.501e6 * 2),
        ("cam_out_NETSW", 1.0),
        ("cam_out_FLWDS", 1.0),
        ("cam_out_SOLS", 1.0),
        ("cam_out_SOLL", 1.0),
        ("cam_out_SOLSD", 1.0),
        ("cam_out_SOLLD", 1.0),
        ("cam_out_PRECC", 2.501e9),
        ("cam_out_PRECSC", 2.501e9),
    ],
)
def test_each_variable_has_its_conversion(name: str, joules: float) -> None:
    energies = energy_of(**{name: 3.0})
    assert energies[TARGETS.index(name)] == pytest.approx(3.0 * joules, rel=1e-15)
    assert np.count_nonzero(energies) == 1
    assert TARGET_UNITS[TARGETS.index(name)] == "W/m2"


def test_a_wind_is_weighted_by_the_speed_of_its_own_tendency() -> None:
    energies = energy_of(ptend_u_30=3.0, ptend_v_30=-4.0, ptend_u_31=2.0)
    assert energies[TARGETS.index("ptend_u_30")] == pytest.approx(3.0 * 5.0 * 2.0)
    assert energies[TARGETS.index("ptend_v_30")] == pytest.approx(-4.0 * 5.0 * 2.0)
    assert energies[TARGETS.index("ptend_u_31")] == pytest.approx(2.0 * 2.0 * 2.0)
    assert TARGET_UNITS[TARGETS.index("ptend_u_30")] == "W/m2/s"


def test_raw_targets_are_left_as_they_are() -> None:
    targets = np.ones((2, len(TARGETS)))
    energy_fluxes(targets, np.full((2, 60), 2.0))
    assert (targets == 1).all()


def test_the_layers_of_a_column_weigh_what_its_surface_pressure_says() -> None:
    grid = sample_grid(5)
    mass = layer_mass(grid, np.array([1e5, 9e4]))
    top = grid.hyai[0] * grid.p0  # Pa, above the model top
    np.testing.assert_allclose(mass.sum(axis=1), (np.array([1e5, 9e4]) - top) / 9.80616)
    assert (mass > 0).all() and len(VARIABLES) == 14
