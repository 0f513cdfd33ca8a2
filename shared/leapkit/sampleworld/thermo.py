"""Moist thermodynamics: saturation, the split between liquid and ice, hydrostatic heights."""

from __future__ import annotations

import numpy as np

from leapkit.sampleworld.constants import (
    EPSILON,
    FREEZING,
    GAS_DRY,
    GAS_VAPOUR,
    GRAVITY,
    ICE_ONLY,
    LATENT_ICE,
    LATENT_VAPOUR,
    LIQUID_ONLY,
    VIRTUAL,
)


def ice_fraction(t: np.ndarray) -> np.ndarray:
    """Return the share of ice in new condensate at t in K: 1 below 238.15 K, 0 above 268.15 K."""
    return np.clip((LIQUID_ONLY - t) / (LIQUID_ONLY - ICE_ONLY), 0.0, 1.0)


def saturation(t: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return saturation specific humidity in kg/kg and its derivative in 1/K at t in K, p in Pa.

    Magnus formulas over water and ice, mixed by ice_fraction. The derivative is Clausius-Clapeyron
    with the mixed latent heat: it only steers Newton steps, so it need not be exact.
    """
    celsius = t - FREEZING
    over_water = 611.2 * np.exp(17.62 * celsius / (243.12 + celsius))
    over_ice = 611.2 * np.exp(22.46 * celsius / (272.62 + celsius))
    ice = ice_fraction(t)
    e = np.minimum(over_water + ice * (over_ice - over_water), 0.5 * p)
    q = EPSILON * e / (p - (1.0 - EPSILON) * e)
    return q, q * (LATENT_VAPOUR + ice * LATENT_ICE) / (GAS_VAPOUR * t * t)


def heights(t: np.ndarray, q: np.ndarray, pint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return heights of layer centres above the surface and layer thicknesses in m, both (60, C).

    t in K and q in kg/kg are (60, C), pint in Pa is (61, C).
    """
    thickness = GAS_DRY / GRAVITY * t * (1.0 + VIRTUAL * q) * np.log(pint[1:] / pint[:-1])
    below = np.cumsum(thickness[::-1], axis=0)[::-1] - thickness
    return below + 0.5 * thickness, thickness
