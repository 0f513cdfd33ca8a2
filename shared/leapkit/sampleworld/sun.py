"""The sun: declination, cosine of the zenith angle, sunlight at the top."""

from __future__ import annotations

import numpy as np

from leapkit.sampleworld.constants import DAYS_PER_YEAR, OBLIQUITY_DEG, SOLAR_CONSTANT
from leapkit.sampleworld.steptime import StepTime

EQUINOX = 79.0  # day of year of the March equinox
PERIHELION = 3.0  # day of year
ECCENTRICITY = 0.0167


def declination(when: StepTime) -> float:
    """Return the declination of the sun in rad."""
    turn = 2.0 * np.pi * (when.day_of_year - EQUINOX) / DAYS_PER_YEAR
    return float(np.arcsin(np.sin(np.radians(OBLIQUITY_DEG)) * np.sin(turn)))


def hour_angle(when: StepTime, lon: np.ndarray) -> np.ndarray:
    """Return the local hour angle in rad, 0 at local noon, for lon in degrees, (C,)."""
    angle: np.ndarray = 2.0 * np.pi * (when.seconds / 86400.0 - 0.5) + np.radians(lon)
    return angle


def sunlight(when: StepTime, lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return COSZRS (1, zero at night) and SOLIN in W/m2 on a horizontal plane, each (C,)."""
    tilt = declination(when)
    turn = hour_angle(when, lon)
    latitude = np.radians(lat)
    cosine = np.sin(latitude) * np.sin(tilt) + np.cos(latitude) * np.cos(tilt) * np.cos(turn)
    coszrs = np.maximum(cosine, 0.0)
    orbit = 2.0 * np.pi * (when.day_of_year - PERIHELION) / DAYS_PER_YEAR
    closeness = 1.0 + 2.0 * ECCENTRICITY * np.cos(orbit)
    return coszrs, SOLAR_CONSTANT * closeness * coszrs
