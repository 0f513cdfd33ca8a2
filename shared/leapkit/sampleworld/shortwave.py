"""Shortwave: direct and diffuse light in three bands through scattering and absorbing layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapkit.sampleworld.constants import GRAVITY, REFERENCE_PRESSURE
from leapkit.sampleworld.radiation import DIFFUSIVITY, Paths
from leapkit.sampleworld.records import StepInput

# Bands: ultraviolet that ozone stops, visible, near infrared that vapour and cloud absorb, its
# opaque part.
SHARE = (0.010, 0.470, 0.40, 0.12)  # of the sunlight
OZONE_DEPTH = (8000.0, 1.3, 0.0, 0.0)  # m2/kg
OXYGEN_DEPTH = (2.5e-3, 0.0, 0.0, 0.0)  # m2/kg of air
VAPOUR_DEPTH = (0.0, 0.0, 0.006, 0.25)  # m2/kg
LIQUID_ABSORBS = (0.0, 0.0, 1.5, 12.0)  # m2/kg
ICE_ABSORBS = (0.0, 0.0, 1.0, 8.0)  # m2/kg
RAYLEIGH_DEPTH = (0.6, 0.11, 0.012, 0.002)  # of the whole atmosphere, 1
# Delta-scaled (light scattered nearly straight ahead counts as direct), and less for the gaps in
# real cloud.
LIQUID_SCATTERS, ICE_SCATTERS = 15.0, 8.0  # m2/kg
ASYMMETRY_CLOUD = 0.46  # 1
VISIBLE_BANDS = 2  # the first two
LOWEST_SUN = 0.02  # cosine, keeps slant paths finite


@dataclass(frozen=True)
class SurfaceLight:
    """Downward light at the ground in W/m2, (C,): visible and infrared, direct and diffuse."""

    sols: np.ndarray
    soll: np.ndarray
    solsd: np.ndarray
    solld: np.ndarray


def _band(values: tuple[float, ...]) -> np.ndarray:
    return np.array(values)[:, None, None]  # (4, 1, 1)


def shortwave(state: StepInput, paths: Paths) -> tuple[np.ndarray, SurfaceLight]:
    """Return net downward shortwave flux at the interfaces in W/m2, (61, C), and ground light.

    Adding method: reflectances (to direct and to diffuse light) of all that is below are built from
    the ground up, then the fluxes follow from the top down.
    """
    slant = 1.0 / np.maximum(state.coszrs, LOWEST_SUN)
    absorbs = (
        _band(OZONE_DEPTH) * paths.ozone
        + _band(OXYGEN_DEPTH) * paths.air
        + _band(VAPOUR_DEPTH) * paths.vapour
        + _band(LIQUID_ABSORBS) * paths.liquid
        + _band(ICE_ABSORBS) * paths.ice
    )  # (4, 60, C)
    cloud = LIQUID_SCATTERS * paths.liquid + ICE_SCATTERS * paths.ice
    rayleigh = _band(RAYLEIGH_DEPTH) * (paths.air * GRAVITY / REFERENCE_PRESSURE)
    scatters = cloud + rayleigh
    backward = 0.5 * (1.0 - ASYMMETRY_CLOUD) * cloud + 0.5 * rayleigh
    direct = np.exp(-(absorbs + scatters) * slant)
    lost = (1.0 - direct) * scatters / (absorbs + scatters)
    back = (backward / scatters + backward) / (1.0 + backward)
    reflect_direct = lost * back
    forward = lost * (1.0 - back)
    clear = np.exp(-DIFFUSIVITY * absorbs)
    reflect = clear * backward / (1.0 + backward)
    through = clear - reflect
    # Bands become the second axis so that each level is one contiguous (4, C) block.
    direct, reflect_direct, forward, reflect, through = (
        np.ascontiguousarray(a.transpose(1, 0, 2))
        for a in (direct, reflect_direct, forward, reflect, through)
    )
    layers, bands, columns = direct.shape
    below_direct = np.empty((layers + 1, bands, columns))
    below = np.empty((layers + 1, bands, columns))
    below_direct[layers] = np.stack([state.asdir, state.asdir, state.aldir, state.aldir])
    below[layers] = np.stack([state.asdif, state.asdif, state.aldif, state.aldif])
    for k in range(layers - 1, -1, -1):
        bounce = through[k] / (1.0 - reflect[k] * below[k + 1])
        below_direct[k] = reflect_direct[k] + bounce * (
            direct[k] * below_direct[k + 1] + forward[k] * below[k + 1]
        )
        below[k] = reflect[k] + bounce * through[k] * below[k + 1]
    beam = np.zeros((layers + 1, bands, columns))
    diffuse = np.zeros((layers + 1, bands, columns))
    beam[0] = np.array(SHARE)[:, None] * state.solin
    for k in range(layers):
        beam[k + 1] = beam[k] * direct[k]
        diffuse[k + 1] = (
            diffuse[k] * through[k]
            + beam[k] * forward[k]
            + reflect[k] * below_direct[k + 1] * beam[k + 1]
        ) / (1.0 - reflect[k] * below[k + 1])
    net = beam * (1.0 - below_direct) + diffuse * (1.0 - below)
    ground = SurfaceLight(
        sols=beam[-1, :VISIBLE_BANDS].sum(axis=0),
        soll=beam[-1, VISIBLE_BANDS:].sum(axis=0),
        solsd=diffuse[-1, :VISIBLE_BANDS].sum(axis=0),
        solld=diffuse[-1, VISIBLE_BANDS:].sum(axis=0),
    )
    return net.sum(axis=1), ground
