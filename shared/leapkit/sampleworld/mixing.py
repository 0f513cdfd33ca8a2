"""Turbulence: surface fluxes and stress enter the lowest layer, mixing carries them up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from leapkit.sampleworld.air import Air, Layers, SurfaceFluxes
from leapkit.sampleworld.constants import (
    CP_DRY,
    GAS_DRY,
    GRAVITY,
    KARMAN,
    LATENT_VAPOUR,
    TIME_STEP,
    VIRTUAL,
)

LONGEST_EDDY = 50.0  # m
WAVES = 3.0  # m2/s, what breaking gravity waves mix where the shear is strong
WAVE_RI = 4.0  # Richardson number at which that has halved
BOUNDARY_LAYER = 900.0  # m, depth over which buoyant surface fluxes stir
MOST_DRAG = 0.25  # share of the wind of the lowest layer that the stress may stop in a step
MOST_DEW = 0.25  # share of the vapour of the lowest layer that dew may take in a step


def eddy_diffusivity(air: Air, z: np.ndarray, stir: np.ndarray) -> np.ndarray:
    """Return diffusivity in m2/s at the interfaces between L layers, (L-1, C); stir in m/s is (C,).

    Mixing length of Blackadar, shear, and a function of the gradient Richardson number Ri:
    sqrt(1 - 16 Ri) if unstable, 1/(1 + 5 Ri)^2 if stable; plus k w* z exp(-(z/h)^2) for buoyant
    plumes and Kw/(1 + (Ri/4)^2) for waves.
    """
    t, q, u, v = air.t, air.vapour, air.u, air.v
    dz = z[:-1] - z[1:]
    between = 0.5 * (z[:-1] + z[1:])
    energy = t * (1.0 + VIRTUAL * q) + GRAVITY / CP_DRY * z
    shear2 = ((u[:-1] - u[1:]) ** 2 + (v[:-1] - v[1:]) ** 2) / dz**2 + 1.0e-7
    buoyancy = GRAVITY * (energy[:-1] - energy[1:]) / (0.5 * (t[:-1] + t[1:]) * dz)
    ri = np.clip(buoyancy / shear2, -20.0, 1.0e4)
    unstable = np.sqrt(1.0 + 16.0 * np.maximum(-ri, 0.0))
    stable = 1.0 / (1.0 + 5.0 * np.maximum(ri, 0.0)) ** 2
    length = KARMAN * between / (1.0 + KARMAN * between / LONGEST_EDDY)
    local = length**2 * np.sqrt(shear2) * np.where(ri < 0.0, unstable, stable)
    plume = KARMAN * stir * between * np.exp(-((between / BOUNDARY_LAYER) ** 2))
    diffusivity: np.ndarray = WAVES / (1.0 + (np.maximum(ri, 0.0) / WAVE_RI) ** 2) + local + plume
    return diffusivity


def diffuse(fields: np.ndarray, rate: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Diffuse fields (N, L, C) implicitly (Thomas algorithm); sums of mass * field are kept.

    rate in kg/m2 per step is (L-1, C), mass in kg/m2 is (L, C).
    """
    layers = mass.shape[0]
    wall = np.zeros((1, mass.shape[1]))
    above = np.concatenate([wall, rate]) / mass
    below = np.concatenate([rate, wall]) / mass
    centre = 1.0 + above + below
    ratio = np.empty_like(mass)
    value = np.empty_like(fields)
    ratio[0] = below[0] / centre[0]
    value[:, 0] = fields[:, 0] / centre[0]
    for k in range(1, layers):
        scale = 1.0 / (centre[k] - above[k] * ratio[k - 1])
        ratio[k] = below[k] * scale
        value[:, k] = (fields[:, k] + above[k] * value[:, k - 1]) * scale
    for k in range(layers - 2, -1, -1):
        value[:, k] += ratio[k] * value[:, k + 1]
    return value


def mix(air: Air, layers: Layers, fluxes: SurfaceFluxes) -> Air:
    """Return the air after a step of surface exchange and mixing; its cloud stays."""
    t, q, u, v = air.t, air.vapour, air.u, air.v
    p, z, mass = layers.p, layers.z, layers.mass
    lhflx, shflx = fluxes.latent, fluxes.sensible
    taux, tauy = fluxes.stress_x, fluxes.stress_y
    density = p[-1] / (GAS_DRY * t[-1])
    lift = GRAVITY / t[-1] * (shflx / CP_DRY + VIRTUAL * t[-1] * lhflx / LATENT_VAPOUR) / density
    stir = np.cbrt(np.maximum(lift, 0.0) * BOUNDARY_LAYER)  # w*, m/s
    density_between = (p[:-1] + p[1:]) / (GAS_DRY * (t[:-1] + t[1:]))
    rate = eddy_diffusivity(air, z, stir) * density_between * TIME_STEP / (z[:-1] - z[1:])
    fields = np.stack([CP_DRY * t + GRAVITY * z, q, u, v])  # (4, L, C)
    weight = TIME_STEP / mass[-1]
    speed = np.sqrt(u[-1] ** 2 + v[-1] ** 2 + 1.0)
    limit = np.minimum(1.0, MOST_DRAG * speed / (weight * np.sqrt(taux**2 + tauy**2) + 1.0e-12))
    fields[0, -1] += weight * shflx
    fields[1, -1] += np.maximum(weight * lhflx / LATENT_VAPOUR, -MOST_DEW * q[-1])
    fields[2, -1] += weight * limit * taux
    fields[3, -1] += weight * limit * tauy
    mixed = diffuse(fields, rate, mass)
    return replace(
        air,
        t=t + (mixed[0] - CP_DRY * t - GRAVITY * z) / CP_DRY,
        vapour=mixed[1],
        u=mixed[2],
        v=mixed[3],
    )
