"""One unit of energy for all targets, as ClimSim's own metrics have it.

Source: docs/reference/evaluation.md, "Energy unit". The weight of the area, which is the same for
all rows of a column, is in `scores.target_scores`.
"""

from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

from leapkit.climate.constants import CP_DRY, LATENT_VAPOUR, WATER_DENSITY
from leapkit.core.columns import LEVELS, OUTPUT_SCALARS, TARGETS, TENDENCY_PROFILES

# The latent heat of all water, liquid and ice too, is that of evaporation in ClimSim.
CONVERSION: Dict[str, float] = {
    "ptend_t": CP_DRY,
    "ptend_q0001": LATENT_VAPOUR,
    "ptend_q0002": LATENT_VAPOUR,
    "ptend_q0003": LATENT_VAPOUR,
    "ptend_u": 1.0,
    "ptend_v": 1.0,
    "cam_out_PRECSC": LATENT_VAPOUR * WATER_DENSITY,
    "cam_out_PRECC": LATENT_VAPOUR * WATER_DENSITY,
}
WINDS = ("ptend_u", "ptend_v")
_PROFILES = tuple(name for name, _ in TENDENCY_PROFILES)
_WIND = slice(LEVELS * _PROFILES.index("ptend_u"), LEVELS * (_PROFILES.index("ptend_v") + 1))


def _unit(variable: str) -> str:
    return "W/m2/s" if variable in WINDS else "W/m2"


VARIABLES: Tuple[str, ...] = _PROFILES + tuple(name for name, _ in OUTPUT_SCALARS)
VARIABLE_UNITS: Tuple[str, ...] = tuple(_unit(name) for name in VARIABLES)
VARIABLE_OF_TARGET: Tuple[int, ...] = tuple(
    VARIABLES.index(name if name in VARIABLES else name.rsplit("_", 1)[0]) for name in TARGETS
)
TARGET_UNITS: Tuple[str, ...] = tuple(VARIABLE_UNITS[index] for index in VARIABLE_OF_TARGET)
_FACTORS = np.array([CONVERSION.get(VARIABLES[index], 1.0) for index in VARIABLE_OF_TARGET])


def energy_fluxes(targets: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return targets (n, 368) of raw units as (n, 368) float64 in W/m2.

    targets  in Kaggle order: K/s, kg/kg/s, m/s2, W/m2, m/s
    mass     dp/g of the layers in kg/m2, (n, 60)

    Tendencies of temperature: cp dT/dt dp/g. Of vapour, liquid and ice: Lv dq/dt dp/g.
    Precipitation: Lv rho PREC. Radiative fluxes as they are. Of wind: du/dt |dV/dt| dp/g with
    |dV/dt| = sqrt((du/dt)^2 + (dv/dt)^2), each of truth and prediction by its own |dV/dt|; its
    unit is W/m2/s, which ClimSim does not say.
    """
    fluxes: np.ndarray = targets * _FACTORS
    winds = fluxes[:, _WIND].reshape(len(fluxes), len(WINDS), LEVELS)  # (n, 2, 60), a view
    winds *= np.sqrt(np.square(winds).sum(axis=1, keepdims=True))
    profiles = fluxes[:, : LEVELS * len(_PROFILES)].reshape(len(fluxes), len(_PROFILES), LEVELS)
    profiles *= mass[:, None, :]
    return fluxes
