"""Cloud microphysics within a layer: saturation adjustment, evaporation, freezing and melting."""

from __future__ import annotations

import numpy as np

from leapkit.sampleworld.constants import (
    CP_DRY,
    FREEZING,
    ICE_ONLY,
    LATENT_ICE,
    LATENT_VAPOUR,
)
from leapkit.sampleworld.thermo import ice_fraction, saturation

LATENT_SUBLIMATION = LATENT_VAPOUR + LATENT_ICE
LIQUID_SPREAD, ICE_SPREAD = 0.10, 0.20  # of total water within a layer, relative to saturation
CONDENSE = 0.70  # share of the way to balance that a step makes where cloud forms
EVAPORATE = 0.90  # the same where liquid evaporates
SUBLIMATE = 0.50  # the same where ice does
DRY = 0.90  # relative deficit of vapour from which on cloud goes at that full pace
BERGERON = 0.30  # share of liquid that a step turns to ice where ice grows fastest


def adjust(
    t: np.ndarray,
    vapour: np.ndarray,
    liquid: np.ndarray,
    ice: np.ndarray,
    p: np.ndarray,
    first_liquid: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """t, vapour, liquid, ice after a step, (L, C); layers before `first_liquid` end with exactly no liquid.

    Each change moves heat with it so that cp T + Lv q - Lf ice of the layer stays.
    """
    t, vapour, liquid, ice = _exchange_vapour(t, vapour, liquid, ice, p, first_liquid)
    return _exchange_phase(t, vapour, liquid, ice, first_liquid)


def cloud_in_balance(total: np.ndarray, qsat: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Condensate in kg/kg where total water is spread evenly over `total` +- `spread` within the layer.

    0 below qsat - spread, (total - qsat + spread)^2 / (4 spread) within, total - qsat above.
    """
    excess = total - qsat
    partly = np.maximum(excess + spread, 0.0) ** 2 / (4.0 * spread)
    return np.where(excess > spread, excess, partly)


def _exchange_vapour(
    t: np.ndarray,
    vapour: np.ndarray,
    liquid: np.ndarray,
    ice: np.ndarray,
    p: np.ndarray,
    first_liquid: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cloud moves towards its balance with the vapour; what is above saturation condenses at once."""
    qsat, slope = saturation(t, p)
    frozen = ice_fraction(t)
    frozen[:first_liquid] = 1.0
    latent = LATENT_VAPOUR + frozen * LATENT_ICE
    damp = 1.0 / (1.0 + latent / CP_DRY * slope)  # condensing warms, which raises qsat
    cloud = liquid + ice
    spread = qsat * (LIQUID_SPREAD + (ICE_SPREAD - LIQUID_SPREAD) * frozen)
    change = damp * cloud_in_balance(vapour + cloud, qsat, spread) - cloud
    made = np.maximum(CONDENSE * np.maximum(change, 0.0), damp * np.maximum(vapour - qsat, 0.0))
    dryness = np.clip((1.0 - vapour / qsat) / DRY, 0.0, 1.0) ** 2
    gone = dryness * np.maximum(-change, 0.0)
    from_liquid = EVAPORATE * np.minimum(gone, liquid)
    from_ice = SUBLIMATE * np.minimum(gone, ice)
    vapour = vapour - made + from_liquid + from_ice
    t = t + (latent * made - LATENT_VAPOUR * from_liquid - LATENT_SUBLIMATION * from_ice) / CP_DRY
    return t, vapour, liquid + made * (1.0 - frozen) - from_liquid, ice + made * frozen - from_ice


def _exchange_phase(
    t: np.ndarray, vapour: np.ndarray, liquid: np.ndarray, ice: np.ndarray, first_liquid: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cloud ice melts above freezing, liquid freezes when cold, and slowly between (Bergeron)."""
    melted = np.minimum(ice, np.maximum(t - FREEZING, 0.0) * CP_DRY / LATENT_ICE)
    melted[:first_liquid] = 0.0
    mixed = np.clip((FREEZING - t) / 15.0, 0.0, 1.0) * BERGERON * np.clip(ice / 1.0e-5, 0.0, 1.0)
    part = np.where(t < ICE_ONLY, 1.0, mixed)
    part[:first_liquid] = 1.0
    froze = liquid * part
    left = liquid - froze  # exactly 0 where part is 1
    return t + LATENT_ICE / CP_DRY * (froze - melted), vapour, left + melted, ice - melted + froze
