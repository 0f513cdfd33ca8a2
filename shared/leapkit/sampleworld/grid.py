"""The columns (ne4pg2 cubed sphere) and the 60 hybrid levels, both from formulas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapkit.sampleworld.constants import LEVELS, N_COLUMNS, REFERENCE_PRESSURE
from leapkit.sampleworld.steptime import StepTime

__all__ = [
    "Grid",
    "HybridLevels",
    "StepTime",
    "cubed_sphere",
    "hybrid_levels",
    "interface_pressure",
    "layer_mass",
    "layer_pressure",
]

ELEMENTS_PER_EDGE = 4  # ne4
CELLS_PER_ELEMENT = 2  # pg2
# ln(p/p0) of an interface = -(LINEAR x + SQUARE x^2 + QUARTIC x^4), x = 1 at the top and 0 at the
# surface.
LINEAR = 0.6
SQUARE = 1.0
QUARTIC = 8.2
PURE_PRESSURE_ABOVE = 0.18  # p/p0 above which levels no longer follow the surface


@dataclass(frozen=True)
class Grid:
    """Cell centres: lat and lon in degrees, area in steradians, xyz the unit vectors."""

    lat: np.ndarray  # (C,)
    lon: np.ndarray  # (C,)
    area: np.ndarray  # (C,)
    xyz: np.ndarray  # (3, C)


@dataclass(frozen=True)
class HybridLevels:
    """p = hya * 1e5 Pa + hyb * ps; level 0 is the model top."""

    hyai: np.ndarray  # (61,)
    hybi: np.ndarray  # (61,)
    hyam: np.ndarray  # (60,)
    hybm: np.ndarray  # (60,)


def _solid_angle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the solid angle in sr of the face rectangle from its centre to (x, y)."""
    angle: np.ndarray = np.arctan2(x * y, np.sqrt(1.0 + x * x + y * y))
    return angle


def _face_to_sphere(face: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return unit vectors (3, n) of points (x, y) on a face of the cube.

    Faces 0 to 3 lie on the equator, 4 and 5 at the poles.
    """
    one = np.ones_like(x)
    corner = {
        0: (one, x, y),
        1: (-x, one, y),
        2: (-one, -x, y),
        3: (x, -one, y),
        4: (y, x, -one),
        5: (-y, x, one),
    }[face]
    vector = np.stack(corner)
    unit: np.ndarray = vector / np.sqrt((vector * vector).sum(axis=0))
    return unit


def cubed_sphere(columns: int = N_COLUMNS) -> Grid:
    """Return an even choice of `columns` of the 6 x 8 x 8 equiangular cells (384: all of them).

    Cells are counted as the dynamical core does: face, element row, element column, 2 x 2 cells
    within. Raises ValueError unless 1 <= columns <= 384.
    """
    if not 1 <= columns <= N_COLUMNS:
        raise ValueError(f"columns must be 1..{N_COLUMNS}, not {columns}")
    edge = ELEMENTS_PER_EDGE * CELLS_PER_ELEMENT
    order = np.arange(edge).reshape(ELEMENTS_PER_EDGE, CELLS_PER_ELEMENT)
    row, column = (
        index.transpose(0, 2, 1, 3).ravel()
        for index in np.broadcast_arrays(order[:, :, None, None], order[None, None, :, :])
    )  # (64,)
    width = 0.5 * np.pi / edge
    left, low = column * width - 0.25 * np.pi, row * width - 0.25 * np.pi
    x, y = np.tan(left + 0.5 * width), np.tan(low + 0.5 * width)
    x0, x1, y0, y1 = np.tan(left), np.tan(left + width), np.tan(low), np.tan(low + width)
    area = _solid_angle(x1, y1) - _solid_angle(x0, y1) - _solid_angle(x1, y0) + _solid_angle(x0, y0)
    xyz = np.concatenate([_face_to_sphere(face, x, y) for face in range(6)], axis=1)  # (3, 384)
    keep = (2 * np.arange(columns) + 1) * N_COLUMNS // (2 * columns)
    xyz = np.ascontiguousarray(xyz[:, keep])
    lat = np.degrees(np.arcsin(xyz[2]))
    lon = np.degrees(np.arctan2(xyz[1], xyz[0])) % 360.0
    return Grid(lat=lat, lon=lon, area=np.tile(area, 6)[keep], xyz=xyz)


def hybrid_levels() -> HybridLevels:
    """Return levels: thin at the surface, log-pressure aloft, pure pressure above 180 hPa."""
    x = 1.0 - np.arange(LEVELS + 1) / LEVELS  # (61,)
    eta = np.exp(-(LINEAR * x + SQUARE * x**2 + QUARTIC * x**4))
    hybi = np.maximum(0.0, eta - PURE_PRESSURE_ABOVE) / (1.0 - PURE_PRESSURE_ABOVE)
    hyai = eta - hybi
    return HybridLevels(
        hyai=hyai, hybi=hybi, hyam=0.5 * (hyai[1:] + hyai[:-1]), hybm=0.5 * (hybi[1:] + hybi[:-1])
    )


def layer_pressure(levels: HybridLevels, ps: np.ndarray) -> np.ndarray:
    """Return mid-layer pressure in Pa from the surface pressure ps in Pa, (60, C)."""
    pressure: np.ndarray = levels.hyam[:, None] * REFERENCE_PRESSURE + levels.hybm[:, None] * ps
    return pressure


def interface_pressure(levels: HybridLevels, ps: np.ndarray) -> np.ndarray:
    """Return interface pressure in Pa from the surface pressure ps in Pa, (61, C)."""
    pressure: np.ndarray = levels.hyai[:, None] * REFERENCE_PRESSURE + levels.hybi[:, None] * ps
    return pressure


def layer_mass(levels: HybridLevels, ps: np.ndarray, gravity: float) -> np.ndarray:
    """Return air mass per layer in kg/m2, (60, C)."""
    return np.diff(interface_pressure(levels, ps), axis=0) / gravity
