"""Streamed mean and standard deviation per column, in float64."""

from __future__ import annotations

import copy
from typing import Iterable

import numpy as np


class Moments:
    """Count, mean and sum of squared deviations per column (Chan, Golub and LeVeque 1983).

    Merging chunks equals the whole to rounding (about 1e-15 relative per merge), in any order.

    count     rows so far
    mean, m2  (columns,) float64
    """

    def __init__(self, columns: int) -> None:
        self.count = 0
        self.mean = np.zeros(columns)
        self.m2 = np.zeros(columns)

    def add(self, block: np.ndarray) -> None:
        """Add rows: block (n, columns)."""
        chunk = Moments(block.shape[1])
        chunk.count = block.shape[0]
        if chunk.count:
            chunk.mean = block.mean(axis=0, dtype=np.float64)
            deviation = block - chunk.mean
            chunk.m2 = np.square(deviation, out=deviation).sum(axis=0, dtype=np.float64)
            self.merge(chunk)

    def merge(self, other: Moments) -> None:
        total = self.count + other.count
        if total == 0:
            return
        delta = other.mean - self.mean
        self.m2 = self.m2 + other.m2 + np.square(delta) * (self.count * other.count / total)
        self.mean = self.mean + delta * (other.count / total)
        self.count = total

    def merged(self, other: Moments) -> Moments:
        """Merge into a new object: an interruption finds the old one or the new one."""
        both = copy.copy(self)  # merge replaces the arrays
        both.merge(other)
        return both

    def std(self) -> np.ndarray:
        """Return the sample standard deviation (ddof = 1), as pandas."""
        std: np.ndarray = np.sqrt(self.m2 / max(self.count - 1, 1))
        return std


def moments_of(blocks: Iterable[np.ndarray], columns: int) -> Moments:
    """Return the moments of the rows of (n, columns) blocks."""
    moments = Moments(columns)
    for block in blocks:
        moments.add(block)
    return moments
