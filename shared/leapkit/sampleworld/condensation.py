"""Cloud microphysics within a layer: saturation adjustment, evaporation, freezing and melting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from leapkit.sampleworld.air import Air
from leapkit.sampleworld.constants import (
    CP_DRY,
    FREEZING,
    ICE_ONLY,
    LATENT_ICE,
    LATENT_VAPOUR,
)
from leapkit.sampleworld.thermo import ice_fraction, saturation

LATENT_SUBLIMATION = LATENT_VAPOUR + LATENT_ICE
LIQUID_SPREAD = 0.10  # of total water within a layer, relative to saturation
ICE_SPREAD = 0.20  # the same where cloud is ice
CONDENSE = 0.70  # share of the way to balance that a step makes where cloud forms
EVAPORATE = 0.90  # the same where liquid evaporates
SUBLIMATE = 0.50  # the same where ice does
DRY = 0.90  # relative deficit of vapour at which cloud evaporates at that full pace
BERGERON = 0.30  # share of liquid that a step turns to ice where ice grows fastest


def adjust(air: Air, p: np.ndarray, first_liquid: int) -> Air:
    """Return the air after a step; p in Pa is (L, C).

    Layers before `first_liquid` end with exactly no liquid. Each change moves heat with it, so that
    cp T + Lv q - Lf ice of the layer stays.
    """
    return _exchange_phase(_exchange_vapour(air, p, first_liquid), first_liquid)


def cloud_in_balance(total: np.ndarray, qsat: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return condensate in kg/kg if water is spread evenly over total +- spread in the layer.

    0 below qsat - spread, (total - qsat + spread)^2 / (4 spread) within, total - qsat above.
    """
    excess = total - qsat
    partly = np.maximum(excess + spread, 0.0) ** 2 / (4.0 * spread)
    condensate: np.ndarray = np.where(excess > spread, excess, partly)
    return condensate


def _exchange_vapour(air: Air, p: np.ndarray, first_liquid: int) -> Air:
    """Move cloud towards its balance with the vapour; supersaturation condenses at once."""
    t, vapour, liquid, ice = air.t, air.vapour, air.liquid, air.ice
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
    return replace(
        air,
        t=t,
        vapour=vapour,
        liquid=liquid + made * (1.0 - frozen) - from_liquid,
        ice=ice + made * frozen - from_ice,
    )


def _exchange_phase(air: Air, first_liquid: int) -> Air:
    """Melt cloud ice above freezing, freeze cold liquid, and freeze slowly between (Bergeron)."""
    t, liquid, ice = air.t, air.liquid, air.ice
    melted = np.minimum(ice, np.maximum(t - FREEZING, 0.0) * CP_DRY / LATENT_ICE)
    melted[:first_liquid] = 0.0
    mixed = np.clip((FREEZING - t) / 15.0, 0.0, 1.0) * BERGERON * np.clip(ice / 1.0e-5, 0.0, 1.0)
    share = np.where(t < ICE_ONLY, 1.0, mixed)
    share[:first_liquid] = 1.0
    froze = liquid * share
    left = liquid - froze  # exactly 0 where share is 1
    return replace(
        air,
        t=t + LATENT_ICE / CP_DRY * (froze - melted),
        liquid=left + melted,
        ice=ice - melted + froze,
    )
