"""Predictions as one data set, NetCDF or Zarr: written block by block, in bounded memory."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable

from leapkit.core.errors import KitError, explain_os_errors

if TYPE_CHECKING:
    import xarray

ZARR = ".zarr"


def write(path: Path, blocks: Iterable[xarray.Dataset], dimension: str, size: int) -> None:
    """Write blocks, which follow each other along a dimension of `size`, as one data set.

    The suffix of `path` chooses the form: .zarr, else NetCDF. All blocks but the last are equally
    long. Raises KitError if the disk is full, or a library is not installed.
    """
    writer = _write_zarr if path.suffix == ZARR else _write_netcdf
    with explain_os_errors(path):
        writer(path, blocks, dimension, size)


def _write_netcdf(path: Path, blocks: Iterable[xarray.Dataset], dimension: str, size: int) -> None:
    """Write netCDF-4, uncompressed, each variable in one piece: float64 hardly gets smaller."""
    netcdf = _library("netCDF4")
    with netcdf.Dataset(str(path), "w", format="NETCDF4") as file:
        start = 0
        for block in blocks:
            if not start:
                _define(file, block, dimension, size)
            stop = start + block.sizes[dimension]
            for name, variable in block.variables.items():
                if dimension in variable.dims:
                    place = tuple(
                        slice(start, stop) if dim == dimension else slice(None)
                        for dim in variable.dims
                    )
                    file[name][place] = variable.values
            start = stop


def _define(file: Any, block: xarray.Dataset, dimension: str, size: int) -> None:
    """Make the dimensions and variables of a file, and write what has no part in `dimension`."""
    file.setncatts(block.attrs)
    for name, length in block.sizes.items():
        file.createDimension(name, size if name == dimension else length)
    for name, variable in block.variables.items():
        dtype = variable.dtype.newbyteorder("=")
        made = file.createVariable(name, dtype, variable.dims, fill_value=False)
        made.setncatts({**variable.attrs, **_places(block, name)})
        if dimension not in variable.dims:
            made[...] = variable.values


def _places(block: xarray.Dataset, name: Any) -> Dict[str, str]:
    """Return the attribute that names coordinates of a variable beside its dimensions' own."""
    if name in block.coords:
        return {}
    axes = set(block[name].dims)
    places = [
        str(place)
        for place, values in block.coords.items()
        if place not in block.sizes and set(values.dims) <= axes
    ]
    return {"coordinates": " ".join(places)} if places else {}


def _write_zarr(path: Path, blocks: Iterable[xarray.Dataset], dimension: str, _: int) -> None:
    """Write Zarr in the newest version that the library knows, a chunk for each block."""
    _library("zarr")
    is_first = True
    with warnings.catch_warnings():
        # Version 3 has not yet written down what the library does to open a folder quickly.
        warnings.filterwarnings("ignore", "Consolidated metadata")
        for block in blocks:
            if is_first:
                chunks = {name: {"chunks": block[name].shape} for name in block.variables}
                block.to_zarr(str(path), mode="w", encoding=chunks)
            else:
                block.to_zarr(str(path), append_dim=dimension)
            is_first = False


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        remedy = f"pip install {name}, or run `make predict`, whose environments have it"
        raise KitError("is not installed", name, remedy) from error
