"""Longwave in two grey bands; absorber paths and heating, which the shortwave uses too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapkit.sampleworld.constants import (
    CP_DRY,
    MOL_CH4,
    MOL_N2O,
    MOL_OZONE,
    STEFAN_BOLTZMANN,
)
from leapkit.sampleworld.records import StepInput

DIFFUSIVITY = 1.66  # slant of diffuse light
WINDOW_SHARE = 0.30  # of the Planck flux lies in the atmospheric window
CO2_PATH = 1.5e-4  # m2/kg of air, closed band
VAPOUR_CLOSED = 0.16  # m2/kg
VAPOUR_WINDOW = 0.012  # m2/kg
VAPOUR_CONTINUUM = 1.6  # m2/kg per kg/kg of vapour
LIQUID_LONGWAVE, ICE_LONGWAVE = 90.0, 50.0  # m2/kg, both bands
OZONE_LONGWAVE, CH4_LONGWAVE, N2O_LONGWAVE = 8.0, 25.0, 30.0  # m2/kg, window


@dataclass(frozen=True)
class Paths:
    """Mass of each absorber per layer in kg/m2, (60, C)."""

    air: np.ndarray
    vapour: np.ndarray
    liquid: np.ndarray
    ice: np.ndarray
    ozone: np.ndarray
    ch4: np.ndarray
    n2o: np.ndarray


def absorber_paths(state: StepInput, mass: np.ndarray) -> Paths:
    """Return the paths of a state whose layers have `mass` kg/m2, (60, C)."""
    return Paths(
        air=mass,
        vapour=mass * state.q0001,
        liquid=mass * state.q0002,
        ice=mass * state.q0003,
        ozone=mass * state.ozone * MOL_OZONE,
        ch4=mass * state.ch4 * MOL_CH4,
        n2o=mass * state.n2o * MOL_N2O,
    )


def heating(net_down: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return warming in K/s, (60, C), of layers of `mass` kg/m2 by net downward fluxes, (61, C)."""
    warming: np.ndarray = (net_down[:-1] - net_down[1:]) / (CP_DRY * mass)
    return warming


def longwave(
    t: np.ndarray, paths: Paths, p: np.ndarray, lwup: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return net downward longwave flux (61, C) and downward flux at the ground (C,), in W/m2.

    t in K and p in Pa are (60, C), lwup in W/m2 is (C,).
    """
    broad = p / 1.0e5  # absorption lines widen with pressure
    cloud = LIQUID_LONGWAVE * paths.liquid + ICE_LONGWAVE * paths.ice
    humidity = paths.vapour / paths.air
    closed = (
        CO2_PATH * (1.0 + 2.0 * broad) * paths.air + VAPOUR_CLOSED * np.sqrt(broad) * paths.vapour
    )
    window = (
        (VAPOUR_WINDOW + VAPOUR_CONTINUUM * humidity) * broad * paths.vapour
        + OZONE_LONGWAVE * paths.ozone
        + CH4_LONGWAVE * paths.ch4
        + N2O_LONGWAVE * paths.n2o
    )
    share = np.array([1.0 - WINDOW_SHARE, WINDOW_SHARE])[:, None]
    depth = np.stack([closed + cloud, window + cloud])  # (2, 60, C)
    emissivity = -np.expm1(-DIFFUSIVITY * depth)
    planck = share[:, :, None] * (STEFAN_BOLTZMANN * t**4)  # (2, 60, C)
    glow = emissivity * planck
    through = 1.0 - emissivity
    layers = t.shape[0]
    down = np.zeros((layers + 1, 2, t.shape[1]))
    up = np.zeros((layers + 1, 2, t.shape[1]))
    for k in range(layers):
        down[k + 1] = down[k] * through[:, k] + glow[:, k]
    up[layers] = share * lwup
    for k in range(layers - 1, -1, -1):
        up[k] = up[k + 1] * through[:, k] + glow[:, k]
    return (down - up).sum(axis=1), down[layers].sum(axis=0)
