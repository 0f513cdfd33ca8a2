"""Deep and shallow convection: a smoothed Betts-Miller adjustment that keeps moist enthalpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapkit.sampleworld.air import Air, Layers
from leapkit.sampleworld.constants import (
    CP_DRY,
    GAS_DRY,
    GRAVITY,
    LATENT_ICE,
    LATENT_VAPOUR,
    TIME_STEP,
    VIRTUAL,
)
from leapkit.sampleworld.thermo import ice_fraction, saturation

RELAX = 14400.0  # s
MOMENTUM_RELAX = 2.0e5  # s
REFERENCE_HUMIDITY = 0.58  # 1, of air in balance with convection
TRIGGER = 60.0  # J/kg of CAPE
FULL = 600.0  # J/kg of CAPE at which adjustment is at full pace
INHIBITION = 25.0  # J/kg a parcel may climb
DETRAIN = 0.20  # share of the rain that stays as cloud near the top
CLOUD_LIMIT = 0.08  # most cloud that a step leaves in a layer, relative to saturation
LID = 1.0e4  # Pa, no plume passes it
LID_DEPTH = 6.0e3  # Pa below the lid over which the plume weakens
PARCEL_LAYERS = 4  # lowest layers that feed the parcel


@dataclass(frozen=True)
class Convected:
    """The air after convection, and the rain that formed in each layer, (L, C) in kg/m2/s."""

    air: Air
    rain: np.ndarray


def parcel_temperature(air: Air, layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """Return temperature in K and vapour in kg/kg, (L, C), of a parcel lifted from below.

    It keeps cp T + g z + Lv q. Newton steps find T where it is saturated. The function is convex in
    T, so they converge from any start.
    """
    t, q, p, z, mass = air.t, air.vapour, layers.p, layers.z, layers.mass
    weight = mass[-PARCEL_LAYERS:] / mass[-PARCEL_LAYERS:].sum(axis=0)
    humid = (weight * q[-PARCEL_LAYERS:]).sum(axis=0)
    energy = (weight * (CP_DRY * t + GRAVITY * z + LATENT_VAPOUR * q)[-PARCEL_LAYERS:]).sum(axis=0)
    budget = energy - GRAVITY * z  # (L, C)
    dry = (budget - LATENT_VAPOUR * humid) / CP_DRY
    wet = t
    for _ in range(4):
        qsat, slope = saturation(wet, p)
        wet = wet - (CP_DRY * wet + LATENT_VAPOUR * qsat - budget) / (
            CP_DRY + LATENT_VAPOUR * slope
        )
        wet = np.maximum(wet, 120.0)
    lifted = np.maximum(wet, dry)  # dry is the warmer one below the condensation level only
    return np.where(wet > dry, wet, dry), np.where(wet > dry, saturation(lifted, p)[0], humid)


def _reach(buoyant: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the layers below neutral buoyancy (L, C), CAPE in J/kg (C,), work so far (L, C).

    buoyant  work in J/kg per layer, level 0 at the top
    """
    work = np.cumsum(buoyant[::-1], axis=0)
    # Work lost since the best level so far.
    lost = np.maximum.accumulate(np.maximum(work, 0.0), axis=0) - work
    alive = np.maximum.accumulate(lost, axis=0) < INHIBITION
    gained = np.where(alive, work, 0.0)
    top = gained.argmax(axis=0)
    cape = gained.max(axis=0)
    inside = np.arange(work.shape[0])[:, None] <= top
    return (inside & (cape > TRIGGER))[::-1], cape, gained[::-1]


def convect(air: Air, layers: Layers, first_liquid: int) -> Convected:
    """Adjust L layers for one step; those before `first_liquid` hold no liquid."""
    t, vapour, u, v = air.t, air.vapour, air.u, air.v
    p, mass = layers.p, layers.mass
    parcel, moist = parcel_temperature(air, layers)
    lnp = np.log(p)
    spacing = np.gradient(lnp, axis=0)
    virtual_gap = parcel * (1.0 + VIRTUAL * moist) - t * (1.0 + VIRTUAL * vapour)
    inside, cape, work = _reach(GAS_DRY * virtual_gap * spacing)
    pace = np.clip((cape - TRIGGER) / (FULL - TRIGGER), 0.0, 1.0)
    # The plume thins out over the last half of its CAPE: most of the work is done below.
    plume = inside * np.clip(2.0 - 2.0 * work / np.maximum(cape, TRIGGER), 0.0, 1.0)  # (L, C)
    plume = plume * np.clip((p - LID) / LID_DEPTH, 0.0, 1.0)
    share = TIME_STEP / RELAX * pace * plume
    reference = np.minimum(REFERENCE_HUMIDITY * saturation(parcel, p)[0], 2.0 * vapour)
    dq = share * (reference - vapour)
    dt = share * (parcel - t)
    drying = -(mass * np.minimum(dq, 0.0)).sum(axis=0)
    wetting = (mass * np.maximum(dq, 0.0)).sum(axis=0)
    # If the reference would add water, shallow convection only moves it: drying pays for wetting.
    rained = np.maximum(drying - wetting, 0.0)  # kg/m2
    keep = np.minimum(1.0, drying / np.maximum(wetting, 1.0e-30))
    dq = np.where(dq > 0.0, dq * keep, dq)
    shape = mass * plume / np.maximum((mass * plume).sum(axis=0), 1.0)
    gap = LATENT_VAPOUR / CP_DRY * rained - (mass * dt).sum(axis=0)  # K kg/m2
    dt = dt + shape / mass * gap
    near_top = inside * np.maximum(0.0, work - 0.6 * cape)
    total = (mass * near_top).sum(axis=0)
    spread = near_top / np.where(total > 0.0, total, 1.0)  # per kg/m2
    cloud = np.minimum(DETRAIN * rained * spread, CLOUD_LIMIT * saturation(t, p)[0])
    detrained = (mass * cloud).sum(axis=0)  # kg/m2
    frozen = ice_fraction(t)
    frozen[:first_liquid] = 1.0
    new_ice = cloud * frozen
    new_liquid = cloud * (1.0 - frozen)
    dt = dt + LATENT_ICE / CP_DRY * new_ice
    blend = TIME_STEP / MOMENTUM_RELAX * pace * plume
    mean_u, mean_v = ((shape * wind).sum(axis=0) for wind in (u, v))
    return Convected(
        air=Air(
            t=t + dt,
            vapour=vapour + dq,
            liquid=air.liquid + new_liquid,
            ice=air.ice + new_ice,
            u=u + blend * (mean_u - u),
            v=v + blend * (mean_v - v),
        ),
        rain=shape * (rained - detrained) / TIME_STEP,
    )
