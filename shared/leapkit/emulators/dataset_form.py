"""Predictions as one data set, NetCDF or Zarr: written block by block, in bounded memory."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable

from leapkit.core.errors import KitError, explain_os_errors

if TYPE_CHECKING:
    import xarray

ZARR = ".zarr"
_CHUNKS = "chunks"


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
        made = file.createVariable(name, variable.dtype, variable.dims, fill_value=False)
        made.setncatts(variable.attrs)
        if dimension not in variable.dims:
            made[...] = variable.values


def _write_zarr(path: Path, blocks: Iterable[xarray.Dataset], dimension: str, _: int) -> None:
    _library("zarr")
    is_first = True
    for block in blocks:
        if is_first:
            chunks = {name: {_CHUNKS: block[name].shape} for name in block.variables}
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
