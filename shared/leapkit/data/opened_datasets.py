"""NetCDF files and Zarr stores as an xarray.Dataset that is read as it is used.

xarray is imported where one is opened: the rest of this room does without it.
"""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Iterator

from leapkit.core.errors import KitError
from leapkit.data.classic_header import CLASSIC, LONGEST_HEADER, parse_header

if TYPE_CHECKING:
    import xarray

REMEDY = "download or write it again"
# What netCDF4, zarr and numcodecs raise for a damaged file: they share no class of errors.
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, LookupError, EOFError, zlib.error)


def opened(path: Path, decode_times: bool) -> xarray.Dataset:
    """Open a NetCDF file or a Zarr folder lazily.

    decode_times  whether times of a calendar are dates; else they stay as they are stored
    Raises KitError if it is damaged, or neither.
    """
    try:
        import xarray
    except ImportError as error:
        raise KitError("is not installed", "xarray", "pip install xarray") from error
    if path.is_dir():
        _require_known_zarr(path)
    else:
        _require_whole(path)
    with explained(path):
        return xarray.open_dataset(
            str(path),
            engine="zarr" if path.is_dir() else "netcdf4",
            decode_times=decode_times,
            decode_timedelta=False,
        )


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what libraries say of a damaged file into a KitError about it."""
    try:
        yield
    except KitError as error:
        raise KitError(error.what, path, error.remedy) from error
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise KitError(f"cannot be read as NetCDF or Zarr ({reason})", path, REMEDY) from error


def _require_known_zarr(path: Path) -> None:
    """Raise KitError for Zarr's version 3 where the library reads 2: it would find no file."""
    try:
        import zarr
    except ImportError as error:
        raise KitError("is not installed", "zarr", "pip install zarr") from error
    version = zarr.__version__
    if (path / "zarr.json").exists() and int(version.split(".")[0]) < 3:
        what = f"is of Zarr's version 3, and zarr {version} of this stack reads version 2"
        raise KitError(what, path, "use STACK=modern, or write it with zarr_format=2")


def _require_whole(path: Path) -> None:
    """Raise KitError for a classic file that is cut off: the library reads zeros behind its end."""
    with explained(path), open(path, "rb") as handle:
        start = handle.read(LONGEST_HEADER)
        size = handle.seek(0, 2)
    if start[:4] in CLASSIC:
        with contextlib.suppress(ValueError):  # what the library reads, and the kit's reader not
            whole = parse_header(start).file_size
            if size < whole:
                raise KitError(f"is truncated: {size} bytes instead of {whole}", path, REMEDY)
