"""Which region, surface and bin a row falls into."""

from __future__ import annotations

import numpy as np

from leapkit.climate.precipitation import EDGES, PrecipitationCounts
from leapkit.climate.regions import CELLS, REGIONS, cells_of, in_region, latitude_bins


def test_bands_begin_at_30_and_60_degrees_of_both_hemispheres() -> None:
    lat = np.array([0.0, -29.9, 30.0, -30.0, 59.9, 60.0, -90.0])
    ones = np.ones(len(lat))
    inputs = {"cam_in_LANDFRAC": ones, "cam_in_OCNFRAC": 0 * ones, "cam_in_ICEFRAC": 0 * ones}
    cells = cells_of(lat, inputs)
    bands = ["tropics", "tropics"] + 3 * ["mid-latitudes"] + 2 * ["poles"]
    assert [[r for r in REGIONS[1:4] if in_region(r)[cell]] for cell in cells] == [
        [band] for band in bands
    ]
    assert all(in_region("land")[cell] and in_region("globe")[cell] for cell in cells)


def test_a_row_belongs_to_its_largest_surface() -> None:
    inputs = {
        "cam_in_LANDFRAC": np.array([0.5, 0.1, 0.2, 0.5]),
        "cam_in_OCNFRAC": np.array([0.3, 0.6, 0.3, 0.5]),
        "cam_in_ICEFRAC": np.array([0.2, 0.3, 0.5, 0.0]),
    }
    cells = cells_of(np.zeros(4), inputs)
    for cell, surface in zip(cells, ["land", "ocean", "ice", "land"]):
        assert [r for r in REGIONS[4:] if in_region(r)[cell]] == [surface]


def test_each_cell_lies_in_one_band_and_on_one_surface() -> None:
    assert sum(in_region(band).astype(int) for band in REGIONS[1:4]).tolist() == [1] * CELLS
    assert sum(in_region(surface).astype(int) for surface in REGIONS[4:]).tolist() == [1] * CELLS


def test_both_poles_lie_in_bins() -> None:
    edges = np.linspace(-90, 90, 19)
    bins = latitude_bins(np.array([-90.0, -80.0, 0.0, 89.9, 90.0]), edges)
    assert bins.tolist() == [0, 1, 9, 17, 17]


def test_no_rain_and_negative_rain_are_dry() -> None:
    counts = PrecipitationCounts()
    rain = np.array([0.0, -1.0, 1e-3, 5.0, 2e3])
    counts.add(np.zeros(5, int), rain, rain[::-1], np.array([1.0, 1.0, 2.0, 4.0, 2.0]))
    pdf = counts.pdf("globe")
    assert (pdf.truth_dry, pdf.truth_beyond) == (0.2, 0.2)
    assert pdf.truth[0] * (EDGES[1] - EDGES[0]) == np.float64(0.2)
    assert pdf.truth @ np.diff(EDGES) + pdf.truth_dry + pdf.truth_beyond == 1.0
    assert np.isnan(counts.pdf("poles").truth).all()
