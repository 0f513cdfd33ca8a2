"""One network, or a blend of several, as a function of columns."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Dict, Sequence, Tuple, overload

import numpy as np

import leapkit
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.errors import KitError
from leapkit.emulators import attributes, datasets, plausibility
from leapkit.emulators.arithmetic import Networks
from leapkit.emulators.constraints import Constraints
from leapkit.emulators.parts import EmulatorParts
from leapkit.run.devices import choose_device
from leapkit.run.precision import choose as choose_precision

if TYPE_CHECKING:
    import xarray


class Emulator:
    """Predict the tendencies and surface fluxes that E3SM-MMF's cloud-resolving model gives.

    `leapkit.load` makes it. It may be pickled: the networks are then read where it is used.

    name         "max2020/022", "v10"
    device       "cpu" or "cuda"
    precision    "float32", "tf32" or "bf16" (leapkit.run.precision)
    constraints  that its predictions are held to (leapkit.emulators.constraints)
    """

    def __init__(
        self,
        parts: EmulatorParts,
        device: str = "auto",
        precision: str = "auto",
        constraints: Sequence[str] = (),
    ) -> None:
        self._parts = parts
        chosen = choose_device(device)
        self.name = parts.name
        self.device = chosen.type
        self.precision = choose_precision(precision, chosen)
        self._constraints = Constraints(constraints)
        self.constraints = self._constraints.names
        self._networks = Networks(parts, chosen, self.precision)

    @overload
    def predict(self, columns: xarray.Dataset, *, check: bool = True) -> xarray.Dataset: ...

    @overload
    def predict(self, columns: np.ndarray, *, check: bool = True) -> np.ndarray: ...

    def predict(self, columns: Any, *, check: bool = True) -> Any:
        """Return the physics' tendencies and surface fluxes of columns.

        columns  a Dataset of ClimSim's 25 input variables in their units: profiles with the
                 dimension `lev`, 60 levels from the model top down, all else with any dimensions
                 (ncol, time, member, ...) in any order, in memory or of Dask arrays; or an array
                 (B, 556) in raw units, Kaggle order (leapkit.core.columns.INPUTS)
        check    whether values that no climate has and profiles upside down are refused; a NaN is
                 refused in any case

        Returns a Dataset of ptend_* and cam_out_*, float64, with units, coordinates and provenance,
        lazy if the columns are; or an array (B, 368) float64, Kaggle order (TARGETS).

        Memory beside columns and result is that of the networks and of some thousand rows.
        Raises KitError for what is missing, in other units or orders, or not plausible.
        """
        if isinstance(columns, np.ndarray):
            return self._of_rows(columns, check)
        return datasets.mapped(
            columns, functools.partial(self._of_block, check), self._networks.block, self.attributes
        )

    @functools.cached_property
    def attributes(self) -> Dict[str, str]:
        """What made the predictions, as global attributes of a NetCDF file."""
        return {
            **attributes.CONVENTIONS,
            **attributes.provenance(self._parts, self.device, self.precision, self.constraints),
        }

    def _of_rows(self, x: np.ndarray, check: bool) -> np.ndarray:
        if x.ndim != 2 or x.shape[1] != len(INPUTS):
            raise KitError(
                f"have the shape {x.shape} and not (B, {len(INPUTS)})",
                "the columns",
                "give one row per column, in the order of leapkit.core.columns.INPUTS",
            )
        if x.dtype.kind not in "fiu":
            raise KitError(f"are of the type {x.dtype}", "the columns", "make them float64")
        y = np.empty((len(x), len(TARGETS)))
        for start in range(0, len(x), self._networks.block):
            rows = slice(start, start + self._networks.block)
            y[rows] = self._of_block(check, x[rows])
        return y

    def _of_block(self, check: bool, x: np.ndarray) -> np.ndarray:
        """Return (n, 368) float64 from x (n, 556) of some real type, both raw in Kaggle order."""
        x = np.ma.filled(x.astype(np.float64), np.nan)  # netCDF4 gives arrays with masks
        if check:
            plausibility.require_plausible(x)
        return self._constraints.of_arrays(x, self._networks.predict(x))

    def __reduce__(self) -> Tuple[Any, ...]:
        return Emulator, (self._parts, self.device, self.precision, self.constraints)

    def __repr__(self) -> str:
        count = len(self._parts.networks)
        noun = "network" if count == 1 else "networks"
        constrained = f", constraints={self.constraints}" if self.constraints else ""
        return (
            f"<leapkit.Emulator {self.name}: {count} {noun}, "
            f"{self.precision} on {self.device}{constrained}, leapkit {leapkit.__version__}>"
        )
