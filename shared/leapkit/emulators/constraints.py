"""Physical constraints on predictions: each has a name, a source, and is off unless it is chosen.

top_levels    no tendency of water and wind in the upper 15 levels, as the networks that were
              coupled online have it (wrap_model.py of climsim-kaggle-edition)
partition     cloud liquid and ice share the predicted total by the new temperature: liquid from
              273.16 K on, ice below 253.16 K, linear between (wrap_model.py, as above)
fluxes        no negative flux or precipitation (blend/postprocess.py; mmf_nn_emulator.F90)
night         no sunlight at the surface where the sun is not above the horizon
              (mmf_nn_emulator.F90)
stratosphere  above the tropopause vapour stays as it is and clouds are removed
              (cb_strato_water_constraint and detect_tropopause of mmf_nn_emulator.F90)
positivity    a step removes no more vapour, cloud liquid and cloud ice than there is
              (blend/postprocess.py; mmf_nn_emulator.F90)

They are applied in this order, which is that of the online runs. mmf_nn_emulator.F90 is the file of
E3SM that calls a network (NVlabs/E3SM, components/eam/src/physics/cam).

All are modules of x (B, 556) and y (B, 368), raw, float64, Kaggle order, which return the new y.
Their constants are buffers, so a traced one runs wherever the tensors are.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple, Type

import numpy as np
import torch
from torch import nn

from leapkit.core import hybrid_levels
from leapkit.core.columns import (
    INPUTS,
    LEVELS,
    OUTPUT_SCALARS,
    PREDICTED,
    STEP_SECONDS,
    TARGETS,
    TENDENCY_PROFILES,
    kaggle_positions,
)
from leapkit.core.errors import KitError

_WATER = ("q0001", "q0002", "q0003")
_SUNLIGHT = tuple(f"cam_out_{name}" for name in ("NETSW", "SOLS", "SOLL", "SOLSD", "SOLLD"))
_TOP_LEVELS = 15
_ALL_ICE = 253.16  # K
_ALL_LIQUID = 273.16  # K
_LOWEST_TROPOPAUSE = 40000.0  # Pa
_STRATOSPHERIC = 10e-3  # K/m of potential temperature
# Of E3SM (shr_const_mod): m/s2, J/kg/K, and the ratio of gas constants of vapour and air less one.
_GRAVITY = 9.80616
_GAS = 287.04
_HEAT = 1004.64
_VIRTUAL = 0.608


class _OfTargets(nn.Module):
    """A constraint that moves some targets: `moved` (368,) says which."""

    moved: torch.Tensor
    zero: torch.Tensor

    def __init__(self, targets: Sequence[str]) -> None:
        super().__init__()
        moved = torch.zeros(len(TARGETS), dtype=torch.bool)
        moved[kaggle_positions(tuple(targets))] = True
        self.register_buffer("moved", moved)
        self.register_buffer("zero", torch.zeros((), dtype=torch.float64))


class TopLevels(_OfTargets):
    def __init__(self) -> None:
        profiles = [name for name, _ in TENDENCY_PROFILES if name != "ptend_t"]
        super().__init__([f"{name}_{k}" for name in profiles for k in range(_TOP_LEVELS)])

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.where(self.moved, self.zero, y)


class Partition(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        temperature = _profile(x, "state_t") + _profile(y, "ptend_t") * STEP_SECONDS
        liquid, ice = (_profile(x, f"state_{name}") for name in _WATER[1:])
        change = _profile(y, "ptend_q0002") + _profile(y, "ptend_q0003")
        cloud = liquid + ice + change * STEP_SECONDS
        share = ((temperature - _ALL_ICE) / (_ALL_LIQUID - _ALL_ICE)).clamp(0.0, 1.0)
        tendencies = {
            "ptend_q0002": (share * cloud - liquid) / STEP_SECONDS,
            "ptend_q0003": ((1.0 - share) * cloud - ice) / STEP_SECONDS,
        }
        return _with_profiles(y, tendencies)


class Fluxes(_OfTargets):
    def __init__(self) -> None:
        super().__init__([name for name, _ in OUTPUT_SCALARS])

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.where(self.moved, torch.maximum(y, self.zero), y)


class Night(_OfTargets):
    def __init__(self) -> None:
        super().__init__(_SUNLIGHT)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        is_night = _scalar(x, "pbuf_COSZRS") <= 0.0  # (B, 1)
        return torch.where(is_night & self.moved, self.zero, y)


class Stratosphere(nn.Module):
    """The lowest level at p <= 400 hPa with dtheta/dz > 10 K/km is the tropopause; above is above.

    Potential temperature is T (ps / p)^(R/cp), with the surface's pressure as E3SM's exner has it.
    Heights are hydrostatic: between two levels dz = R/g Tv dln(p), Tv the mean of both.
    """

    a: torch.Tensor
    b: torch.Tensor
    levels: torch.Tensor
    zero: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        a = torch.tensor(hybrid_levels.LEVEL_A, dtype=torch.float64)
        self.register_buffer("a", a * hybrid_levels.REFERENCE_PRESSURE)
        self.register_buffer("b", torch.tensor(hybrid_levels.LEVEL_B, dtype=torch.float64))
        self.register_buffer("levels", torch.arange(LEVELS, dtype=torch.float64))
        self.register_buffer("zero", torch.zeros((), dtype=torch.float64))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        is_above = self.levels <= self.tropopause(x)  # (B, 60)
        liquid, ice = (_profile(x, f"state_{name}") for name in _WATER[1:])
        tendencies = {
            "ptend_q0001": torch.where(is_above, self.zero, _profile(y, "ptend_q0001")),
            "ptend_q0002": torch.where(
                is_above, -liquid / STEP_SECONDS, _profile(y, "ptend_q0002")
            ),
            "ptend_q0003": torch.where(is_above, -ice / STEP_SECONDS, _profile(y, "ptend_q0003")),
        }
        return _with_profiles(y, tendencies)

    def tropopause(self, x: torch.Tensor) -> torch.Tensor:
        """Return the level of the tropopause (B, 1) as float64: 0 where there is none."""
        surface = _scalar(x, "state_ps")
        pressure = self.a + self.b * surface  # (B, 60) Pa
        temperature = _profile(x, "state_t")
        theta = temperature * (surface / pressure) ** (_GAS / _HEAT)
        virtual = temperature * (1.0 + _VIRTUAL * _profile(x, "state_q0001"))
        log_pressure = torch.log(pressure)
        mean = (virtual[:, :-1] + virtual[:, 1:]) / 2
        thickness = _GAS / _GRAVITY * mean * (log_pressure[:, 1:] - log_pressure[:, :-1])  # (B, 59)
        # Over two layers, around the levels 1 to 58.
        rise = theta[:, :-2] - theta[:, 2:]
        is_stable = rise > _STRATOSPHERIC * (thickness[:, :-1] + thickness[:, 1:])
        is_high = pressure[:, 1:-1] <= _LOWEST_TROPOPAUSE
        candidates = torch.where(is_stable & is_high, self.levels[1:-1], self.zero)
        return candidates.amax(dim=1, keepdim=True)


class Positivity(_OfTargets):
    states: torch.Tensor

    def __init__(self) -> None:
        # The others are 0, or remove exactly what there is.
        targets = [name for name in PREDICTED if name.startswith("ptend_q")]
        super().__init__(targets)
        states = {name: INPUTS.index(name.replace("ptend", "state")) for name in targets}
        # The state of each water tendency; any input for the other targets, which stay.
        self.register_buffer("states", torch.tensor([states.get(name, 0) for name in TARGETS]))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        floor = -x.index_select(1, self.states) / STEP_SECONDS  # (B, 368)
        return torch.where(self.moved, torch.maximum(y, floor), y)


CONSTRAINTS: Dict[str, Type[nn.Module]] = {
    "top_levels": TopLevels,
    "partition": Partition,
    "fluxes": Fluxes,
    "night": Night,
    "stratosphere": Stratosphere,
    "positivity": Positivity,
}


class Constraints(nn.Module):
    """The chosen constraints in the order of this page; without any, y itself.

    Raises KitError for an unknown name.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        super().__init__()
        unknown = [name for name in names if name not in CONSTRAINTS]
        if unknown:
            raise KitError(
                f"is no constraint: {unknown[0]}",
                f"POSTPROCESS={','.join(names)}",
                f"choose among {', '.join(CONSTRAINTS)}",
            )
        self.names: Tuple[str, ...] = tuple(name for name in CONSTRAINTS if name in names)
        self.chosen = nn.ModuleList([CONSTRAINTS[name]() for name in self.names])

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        for constraint in self.chosen:
            y = constraint(x, y)
        return y

    def of_arrays(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the constrained y (B, 368) of arrays; y itself if nothing is chosen."""
        if not self.names:
            return y
        with torch.no_grad():
            constrained: np.ndarray = self(torch.from_numpy(x), torch.from_numpy(y)).numpy()
        return constrained


def _profile(columns: torch.Tensor, name: str) -> torch.Tensor:
    """Return a state or a tendency on all levels, (B, 60)."""
    names = INPUTS if name.startswith("state") else TARGETS
    first = names.index(f"{name}_0")
    return columns[:, first : first + LEVELS]


def _scalar(x: torch.Tensor, name: str) -> torch.Tensor:
    """Return a scalar input, (B, 1)."""
    position = INPUTS.index(name)
    return x[:, position : position + 1]


def _with_profiles(y: torch.Tensor, tendencies: Dict[str, torch.Tensor]) -> torch.Tensor:
    """Return y with other tendencies in place of these."""
    parts: List[torch.Tensor] = [
        tendencies.get(name, _profile(y, name)) for name, _ in TENDENCY_PROFILES
    ]
    return torch.cat([*parts, y[:, -len(OUTPUT_SCALARS) :]], dim=1)
