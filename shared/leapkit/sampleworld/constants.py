"""Constants that several processes share; each process has its own tuning at its top."""

from __future__ import annotations

LEVELS = 60
N_COLUMNS = 384
TIME_STEP = 1200.0  # s
DAY = 86400.0  # s
DAYS_PER_YEAR = 365  # NO_LEAP calendar

# Upper limits of the processes: the real model does not change these variables above.
TOP_MOIST_LEVEL = 12  # levels 0..11: tendencies of water and wind are exactly zero
TOP_LIQUID_LEVEL = 28  # levels 12..27: no cloud liquid survives the step

GRAVITY = 9.80616  # m/s2
GAS_DRY = 287.04  # J/kg/K
GAS_VAPOUR = 461.5  # J/kg/K
CP_DRY = 1004.64  # J/kg/K
LATENT_VAPOUR = 2.501e6  # J/kg, liquid to vapour
LATENT_ICE = 3.337e5  # J/kg, ice to liquid
EPSILON = GAS_DRY / GAS_VAPOUR  # 1
VIRTUAL = GAS_VAPOUR / GAS_DRY - 1.0  # 1
FREEZING = 273.15  # K
STEFAN_BOLTZMANN = 5.670374e-8  # W/m2/K4
SOLAR_CONSTANT = 1361.0  # W/m2
OBLIQUITY_DEG = 23.44  # degree
REFERENCE_PRESSURE = 1.0e5  # Pa
WATER_DENSITY = 1000.0  # kg/m3
KARMAN = 0.4  # 1
MISSING = 1.0e30  # what SNOWHICE holds where there is no sea ice

MOL_OZONE = 48.0 / 28.97  # kg/kg per mol/mol
MOL_CH4 = 16.04 / 28.97  # kg/kg per mol/mol
MOL_N2O = 44.01 / 28.97  # kg/kg per mol/mol

ICE_ONLY = 238.15  # K, below it all new condensate is ice
LIQUID_ONLY = 268.15  # K, above it all new condensate is liquid
