"""One step of 1200 s: the state before it to the state after it and what reaches the ground.

Every process sees only the mli variables of its column: the tendencies are functions of the network inputs.
"""

from __future__ import annotations

import numpy as np

from leapkit.sampleworld.condensation import adjust
from leapkit.sampleworld.constants import (
    GRAVITY,
    TIME_STEP,
    TOP_LIQUID_LEVEL,
    TOP_MOIST_LEVEL,
    WATER_DENSITY,
)
from leapkit.sampleworld.convection import convect
from leapkit.sampleworld.grid import (
    HybridLevels,
    interface_pressure,
    layer_mass,
    layer_pressure,
)
from leapkit.sampleworld.mixing import mix
from leapkit.sampleworld.precipitation import precipitate
from leapkit.sampleworld.radiation import absorber_paths, heating, longwave
from leapkit.sampleworld.records import StepInput, StepOutput
from leapkit.sampleworld.shortwave import shortwave
from leapkit.sampleworld.thermo import heights


def step(state: StepInput, levels: HybridLevels) -> StepOutput:
    """Radiation, then turbulence, convection, condensation, precipitation, each on what the last one left."""
    moist = slice(TOP_MOIST_LEVEL, None)
    first_liquid = TOP_LIQUID_LEVEL - TOP_MOIST_LEVEL
    p, mass = layer_pressure(levels, state.ps), layer_mass(levels, state.ps, GRAVITY)
    z, thickness = heights(state.t, state.q0001, interface_pressure(levels, state.ps))
    paths = absorber_paths(
        mass, state.q0001, state.q0002, state.q0003, state.ozone, state.ch4, state.n2o
    )
    sun_net, light = shortwave(state, paths)
    earth_net, flwds = longwave(state.t, paths, p, state.lwup)
    t = state.t + TIME_STEP * heating(sun_net + earth_net, mass)

    # From here on only levels 12..59, the L = 48 layers where water and wind change.
    p, z, mass, thickness = p[moist], z[moist], mass[moist], thickness[moist]
    t_low, vapour, u, v = mix(
        t[moist],
        state.q0001[moist],
        state.u[moist],
        state.v[moist],
        p,
        z,
        mass,
        state.lhflx,
        state.shflx,
        state.taux,
        state.tauy,
    )
    deep = convect(
        t_low, vapour, state.q0002[moist], state.q0003[moist], u, v, p, z, mass, first_liquid
    )
    t_low, vapour, liquid, ice = adjust(deep.t, deep.vapour, deep.liquid, deep.ice, p, first_liquid)
    fallen = precipitate(t_low, vapour, liquid, ice, p, thickness, mass, deep.rain)

    def joined(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        return np.concatenate([before[:TOP_MOIST_LEVEL], after])

    return StepOutput(
        flwds=flwds,
        netsw=sun_net[-1],
        precc=(fallen.rain + fallen.snow) / WATER_DENSITY,
        precsc=fallen.snow / WATER_DENSITY,
        soll=light.soll,
        solld=light.solld,
        sols=light.sols,
        solsd=light.solsd,
        q0001=joined(state.q0001, fallen.vapour),
        q0002=joined(state.q0002, fallen.liquid),
        q0003=joined(state.q0003, fallen.ice),
        t=joined(t, fallen.t),
        u=joined(state.u, deep.u),
        v=joined(state.v, deep.v),
    )
