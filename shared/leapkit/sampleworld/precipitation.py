"""Rain and snow: autoconversion, falling ice, melting, freezing and evaporation on the way down."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from leapkit.sampleworld.air import Air, Layers
from leapkit.sampleworld.constants import (
    CP_DRY,
    FREEZING,
    LATENT_ICE,
    LATENT_VAPOUR,
    TIME_STEP,
)
from leapkit.sampleworld.thermo import saturation

LIQUID_TIME, ICE_TIME = 1500.0, 3000.0  # s, of autoconversion in thick cloud
LIQUID_THICK, ICE_THICK = 7.0e-5, 3.0e-5  # kg/kg
FALL_SPEED = 0.35  # m/s of ice at ICE_THICK
RAIN_EVAPORATES = 22.0  # (kg/m2/s)^-1/2 per layer step
SNOW_SUBLIMATES = 8.0  # the same for snow
PHASE_SHARE = 0.5  # of the heat towards 273.15 K that melting or freezing may use in a layer


@dataclass(frozen=True)
class Fallen:
    """The air after precipitation; rain and snow at the ground in kg/m2/s, (C,)."""

    air: Air
    rain: np.ndarray
    snow: np.ndarray


def autoconvert(content: np.ndarray, thick: float, time: float) -> np.ndarray:
    """Return the share of cloud (1) that becomes precipitation in a step, after Sundqvist."""
    rate = TIME_STEP / time * -np.expm1(-((content / thick) ** 2))
    return rate / (1.0 + rate)


def _phase(
    t: np.ndarray, rain: np.ndarray, snow: np.ndarray, mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return melting minus freezing in kg/m2/s, and its warming in K, (C,)."""
    able = PHASE_SHARE * (t - FREEZING) * CP_DRY * mass / (LATENT_ICE * TIME_STEP)
    melted = np.clip(able, -rain, snow)
    return melted, -melted * LATENT_ICE * TIME_STEP / (CP_DRY * mass)


def precipitate(air: Air, layers: Layers, convective: np.ndarray) -> Fallen:
    """Let rain and snow form and fall for one step.

    convective  rain that convection formed in each layer, (L, C) in kg/m2/s
    """
    t, vapour, liquid, ice = air.t, air.vapour, air.liquid, air.ice
    thickness, mass = layers.thickness, layers.mass
    to_rain = liquid * autoconvert(liquid, LIQUID_THICK, LIQUID_TIME)
    to_snow = ice * autoconvert(ice, ICE_THICK, ICE_TIME)
    liquid = liquid - to_rain
    ice = ice - to_snow
    speed = FALL_SPEED * np.cbrt(ice / ICE_THICK)
    leaving = speed * TIME_STEP / thickness
    leaving = leaving / (1.0 + leaving)  # implicit: never more than the layer holds
    per_step = mass / TIME_STEP  # kg/m2/s
    rain = snow = drift = np.zeros_like(t[0])  # fluxes into the layer
    levels = []
    for k in range(t.shape[0]):
        arrived = ice[k] + drift / per_step[k]
        drift = per_step[k] * arrived * leaving[k]
        ice_k = arrived * (1.0 - leaving[k])
        rain = rain + to_rain[k] * per_step[k] + convective[k]
        snow = snow + to_snow[k] * per_step[k]
        melted, warming = _phase(t[k], rain, snow, mass[k])
        rain = rain + melted
        snow = snow - melted
        t_k = t[k] + warming
        qsat, slope = saturation(t_k, layers.p[k])
        room = np.maximum(qsat - vapour[k], 0.0) / (
            1.0 + (LATENT_VAPOUR + LATENT_ICE) / CP_DRY * slope
        )
        room = 0.5 * room * per_step[k]  # two takers share it
        dried = np.minimum(rain, -np.expm1(-RAIN_EVAPORATES * np.sqrt(rain)) * room)
        sublimed = np.minimum(snow, -np.expm1(-SNOW_SUBLIMATES * np.sqrt(snow)) * room)
        rain = np.maximum(rain - dried, 0.0)
        snow = np.maximum(snow - sublimed, 0.0)
        cooling = (LATENT_VAPOUR * (dried + sublimed) + LATENT_ICE * sublimed) / (
            CP_DRY * per_step[k]
        )
        levels.append((t_k - cooling, vapour[k] + (dried + sublimed) / per_step[k], ice_k))
    t, vapour, ice = (np.stack(profile) for profile in zip(*levels))
    fallen = replace(air, t=t, vapour=vapour, liquid=liquid, ice=ice)
    return Fallen(air=fallen, rain=rain, snow=snow + drift)
