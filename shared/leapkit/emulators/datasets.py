"""A function of rows, applied to the columns of an xarray.Dataset, and its results as a Dataset."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Tuple

import numpy as np

from leapkit.core.columns import (
    GAS_PROFILES,
    INPUT_SCALARS,
    LEVELS,
    OUTPUT_SCALARS,
    STATE_PROFILES,
    TENDENCY_PROFILES,
)
from leapkit.emulators import attributes, dataset_checks

if TYPE_CHECKING:
    import xarray

LEVEL = "lev"
# {variable: whether it has levels}, in Kaggle order
INPUT_VARIABLES = {
    **{name: True for name, _ in STATE_PROFILES},
    **{name: False for name, _ in INPUT_SCALARS},
    **{name: True for name, _ in GAS_PROFILES},
}
OUTPUT_VARIABLES = {
    **{name: True for name, _ in TENDENCY_PROFILES},
    **{name: False for name, _ in OUTPUT_SCALARS},
}
# Coordinates that files often hold as variables; the time of ClimSim's step files is ymd and tod.
_PLACES = ("lat", "lon", "ymd", "tod")
Rows = Callable[[np.ndarray], np.ndarray]


def mapped(
    dataset: Any, function: Rows, block: int, global_attributes: Mapping[str, str]
) -> xarray.Dataset:
    """Return a function's results for all columns of a dataset, with its coordinates.

    function  (n, 556) raw -> (n, 368) float64 raw, both in Kaggle order
    block     the most rows that it is given at a time

    Raises KitError if the dataset lacks a variable, or if units, dimensions or levels are others.
    """
    dataset_checks.require_inputs(dataset, INPUT_VARIABLES)
    import xarray

    inputs = dataset[list(INPUT_VARIABLES)]
    results = xarray.apply_ufunc(
        functools.partial(_columns, function, block),
        *(_with_whole_columns(inputs[name].variable) for name in INPUT_VARIABLES),
        input_core_dims=[_core(has_levels) for has_levels in INPUT_VARIABLES.values()],
        output_core_dims=[_core(has_levels) for has_levels in OUTPUT_VARIABLES.values()],
        dask="parallelized",
        output_dtypes=[np.float64] * len(OUTPUT_VARIABLES),
    )
    order = _order(inputs)
    variables = {}
    for name, result in zip(OUTPUT_VARIABLES, results):
        variables[name] = result.transpose(*(axis for axis in order if axis in result.dims))
        variables[name].attrs = attributes.of_variable(name)
    places = {
        name: dataset[name]
        for name in _PLACES
        if name in dataset.data_vars and set(dataset[name].dims) <= set(order)
    }
    return xarray.Dataset(variables, inputs.coords, dict(global_attributes)).assign_coords(places)


def _core(has_levels: bool) -> List[str]:
    return [LEVEL] if has_levels else []


def _with_whole_columns(variable: xarray.Variable) -> xarray.Variable:
    """Return a variable of Dask arrays with all levels of a column in one chunk."""
    if variable.chunks is None or LEVEL not in variable.dims:
        return variable
    return variable.chunk({LEVEL: -1})


def _order(inputs: xarray.Dataset) -> List[Any]:
    """Return all dimensions in the order of the first profile, before them what it lacks."""
    first = list(inputs[next(iter(INPUT_VARIABLES))].dims)
    return [axis for axis in inputs.sizes if axis not in first] + first


def _columns(function: Rows, block: int, *inputs: np.ndarray) -> Tuple[np.ndarray, ...]:
    """Return the 14 results of 25 variables, block by block: nothing is copied as a whole.

    Profiles have their levels last; all other dimensions are broadcast.
    """
    profiles = list(INPUT_VARIABLES.values())
    outer = np.broadcast_shapes(
        *(values.shape[:-1] if p else values.shape for p, values in zip(profiles, inputs))
    )
    shape = outer or (1,)
    views = [
        np.broadcast_to(values[..., None], shape + (1,))
        if not is_profile
        else np.broadcast_to(values, shape + (LEVELS,))
        for is_profile, values in zip(profiles, inputs)
    ]
    levels = [LEVELS if is_profile else 1 for is_profile in OUTPUT_VARIABLES.values()]
    outputs = [np.empty(shape + (depth,)) for depth in levels]
    ends = np.cumsum(levels)[:-1]
    count = int(np.prod(shape))
    for start in range(0, count, block):
        rows = np.unravel_index(np.arange(start, min(start + block, count)), shape)
        y = function(np.concatenate([view[rows] for view in views], axis=1))
        for output, values in zip(outputs, np.split(y, ends, axis=1)):
            output[rows] = values
    return tuple(
        output.reshape(outer + ((depth,) if depth > 1 else ()))
        for output, depth in zip(outputs, levels)
    )
