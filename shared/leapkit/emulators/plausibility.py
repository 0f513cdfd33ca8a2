"""Refuse rows of inputs that no climate has, before a network answers them with a straight face."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from leapkit.core.columns import INPUTS, LEVELS, UNITS
from leapkit.core.errors import KitError
from leapkit.data.step_ranges import RANGES

WHERE = "the columns"
FLIP = "turn them around: dataset.isel(lev=slice(None, None, -1))"
_CHECK_OFF = "correct them, or predict(..., check=False) if they are meant to be so"
_LEAVE_OUT = "fill these values or leave their columns out: no network predicts from them"


def _variable(name: str) -> str:
    """Return the variable of an input: state_t of state_t_3."""
    return name if name in RANGES else name.rsplit("_", 1)[0]


_LOWEST = np.array([RANGES[_variable(name)][0] for name in INPUTS])
_HIGHEST = np.array([RANGES[_variable(name)][1] for name in INPUTS])
# Nitrous oxide comes from the ground and is destroyed in the stratosphere: a tenth or less of it is
# left at the model top, in all real columns.
_TOP, _GROUND = (INPUTS.index(f"pbuf_N2O_{level}") for level in (0, LEVELS - 1))


def require_plausible(x: np.ndarray) -> None:
    """Raise KitError for NaN, for profiles upside down and for values outside step_ranges.RANGES.

    x  (n, 556) float64, raw, Kaggle order
    """
    inside = (x >= _LOWEST) & (x <= _HIGHEST)  # a NaN is neither
    if len(x) and (x[:, _TOP] > x[:, _GROUND]).all():
        raise KitError(
            "are upside down: there is more N2O at the first level than at the last", WHERE, FLIP
        )
    if not inside.all():
        _refuse(x, ~inside)


def _refuse(x: np.ndarray, outside: np.ndarray) -> NoReturn:
    """Name the first input with values outside, the first of them, and the number of columns."""
    k = int(np.argmax(outside.any(axis=0)))
    name = INPUTS[k]
    variable = _variable(name)
    place = "" if variable == name else f" at level {name.rsplit('_', 1)[1]}"
    value = x[outside[:, k], k][0]
    where = f"in {outside[:, k].sum()} of {len(x)} columns"
    if np.isnan(value):
        raise KitError(f"{variable}{place} is NaN {where}", WHERE, _LEAVE_OUT)
    raise KitError(
        f"{variable}{place} is {value:g} {UNITS[variable]} {where}, outside {_LOWEST[k]:g} to"
        f" {_HIGHEST[k]:g}",
        WHERE,
        _CHECK_OFF,
    )
