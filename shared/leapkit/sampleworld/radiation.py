"""Longwave: two grey bands; what the shortwave shares with it: paths of the absorbers and flux divergence."""

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


def absorber_paths(
    mass: np.ndarray,
    vapour: np.ndarray,
    liquid: np.ndarray,
    ice: np.ndarray,
    ozone: np.ndarray,
    ch4: np.ndarray,
    n2o: np.ndarray,
) -> Paths:
    """Paths from layer masses in kg/m2, water in kg/kg and trace gases in mol/mol."""
    return Paths(
        air=mass,
        vapour=mass * vapour,
        liquid=mass * liquid,
        ice=mass * ice,
        ozone=mass * ozone * MOL_OZONE,
        ch4=mass * ch4 * MOL_CH4,
        n2o=mass * n2o * MOL_N2O,
    )


def heating(net_down: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Warming in K/s, (60, C), of layers of `mass` kg/m2 between net downward fluxes in W/m2, (61, C)."""
    return (net_down[:-1] - net_down[1:]) / (CP_DRY * mass)


def longwave(
    t: np.ndarray, paths: Paths, p: np.ndarray, lwup: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Net downward longwave flux at the interfaces, (61, C), and the downward one at the ground, (C,), W/m2.

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
    glow, through = emissivity * planck, 1.0 - emissivity
    layers = t.shape[0]
    down, up = np.zeros((layers + 1, 2, t.shape[1])), np.zeros((layers + 1, 2, t.shape[1]))
    for k in range(layers):
        down[k + 1] = down[k] * through[:, k] + glow[:, k]
    up[layers] = share * lwup
    for k in range(layers - 1, -1, -1):
        up[k] = up[k + 1] * through[:, k] + glow[:, k]
    return (down - up).sum(axis=1), down[layers].sum(axis=0)
