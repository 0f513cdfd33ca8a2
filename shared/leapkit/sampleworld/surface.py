"""Land, sea and ice below each column: fractions, temperatures, snow and albedos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapkit.sampleworld.climate import season, surface_climate
from leapkit.sampleworld.constants import FREEZING, MISSING

SEA_FREEZES = 271.35  # K
NIGHT_ALBEDO = 1.0  # as the real model has it at night


@dataclass(frozen=True)
class Surface:
    """Each (C,). Units: fractions and albedos 1, temperatures K, elevation m, snow m of water."""

    landfrac: np.ndarray
    icefrac: np.ndarray
    ocnfrac: np.ndarray
    elevation: np.ndarray
    skin: np.ndarray
    mean_air: np.ndarray
    snowhland: np.ndarray
    snowhice: np.ndarray
    aldif: np.ndarray
    aldir: np.ndarray
    asdif: np.ndarray
    asdir: np.ndarray


def make_surface(
    lat: np.ndarray,
    tilt: float,
    turn: np.ndarray,
    coszrs: np.ndarray,
    continents: np.ndarray,
    mountains: np.ndarray,
    anomaly: np.ndarray,
) -> Surface:
    """Return the surface at this season, hour angle `turn` in rad and weather `anomaly`, (C,)."""
    landfrac = np.clip((continents - 0.60) / 0.35 + 0.5, 0.0, 1.0)
    elevation = landfrac * 450.0 * np.logaddexp(0.0, 1.5 * mountains)
    sea, land = surface_climate(lat, tilt)
    sea = sea + 1.2 * anomaly
    lapse = 6.0e-3 * elevation
    # The ground lags the sun by two hours, and a high sun drives a larger daily wave.
    wave = np.cos(turn - 0.5) * np.cos(np.radians(lat)) * (10.0 + 3.0 * season(lat, tilt))
    mean_land = land - lapse + 3.5 * anomaly
    frozen = np.clip((SEA_FREEZES - sea) / 4.0, 0.0, 1.0)
    icefrac = frozen * (1.0 - landfrac)
    ocnfrac = (1.0 - landfrac) - icefrac
    ice_skin = np.minimum(0.5 * (land + SEA_FREEZES) + 3.0 * anomaly, FREEZING)
    open_sea = np.maximum(sea, SEA_FREEZES)
    mean_air = landfrac * mean_land + icefrac * ice_skin + ocnfrac * (open_sea - 1.0)
    skin = landfrac * (mean_land + wave) + icefrac * ice_skin + ocnfrac * open_sea
    cover = np.clip((270.0 - (land - lapse)) / 16.0, 0.0, 1.0) * landfrac
    snowhice = np.where(icefrac > 0.0, 0.01 + 0.15 * icefrac * np.exp(0.3 * anomaly), MISSING)
    visible = 0.08 + 0.06 * mountains.clip(-1.0, 1.0)
    infrared = 0.24 + 0.08 * mountains.clip(-1.0, 1.0)
    diffuse = [
        ocnfrac * 0.06 + icefrac * bright_ice + (landfrac - cover) * bare + cover * bright_snow
        for bare, bright_ice, bright_snow in ((infrared, 0.45, 0.62), (visible, 0.70, 0.90))
    ]
    # The sea under direct light.
    glint = 0.026 / (coszrs**1.7 + 0.065) - 0.015 * (coszrs - 0.1) * (coszrs - 0.5)
    aldif, asdif, aldir, asdir = (
        np.where(coszrs > 0.0, albedo, NIGHT_ALBEDO)
        for albedo in (*diffuse, *(a + ocnfrac * (glint - 0.06) for a in diffuse))
    )
    return Surface(
        landfrac=landfrac,
        icefrac=icefrac,
        ocnfrac=ocnfrac,
        elevation=elevation,
        skin=skin,
        mean_air=mean_air,
        snowhice=snowhice,
        snowhland=cover * (0.05 + 0.6 * np.clip((262.0 - land) / 25.0, 0.0, 1.0)),
        aldif=aldif,
        aldir=aldir,
        asdif=asdif,
        asdir=asdir,
    )
