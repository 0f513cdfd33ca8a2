"""Rain and snow: autoconversion, falling ice, melting, freezing and evaporation on the way down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """Layers (L, C) in K and kg/kg after precipitation; rain and snow at the ground in kg/m2/s, (C,)."""

    t: np.ndarray
    vapour: np.ndarray
    liquid: np.ndarray
    ice: np.ndarray
    rain: np.ndarray
    snow: np.ndarray


def autoconvert(content: np.ndarray, thick: float, time: float) -> np.ndarray:
    """Share of cloud (1) that becomes precipitation in a step, after Sundqvist."""
    rate = TIME_STEP / time * -np.expm1(-((content / thick) ** 2))
    return rate / (1.0 + rate)


def _phase(
    t: np.ndarray, rain: np.ndarray, snow: np.ndarray, mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Melting less freezing in kg/m2/s and the warming in K it costs or gives, (C,)."""
    able = PHASE_SHARE * (t - FREEZING) * CP_DRY * mass / (LATENT_ICE * TIME_STEP)
    melted = np.clip(able, -rain, snow)
    return melted, -melted * LATENT_ICE * TIME_STEP / (CP_DRY * mass)


def precipitate(
    t: np.ndarray,
    vapour: np.ndarray,
    liquid: np.ndarray,
    ice: np.ndarray,
    p: np.ndarray,
    thickness: np.ndarray,
    mass: np.ndarray,
    convective: np.ndarray,
) -> Fallen:
    """One step over L layers, (L, C); thickness in m, mass in kg/m2, convective rain formed in kg/m2/s."""
    to_rain = liquid * autoconvert(liquid, LIQUID_THICK, LIQUID_TIME)
    to_snow = ice * autoconvert(ice, ICE_THICK, ICE_TIME)
    liquid, ice = liquid - to_rain, ice - to_snow
    speed = FALL_SPEED * np.cbrt(ice / ICE_THICK)
    leaving = speed * TIME_STEP / thickness
    leaving = leaving / (1.0 + leaving)  # implicit: never more than there is
    per_step = mass / TIME_STEP  # kg/m2/s
    rain = snow = drift = np.zeros_like(t[0])  # fluxes into the layer
    rows = []
    for k in range(t.shape[0]):
        arrived = ice[k] + drift / per_step[k]
        drift = per_step[k] * arrived * leaving[k]
        ice_k = arrived * (1.0 - leaving[k])
        rain = rain + to_rain[k] * per_step[k] + convective[k]
        snow = snow + to_snow[k] * per_step[k]
        melted, warming = _phase(t[k], rain, snow, mass[k])
        rain, snow, t_k = rain + melted, snow - melted, t[k] + warming
        qsat, slope = saturation(t_k, p[k])
        room = np.maximum(qsat - vapour[k], 0.0) / (
            1.0 + (LATENT_VAPOUR + LATENT_ICE) / CP_DRY * slope
        )
        room = 0.5 * room * per_step[k]  # two takers share it
        dried = np.minimum(rain, -np.expm1(-RAIN_EVAPORATES * np.sqrt(rain)) * room)
        sublimed = np.minimum(snow, -np.expm1(-SNOW_SUBLIMATES * np.sqrt(snow)) * room)
        rain, snow = np.maximum(rain - dried, 0.0), np.maximum(snow - sublimed, 0.0)
        cooling = (LATENT_VAPOUR * (dried + sublimed) + LATENT_ICE * sublimed) / (
            CP_DRY * per_step[k]
        )
        rows.append((t_k - cooling, vapour[k] + (dried + sublimed) / per_step[k], ice_k))
    t, vapour, ice = (np.stack(column) for column in zip(*rows))
    return Fallen(t=t, vapour=vapour, liquid=liquid, ice=ice, rain=rain, snow=snow + drift)
