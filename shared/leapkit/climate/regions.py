"""Where and when a row is: bands of latitude, kinds of surface, months, bins of latitude."""

from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

# |latitude| in degrees, from and below (docs/reference/evaluation.md, "Regions")
BANDS: Tuple[Tuple[str, float, float], ...] = (
    ("tropics", 0.0, 30.0),
    ("mid-latitudes", 30.0, 60.0),
    ("poles", 60.0, np.inf),
)
SURFACES: Tuple[Tuple[str, str], ...] = (
    ("land", "cam_in_LANDFRAC"),
    ("ocean", "cam_in_OCNFRAC"),
    ("ice", "cam_in_ICEFRAC"),
)
CELLS = len(BANDS) * len(SURFACES)
GLOBE = "globe"
REGIONS: Tuple[str, ...] = (GLOBE, *(band[0] for band in BANDS), *(name for name, _ in SURFACES))


def bands_of(lat: np.ndarray) -> np.ndarray:
    """Return the index of the band of each latitude in degrees, (n,)."""
    bands: np.ndarray = np.searchsorted([band[1] for band in BANDS[1:]], np.abs(lat), side="right")
    return bands


def surfaces_of(inputs: Dict[str, np.ndarray]) -> np.ndarray:
    """Return the index of the surface with the largest fraction of each row, (n,).

    Land comes before ocean and ocean before ice where two are equal.
    """
    fractions = np.stack([inputs[fraction] for _, fraction in SURFACES])  # (3, n)
    surfaces: np.ndarray = fractions.argmax(axis=0)
    return surfaces


def cells_of(lat: np.ndarray, inputs: Dict[str, np.ndarray]) -> np.ndarray:
    """Return the cell (band and surface) of each row, (n,) of 0..CELLS-1."""
    cells: np.ndarray = bands_of(lat) * len(SURFACES) + surfaces_of(inputs)
    return cells


def in_region(region: str) -> np.ndarray:
    """Return (CELLS,) whether a cell is in a region, one of REGIONS."""
    bands = [name for name, _, _ in BANDS]
    surfaces = [name for name, _ in SURFACES]
    return np.array(
        [
            region in (GLOBE, bands[cell // len(SURFACES)], surfaces[cell % len(SURFACES)])
            for cell in range(CELLS)
        ]
    )


def latitude_bins(lat: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin of each latitude in degrees, (n,); edges (B + 1,) rise from -90 to 90."""
    bins: np.ndarray = np.searchsorted(edges, lat, side="right") - 1
    return bins.clip(0, len(edges) - 2)
