"""The air that the moist processes change, and the layers and surface fluxes that they read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Air:
    """State of L layers, each (L, C): t in K; vapour, liquid, ice in kg/kg; u, v in m/s."""

    t: np.ndarray
    vapour: np.ndarray
    liquid: np.ndarray
    ice: np.ndarray
    u: np.ndarray
    v: np.ndarray


@dataclass(frozen=True)
class Layers:
    """Geometry of L layers, each (L, C): p in Pa, height z and thickness in m, mass in kg/m2."""

    p: np.ndarray
    z: np.ndarray
    thickness: np.ndarray
    mass: np.ndarray


@dataclass(frozen=True)
class SurfaceFluxes:
    """Each (C,): latent and sensible heat upward in W/m2, stress on the air in N/m2."""

    latent: np.ndarray
    sensible: np.ndarray
    stress_x: np.ndarray
    stress_y: np.ndarray
