"""One step of 1200 s: from the state before it to the state after it and what reaches the ground.

Each process sees only the mli variables of its column, so the tendencies are functions of the
network inputs.
"""

from __future__ import annotations

import numpy as np

from leapkit.sampleworld.air import Air, Layers, SurfaceFluxes
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
    """Return the state after a step.

    Radiation, turbulence, convection, condensation and precipitation follow each other; each starts
    from the result of the last one.
    """
    p = layer_pressure(levels, state.ps)
    mass = layer_mass(levels, state.ps, GRAVITY)
    z, thickness = heights(state.t, state.q0001, interface_pressure(levels, state.ps))
    paths = absorber_paths(state, mass)
    sun_net, light = shortwave(state, paths)
    earth_net, flwds = longwave(state.t, paths, p, state.lwup)
    t = state.t + TIME_STEP * heating(sun_net + earth_net, mass)

    # From here on only levels 12..59, the L = 48 layers in which water and wind change.
    moist = slice(TOP_MOIST_LEVEL, None)
    first_liquid = TOP_LIQUID_LEVEL - TOP_MOIST_LEVEL
    layers = Layers(p=p[moist], z=z[moist], thickness=thickness[moist], mass=mass[moist])
    air = Air(
        t=t[moist],
        vapour=state.q0001[moist],
        liquid=state.q0002[moist],
        ice=state.q0003[moist],
        u=state.u[moist],
        v=state.v[moist],
    )
    air = mix(air, layers, SurfaceFluxes(state.lhflx, state.shflx, state.taux, state.tauy))
    convected = convect(air, layers, first_liquid)
    air = adjust(convected.air, layers.p, first_liquid)
    fallen = precipitate(air, layers, convected.rain)
    air = fallen.air

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
        q0001=joined(state.q0001, air.vapour),
        q0002=joined(state.q0002, air.liquid),
        q0003=joined(state.q0003, air.ice),
        t=joined(t, air.t),
        u=joined(state.u, air.u),
        v=joined(state.v, air.v),
    )
