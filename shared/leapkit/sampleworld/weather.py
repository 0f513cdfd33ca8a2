"""Smooth random fields on the sphere that are functions of (seed, field, place, time) alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Waves:
    """A sum of plane waves through the sphere: place, height and time enter one phase."""

    wave: np.ndarray  # (M, 3) rad per Earth radius
    vertical: np.ndarray  # (M,) rad per unit height coordinate
    frequency: np.ndarray  # (M,) rad per hour
    phase: np.ndarray  # (M,) rad


def draw_waves(
    seed: int, field: int, count: int, wavenumber: float, vertical: float, period: float
) -> Waves:
    """Draw the waves of a numbered field.

    wavenumber, vertical  the largest, in rad per Earth radius and per unit height
    period                the shortest, in hours
    """
    # Only uniform doubles are drawn: their stream is the part of numpy's generators that has stayed
    # the same.
    draw = np.random.Generator(np.random.PCG64([seed, field])).random((6, count))
    z, azimuth = 2.0 * draw[0] - 1.0, 2.0 * np.pi * draw[1]
    flat = np.sqrt(1.0 - z * z)
    direction = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), z], axis=1)
    return Waves(
        wave=wavenumber * np.sqrt(0.05 + 0.95 * draw[2])[:, None] * direction,
        vertical=vertical * (2.0 * draw[3] - 1.0),
        frequency=2.0 * np.pi / period * (2.0 * draw[4] - 1.0),
        phase=2.0 * np.pi * draw[5],
    )


def evaluate(
    waves: Waves, xyz: np.ndarray, hours: float, height: np.ndarray | None = None
) -> np.ndarray:
    """Return the field, of mean 0 and variance 1: (C,), or (60, C) if `height` (60,) is given."""
    # Not a BLAS product: its blocking may round differently from one machine or thread count to the
    # next.
    place = sum(waves.wave[:, i, None] * xyz[i] for i in range(3))  # (M, C)
    angle = place + (waves.frequency * hours % (2.0 * np.pi) + waves.phase)[:, None]
    scale = np.sqrt(2.0 / waves.phase.size)
    field: np.ndarray
    if height is None:
        field = scale * np.cos(angle).sum(axis=0)
        return field
    tilt = height[:, None] * waves.vertical  # (60, M)
    field = scale * (
        np.einsum("lm,mc->lc", np.cos(tilt), np.cos(angle))
        - np.einsum("lm,mc->lc", np.sin(tilt), np.sin(angle))
    )
    return field
