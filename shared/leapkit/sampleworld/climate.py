"""The mean climate by latitude and season: temperature, wind, humidity, gases.

All profiles are (60, C). lat is in degrees, tilt is the sun's declination in rad, p in Pa.
"""

from __future__ import annotations

import numpy as np

from leapkit.sampleworld.constants import OBLIQUITY_DEG


def season(lat: np.ndarray, tilt: float) -> np.ndarray:
    """Return +1 at the pole of full summer, -1 at that of full winter, 0 at the equator, (C,)."""
    summer: np.ndarray = np.sin(np.radians(lat)) * tilt / np.radians(OBLIQUITY_DEG)
    return summer


def surface_climate(lat: np.ndarray, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean temperature in K of open sea and of land, each (C,)."""
    latitude = np.radians(lat)
    sea = 301.5 - 36.0 * np.sin(latitude - 0.25 * tilt) ** 2 + 2.0 * season(lat, tilt)
    land = 302.0 - 46.0 * np.sin(latitude - 0.45 * tilt) ** 2 + 14.0 * season(lat, tilt)
    return sea, land


def temperature(
    air: np.ndarray, lat: np.ndarray, tilt: float, p: np.ndarray, ps: np.ndarray
) -> np.ndarray:
    """Return mean temperature in K: a troposphere over air of `air` K, below a stratosphere."""
    moist = np.cos(np.radians(lat)) ** 2
    depth = -np.log(p / ps)
    lapse = 0.165 - 0.033 * moist
    bend = 0.019 + 0.010 * moist
    troposphere = air * np.exp(-lapse * depth - bend * depth**2)
    cold_point = 216.0 - 22.0 * moist + 6.0 * season(lat, tilt)
    stratopause = 263.0 + 14.0 * season(lat, tilt)
    weight = np.exp(-((np.log(p / 100.0) / 2.6) ** 2))
    stratosphere = cold_point + (stratopause - cold_point) * weight
    mean: np.ndarray = 4.0 * np.logaddexp(troposphere / 4.0, stratosphere / 4.0)
    return mean


def zonal_wind(lat: np.ndarray, tilt: float, p: np.ndarray) -> np.ndarray:
    """Return mean eastward wind in m/s: jets, trades, polar night jet, summer easterlies aloft."""
    summer = season(lat, tilt)
    depth = np.log(p / 2.0e4)
    jet = np.exp(-(((np.abs(lat) - 35.0 + 6.0 * summer) / 16.0) ** 2)) * (30.0 - 10.0 * summer)
    trades = -6.0 * np.exp(-((lat / 20.0) ** 2))
    night = np.exp(-(((np.abs(lat) - 60.0) / 18.0) ** 2)) * -45.0 * summer
    high = 1.0 / (1.0 + (p / 2.0e3) ** 1.5)
    wind: np.ndarray = jet * np.exp(-((depth / 1.1) ** 2)) + trades * (1.0 - high) + night * high
    return wind


def relative_humidity(lat: np.ndarray, tilt: float, p: np.ndarray, ps: np.ndarray) -> np.ndarray:
    """Return mean relative humidity (1) of the troposphere: wet tropics, dry subtropics."""
    sigma = p / ps
    thermal_equator = 0.5 * np.degrees(tilt)
    belt = 0.22 * np.exp(-(((lat - thermal_equator) / 11.0) ** 2))
    dry = -0.16 * np.exp(-(((np.abs(lat - thermal_equator) - 25.0) / 9.0) ** 2))
    aloft = np.sin(np.pi * np.clip(sigma, 0.0, 1.0)) ** 0.5
    humidity: np.ndarray = 0.50 + 0.28 * sigma**3 + (belt + dry) * aloft
    return humidity


def tropospheric(p: np.ndarray, power: float) -> np.ndarray:
    """Return 1 in the troposphere, decreasing as (p / 120 hPa)^power above."""
    return 1.0 / (1.0 + (1.2e4 / p) ** power)


def trace_gases(
    lat: np.ndarray, tilt: float, p: np.ndarray, age: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ozone, CH4 and N2O in mol/mol; `age` (60, C) of order 1 varies stratospheric air."""
    poleward = np.sin(np.radians(lat)) ** 2
    summer = season(lat, tilt)
    peak = 950.0 + 500.0 * poleward
    top = np.log(p / peak) / np.where(p > peak, 0.80 + 0.18 * poleward, 1.6)
    layer = (
        1.15e-5
        * (1.0 - 0.22 * poleward)
        * np.exp(-0.5 * top**2)
        * (1.0 + 0.06 * age + 0.05 * summer)
    )
    # The overturning carries ozone down to the low stratosphere near the poles.
    low = 9.0e-7 * poleward * np.exp(-0.5 * (np.log(p / 1.1e4) / 0.7) ** 2) * (1.0 + 0.25 * age)
    ground = (
        4.5e-8 * (1.0 + 0.25 * summer + 0.1 * age) * (p / 1.0e5) ** -0.45 * tropospheric(p, 3.0)
    )
    ozone = layer + low + ground
    loss = np.maximum(0.0, np.log(1.6e4 / p) + 0.9 * poleward + 0.25 * age) ** 2
    loss = loss / (loss + 1.0)
    path = np.log1p(1.6e4 / p) * loss * (0.6 + 1.2 * poleward + 0.1 * age)
    return ozone, 1.0e-6 * np.exp(-0.30 * path), 4.9e-7 * np.exp(-0.50 * path)
