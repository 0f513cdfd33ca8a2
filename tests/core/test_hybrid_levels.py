"""The table of hybrid levels is E3SM's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leapkit.core import hybrid_levels
from tests.conftest import BESIDE


def test_pressure_rises_from_the_model_top_to_the_surface() -> None:
    for surface in (5e4, 1e5, 1.05e5):
        pressure = (
            np.array(hybrid_levels.INTERFACE_A) * hybrid_levels.REFERENCE_PRESSURE
            + np.array(hybrid_levels.INTERFACE_B) * surface
        )
        assert len(pressure) == 61 and (np.diff(pressure) > 0).all() and pressure[-1] == surface
    assert len(hybrid_levels.LEVEL_A) == len(hybrid_levels.LEVEL_B) == 60


def test_it_is_that_of_climsims_grid_file() -> None:
    netCDF4 = pytest.importorskip("netCDF4")
    grid: Path = BESIDE / "climsim_low-res_sample" / "ClimSim_low-res_grid-info.nc"
    if not grid.exists():
        pytest.skip(f"{grid.name} is not beside the project")
    with netCDF4.Dataset(str(grid)) as file:
        for name, table in (
            ("hyai", hybrid_levels.INTERFACE_A),
            ("hybi", hybrid_levels.INTERFACE_B),
            ("hyam", hybrid_levels.LEVEL_A),
            ("hybm", hybrid_levels.LEVEL_B),
        ):
            assert file[name][:].tolist() == list(table)
