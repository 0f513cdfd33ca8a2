"""The state before the step: climate, weather and a surface, from (seed, time) alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from leapkit.sampleworld import climate
from leapkit.sampleworld.air import Air, Layers, SurfaceFluxes
from leapkit.sampleworld.constants import (
    CP_DRY,
    FREEZING,
    GAS_DRY,
    GRAVITY,
    LATENT_VAPOUR,
    LEVELS,
    STEFAN_BOLTZMANN,
    TOP_LIQUID_LEVEL,
    TOP_MOIST_LEVEL,
)
from leapkit.sampleworld.grid import (
    Grid,
    HybridLevels,
    interface_pressure,
    layer_pressure,
)
from leapkit.sampleworld.mixing import mix
from leapkit.sampleworld.records import StepInput
from leapkit.sampleworld.steptime import StepTime
from leapkit.sampleworld.sun import declination, hour_angle, sunlight
from leapkit.sampleworld.surface import Surface, make_surface
from leapkit.sampleworld.thermo import heights, ice_fraction, saturation
from leapkit.sampleworld.weather import draw_waves, evaluate

HEIGHT = np.linspace(0.0, 1.0, LEVELS)  # height coordinate of the weather, 0 at the top
CLOUD_SCALE = 0.30  # standard deviations over which cloud grows from nothing
SETTLING_STEPS = 6  # of turbulence, until the profiles have no kinks left
MOST_HUMID = 1.005  # relative humidity that the weather never passes


def make_state(when: StepTime, grid: Grid, levels: HybridLevels, seed: int) -> StepInput:
    """Return everything that the mli file holds at this instant, (60, C) and (C,)."""

    def field(
        number: int, vertical: float = 0.0, wavenumber: float = 11.0, period: float = 60.0
    ) -> np.ndarray:
        """Return a weather field of unit variance: (60, C) if `vertical`, else (C,)."""
        waves = draw_waves(seed, number, 48, wavenumber, vertical, period)
        return evaluate(waves, grid.xyz, when.hours, HEIGHT if vertical else None)

    def terrain(number: int) -> np.ndarray:
        """Return a field that never changes, (C,)."""
        return evaluate(draw_waves(seed, number, 48, 6.0, 0.0, 1.0), grid.xyz, 0.0)

    tilt = declination(when)
    coszrs, solin = sunlight(when, grid.lat, grid.lon)
    ground = make_surface(
        grid.lat, tilt, hour_angle(when, grid.lon), coszrs, terrain(1), terrain(2), field(3)
    )
    ps = 1.008e5 - ground.elevation * 11.3 + 900.0 * np.abs(np.sin(np.radians(grid.lat))) * field(4)
    p = layer_pressure(levels, ps)
    t = _temperature(grid, tilt, ground, p, ps, field)
    u, v = _wind(grid, tilt, p, ps, field)
    vapour, liquid, ice = _water(grid, tilt, t, p, ps, field)
    ozone, ch4, n2o = climate.trace_gases(grid.lat, tilt, p, field(12, 9.0, 5.0, 200.0))
    soil = field(13)
    air = Air(t, vapour, liquid, ice, u, v)
    for _ in range(SETTLING_STEPS):
        fluxes = _surface_fluxes(ground, air, ps, soil)
        air = _settle(air, interface_pressure(levels, ps), p, fluxes)
    fluxes = _surface_fluxes(ground, air, ps, soil)
    return StepInput(
        aldif=ground.aldif,
        aldir=ground.aldir,
        asdif=ground.asdif,
        asdir=ground.asdir,
        icefrac=ground.icefrac,
        landfrac=ground.landfrac,
        ocnfrac=ground.ocnfrac,
        lwup=STEFAN_BOLTZMANN * ground.skin**4,
        snowhice=ground.snowhice,
        snowhland=ground.snowhland,
        coszrs=coszrs,
        solin=solin,
        lhflx=fluxes.latent,
        shflx=fluxes.sensible,
        taux=fluxes.stress_x,
        tauy=fluxes.stress_y,
        pmid=p,
        ps=ps,
        q0001=air.vapour,
        q0002=air.liquid,
        q0003=air.ice,
        t=air.t,
        u=air.u,
        v=air.v,
        ch4=ch4,
        n2o=n2o,
        ozone=ozone,
    )


def _temperature(
    grid: Grid,
    tilt: float,
    ground: Surface,
    p: np.ndarray,
    ps: np.ndarray,
    field: Callable[..., np.ndarray],
) -> np.ndarray:
    """Return temperature in K, (60, C)."""
    away = np.abs(np.sin(np.radians(grid.lat)))
    air = ground.mean_air + (0.8 + 2.5 * away) * field(5)
    mean = climate.temperature(air, grid.lat, tilt, p, ps)
    near_ground = np.exp(-((ps - p) / 5.0e3))
    aloft = (0.7 + 1.6 * away) * field(6, 16.0) + 2.5 * np.exp(-p / 1.0e3) * field(14, 16.0, 4.0)
    temperature: np.ndarray = mean + aloft + 0.5 * near_ground * (ground.skin - air)
    return temperature


def _settle(air: Air, pint: np.ndarray, p: np.ndarray, fluxes: SurfaceFluxes) -> Air:
    """Return the air after a step of turbulence, which mixes away the kinks of its profiles.

    pint and p in Pa are (61, C) and (60, C).
    """
    moist = slice(TOP_MOIST_LEVEL, None)
    z, thickness = heights(air.t, air.vapour, pint)
    mass = np.diff(pint, axis=0)[moist] / GRAVITY
    layers = Layers(p=p[moist], z=z[moist], thickness=thickness[moist], mass=mass)
    below = Air(*(getattr(air, field.name)[moist] for field in fields(air)))
    mixed = mix(below, layers, fluxes)
    t, vapour, u, v = (
        np.concatenate([getattr(air, name)[:TOP_MOIST_LEVEL], getattr(mixed, name)])
        for name in ("t", "vapour", "u", "v")
    )
    return replace(air, t=t, vapour=np.minimum(vapour, MOST_HUMID * saturation(t, p)[0]), u=u, v=v)


def _wind(
    grid: Grid, tilt: float, p: np.ndarray, ps: np.ndarray, field: Callable[..., np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return eastward and northward wind in m/s, (60, C)."""
    gust = 4.5 + 9.0 * np.exp(-((np.log(p / 2.0e4) / 1.4) ** 2)) + 14.0 * np.exp(-p / 400.0)
    friction = 1.0 - 0.45 * np.exp(-((ps - p) / 6.0e3))
    u = (climate.zonal_wind(grid.lat, tilt, p) + gust * field(7, 18.0)) * friction
    v = 0.8 * gust * field(8, 18.0) * friction
    return u, v


def _water(
    grid: Grid,
    tilt: float,
    t: np.ndarray,
    p: np.ndarray,
    ps: np.ndarray,
    field: Callable[..., np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vapour, cloud liquid and cloud ice in kg/kg, (60, C), each positive."""
    humid = field(9, 20.0)
    mean = np.clip(climate.relative_humidity(grid.lat, tilt, p, ps), 0.05, 0.97)
    rh = 0.03 + (MOST_HUMID - 0.03) / (1.0 + (1.0 - mean) / mean * np.exp(-1.5 * humid))
    qsat, _ = saturation(t, p)
    stratosphere = 2.1e-6 * (1.0 + 0.12 * np.sqrt(p / 6.0e3).clip(0.01, 1.0) * humid)
    vapour = np.minimum(stratosphere + rh * qsat * climate.tropospheric(p, 6.0), MOST_HUMID * qsat)
    lean = (field(10, 24.0) + 5.0 * (rh - 0.72) - 0.5) / CLOUD_SCALE
    cloud = CLOUD_SCALE * np.logaddexp(0.0, lean) * (4.0e-5 + 1.5e-5 * (p / 1.0e5))
    fog = 1.0 - 0.85 * np.exp(-((ps - p) / 4.0e3))  # is rare
    cloud = cloud * climate.tropospheric(p, 5.0) * fog
    share = ice_fraction(t)
    liquid = cloud * (1.0 - share)
    liquid[:TOP_LIQUID_LEVEL] = _liquid_traces(field(11, 14.0))
    fall = np.linspace(0.002, 0.05, LEVELS)[:, None]  # a little ice survives everywhere
    return vapour, liquid, cloud * (fall * 0.1 + (1.0 - fall) * share)


def _liquid_traces(noise: np.ndarray) -> np.ndarray:
    """Return cloud liquid in kg/kg of levels 0..27, (28, C): traces of 1e-12 to 1e-56."""
    level = np.arange(TOP_LIQUID_LEVEL)[:, None]
    reach = (TOP_LIQUID_LEVEL - 1 - level) / (TOP_LIQUID_LEVEL - 1 - TOP_MOIST_LEVEL)
    return 10.0 ** (-12.3 - 43.0 * np.minimum(reach, 1.0) + 0.35 * noise[:TOP_LIQUID_LEVEL])


def _surface_fluxes(ground: Surface, air: Air, ps: np.ndarray, soil: np.ndarray) -> SurfaceFluxes:
    """Return bulk fluxes between the ground and the lowest layer; soil is a weather field, (C,)."""
    t, q, u, v = air.t[-1], air.vapour[-1], air.u[-1], air.v[-1]
    density = ps / (GAS_DRY * t)
    speed = np.sqrt(u * u + v * v + 1.0)
    warm = ground.skin > t
    exchange = (1.2e-3 + 1.6e-3 * ground.landfrac) * np.where(warm, 1.0, 0.35)
    wet = ground.ocnfrac + ground.icefrac + ground.landfrac * np.clip(0.35 + 0.2 * soil, 0.05, 0.8)
    qskin, _ = saturation(ground.skin, ps)
    lhflx = LATENT_VAPOUR * density * exchange * speed * wet * (0.98 * qskin - q)
    shflx = CP_DRY * density * exchange * speed * (ground.skin - t)
    drag = density * (1.1e-3 + 2.2e-3 * ground.landfrac) * speed
    cold = np.where(ground.skin < FREEZING, 0.5, 1.0)
    return SurfaceFluxes(lhflx * cold, shflx, -drag * u, -drag * v)
