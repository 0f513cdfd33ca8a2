"""Constants of E3SM, which ClimSim's metrics use too.

Source: docs/reference/evaluation.md, "Energy unit".
"""

from __future__ import annotations

GRAVITY = 9.80616  # m/s2
CP_DRY = 1004.64  # J/kg/K, of dry air at constant pressure
LATENT_VAPOUR = 2.501e6  # J/kg, liquid to vapour
LATENT_ICE = 3.337e5  # J/kg, ice to liquid
WATER_DENSITY = 1000.0  # kg/m3, of fresh water
DAY = 86400.0  # s
MM_PER_DAY = 1000.0 * DAY  # mm/day in 1 m/s of precipitation
