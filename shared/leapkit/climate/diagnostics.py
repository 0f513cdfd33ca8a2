"""What the 368 targets of a column add up to: its water, its energy, and what they do not close.

Derived from the tendencies and fluxes of the truth and of a prediction alike. A residual that the
truth has too is no fault of the prediction; the difference of the two is.
"""

from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

from leapkit.climate.constants import (
    CP_DRY,
    DAY,
    LATENT_ICE,
    LATENT_VAPOUR,
    MM_PER_DAY,
    WATER_DENSITY,
)
from leapkit.core.columns import INPUTS, LEVELS, TARGETS

DIAGNOSTICS: Tuple[Tuple[str, str], ...] = (
    ("precipitation", "mm/day"),
    ("column_water", "mm/day"),
    ("water_residual", "mm/day"),
    ("water_residual_with_evaporation", "mm/day"),
    ("column_energy", "W/m2"),
    ("energy_residual", "W/m2"),
    ("energy_residual_with_turbulence", "W/m2"),
)
NEEDED_INPUTS = (
    "state_ps",
    "pbuf_SOLIN",
    "pbuf_LHFLX",
    "pbuf_SHFLX",
    "cam_in_LWUP",
    "cam_in_ICEFRAC",
    "cam_in_LANDFRAC",
    "cam_in_OCNFRAC",
)
_INPUT_POSITIONS = [INPUTS.index(name) for name in NEEDED_INPUTS]
_TARGET = {name: position for position, name in enumerate(TARGETS)}


def needed_inputs(inputs: np.ndarray) -> Dict[str, np.ndarray]:
    """Return the inputs (n, 556) in Kaggle order that the room uses, by name, (n,) float64."""
    values = inputs[:, _INPUT_POSITIONS].astype(np.float64)
    return {name: values[:, position] for position, name in enumerate(NEEDED_INPUTS)}


def diagnose(inputs: Dict[str, np.ndarray], targets: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return the DIAGNOSTICS (n, 7) float64 of targets (n, 368) in raw units, Kaggle order.

    mass  dp/g of the layers in kg/m2, (n, 60)

    Water (kg/m2/s, given in mm/day): W = sum (dqv/dt + dql/dt + dqi/dt) dp/g. PRECC is all
    precipitation and PRECSC the snow in it. Real steps conserve W + rho PRECC = 0 of the globe.
    `..._with_evaporation` subtracts E = LHFLX/Lv, for steps that hold it, as the sample world's.

    Energy (W/m2): H = sum (cp dT/dt + (Lv + Lf) dqv/dt + Lf dql/dt) dp/g, relative to ice. Rain
    takes Lf rho (PRECC - PRECSC) out, the surface NETSW + FLWDS - LWUP, and the sun gives SOLIN.
    The residual is H + Lf rho (PRECC - PRECSC) + NETSW + FLWDS - LWUP - SOLIN: minus what leaves at
    the top, which no variable holds, so that of the truth is some -330 W/m2. `..._with_turbulence`
    subtracts SHFLX + (Lv + Lf)/Lv LHFLX, for steps that hold them.

    Source: docs/reference/evaluation.md, "Water" and "Energy".
    """
    profiles = targets[:, : 4 * LEVELS].reshape(len(targets), 4, LEVELS)  # t, vapour, liquid, ice
    heat, vapour, liquid, ice = np.einsum("nvl,nl->vn", profiles, mass, optimize=True)
    water = vapour + liquid + ice
    precipitation = _flux(targets, "cam_out_PRECC")
    residual = water + WATER_DENSITY * precipitation
    energy = CP_DRY * heat + (LATENT_VAPOUR + LATENT_ICE) * vapour + LATENT_ICE * liquid
    rain = WATER_DENSITY * (precipitation - _flux(targets, "cam_out_PRECSC"))
    surface = _flux(targets, "cam_out_NETSW") + _flux(targets, "cam_out_FLWDS")
    unclosed = energy + LATENT_ICE * rain + surface - inputs["cam_in_LWUP"] - inputs["pbuf_SOLIN"]
    evaporation = inputs["pbuf_LHFLX"] / LATENT_VAPOUR
    turbulence = inputs["pbuf_SHFLX"] + (LATENT_VAPOUR + LATENT_ICE) * evaporation
    return np.stack(
        [
            precipitation * MM_PER_DAY,
            water * DAY,
            residual * DAY,
            (residual - evaporation) * DAY,
            energy,
            unclosed,
            unclosed - turbulence,
        ],
        axis=1,
    )


def _flux(targets: np.ndarray, name: str) -> np.ndarray:
    flux: np.ndarray = targets[:, _TARGET[name]]
    return flux
