"""Refuse a dataset whose variables, units, dimensions or levels are not ClimSim's.

These checks read attributes and coordinates, and of state_pmid one column; values are checked where
they are computed with. Nothing is converted or turned around silently.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

import numpy as np

from leapkit.core.columns import LEVELS, UNITS
from leapkit.core.errors import KitError
from leapkit.data import units
from leapkit.emulators.plausibility import FLIP

if TYPE_CHECKING:
    import xarray

_WHERE = "the dataset"
_LEVEL = "lev"


def require_inputs(dataset: Any, variables: Mapping[str, bool]) -> None:
    """Raise KitError unless the variables are there, in their units, on 60 levels from the top.

    variables  {name: whether it has levels}
    """
    if not _is_dataset(dataset):
        raise KitError(
            f"is of the type {type(dataset).__name__}",
            "what is to be predicted",
            "give an xarray.Dataset, or a NumPy array (B, 556)",
        )
    missing = [name for name in variables if name not in dataset]
    if missing:
        raise KitError(
            f"lacks {', '.join(missing)} ({len(missing)} of {len(variables)} variables)",
            _WHERE,
            "add them under ClimSim's names: dataset.rename(...)",
        )
    for name, has_levels in variables.items():
        _require_variable(dataset[name], name, has_levels)
    _require_top_first(dataset)


def _is_dataset(value: Any) -> bool:
    xarray = sys.modules.get("xarray")  # which who has a dataset has imported
    return xarray is not None and isinstance(value, xarray.Dataset)


def _require_variable(values: xarray.DataArray, name: str, has_levels: bool) -> None:
    axes = ", ".join(map(str, values.dims))
    if values.dtype.kind not in "fiu":
        raise KitError(f"{name} is of the type {values.dtype}", _WHERE, "make it float64")
    if has_levels and _LEVEL not in values.dims:
        what = f"{name} has no dimension `{_LEVEL}`, but ({axes})"
        raise KitError(what, _WHERE, f"rename that of its levels to `{_LEVEL}`")
    if not has_levels and _LEVEL in values.dims:
        raise KitError(f"{name} has levels, and is one number a column", _WHERE, "select one")
    if has_levels and values.sizes[_LEVEL] != LEVELS:
        raise KitError(
            f"{name} has {values.sizes[_LEVEL]} levels, and the networks know E3SM-MMF's {LEVELS}",
            _WHERE,
            "interpolate the columns to those levels",
        )
    spelled = values.attrs.get("units")
    if spelled is not None and not units.means(str(spelled), UNITS[name]):
        raise KitError(
            f"{name} is in {spelled!s}, and has to be in {UNITS[name]}",
            _WHERE,
            "convert it and its attribute `units`: nothing is converted silently",
        )


def _require_top_first(dataset: xarray.Dataset) -> None:
    """Raise KitError if the coordinate of levels, or pressure in the first column, falls."""
    levels = dataset.coords.get(_LEVEL)
    upwards = levels is not None and levels.attrs.get("positive") == "up"
    profiles: Dict[str, Optional[Any]] = {
        f"the coordinate `{_LEVEL}`": levels,
        "state_pmid": _first_column(dataset, "state_pmid"),
    }
    for name, profile in profiles.items():
        if profile is None or profile.dtype.kind not in "fiu" or profile.ndim != 1:
            continue
        rises = np.diff(np.asarray(profile, dtype=np.float64)) > 0
        wrong = rises.all() if upwards and profile is levels else not rises.any()
        if wrong and len(rises):
            raise KitError(
                f"has its levels from the ground up ({name} says so), and the networks have them"
                " from the model top down",
                _WHERE,
                FLIP,
            )


def _first_column(dataset: xarray.Dataset, name: str) -> Optional[xarray.DataArray]:
    if name not in dataset or _LEVEL not in dataset[name].dims or not dataset[name].size:
        return None
    others: List[Any] = [axis for axis in dataset[name].dims if axis != _LEVEL]
    return dataset[name].isel({axis: 0 for axis in others})
