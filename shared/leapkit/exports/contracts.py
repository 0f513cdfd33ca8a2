"""What a file takes and gives: the order of its inputs; outputs are the 368 in Kaggle's order.

coupled  557 inputs as E3SM's mmf_nn_emulator.F90 fills them for cb_nn_var_combo = 'v2' with
         input_rh = .false.: six profiles of the state, three gases, 17 scalars. Of the scalars
         SNOWHICE is the one that Kaggle left out, and no network looks at it.
kaggle   the 556 inputs of the competition, in their order
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

from leapkit.core.columns import GAS_PROFILES, INPUT_SCALARS, INPUTS, LEVELS, STATE_PROFILES, UNITS
from leapkit.core.errors import KitError

_SNOW_ON_ICE = "cam_in_SNOWHICE"


@dataclass(frozen=True)
class Contract:
    """The inputs of a file, raw units, float32."""

    name: str
    inputs: Tuple[str, ...]

    @property
    def to_kaggle(self) -> List[int]:
        """The positions of Kaggle's inputs: x_kaggle = x[:, to_kaggle]."""
        position = {name: k for k, name in enumerate(self.inputs)}
        return [position[name] for name in INPUTS]

    def variables(self) -> List[Tuple[str, str, int]]:
        """Return (variable, unit, width) in order: what a table of the inputs shows."""
        seen: Dict[str, int] = {}
        for name in self.inputs:
            variable = name.rsplit("_", 1)[0] if name.rsplit("_", 1)[1].isdigit() else name
            seen[variable] = seen.get(variable, 0) + 1
        return [(name, _UNITS[name], width) for name, width in seen.items()]


_UNITS = {**UNITS, _SNOW_ON_ICE: "m"}


def _coupled() -> Tuple[str, ...]:
    profiles = [name for name, _ in STATE_PROFILES + GAS_PROFILES]
    scalars = [name for name, _ in INPUT_SCALARS]
    return (
        *(f"{name}_{level}" for name in profiles for level in range(LEVELS)),
        *scalars[:-1],
        _SNOW_ON_ICE,
        scalars[-1],
    )


COUPLED = Contract("coupled", _coupled())
KAGGLE = Contract("kaggle", INPUTS)
CONTRACTS = {contract.name: contract for contract in (COUPLED, KAGGLE)}


def chosen(name: str) -> Contract:
    """Return the contract of a name. Raises KitError for an unknown one."""
    if name not in CONTRACTS:
        raise KitError("is no order of inputs", name, f"choose among {', '.join(CONTRACTS)}")
    return CONTRACTS[name]
