"""Predictions of many rows take the memory of a chunk, and end where an output is not finite."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from leapkit.emulators import streaming
from leapkit.emulators.sources import BlockRows
from tests.helpers.refusals import refused

MB = 1 << 20


def rows(count: int) -> BlockRows:
    """Return rows whose first input is their number, in blocks of 100."""

    def load(block: int) -> np.ndarray:
        x = np.zeros((min(100, count - block * 100), 556))
        x[:, 0] = np.arange(len(x)) + block * 100
        return x

    return BlockRows(count, 100, load)


def doubled(x: np.ndarray) -> np.ndarray:
    return 2 * x[:, :368]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        y = streaming.predictions(rows(20_010), doubled, tmp_path / "y.f64", 512)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(y[:, 0], 2.0 * np.arange(20_010)) and y.nbytes > 50 * MB
    assert peak < 12 * MB


@pytest.mark.parametrize("held", [0, 1, 511, 512, 1300, 2000])
def test_whole_chunks_of_an_earlier_run_are_kept_and_no_others(tmp_path: Path, held: int) -> None:
    scratch = tmp_path / "y.f64"
    scratch.write_bytes(np.full((held, 368), 7.0).tobytes())
    y = streaming.predictions(rows(2000), doubled, scratch, 512)
    kept = 2000 if held == 2000 else held - held % 512
    assert (y[:kept, 0] == 7).all() and np.array_equal(y[kept:, 0], 2.0 * np.arange(kept, 2000))


def test_an_output_that_is_not_finite_is_refused_and_names_its_row(tmp_path: Path) -> None:
    def wrong(x: np.ndarray) -> np.ndarray:
        return np.where(x[:, :368] == 700, np.nan, 0.0)

    with refused("prediction", "row 700 is NaN"):
        streaming.predictions(rows(2000), wrong, tmp_path / "y.f64", 512)
    assert (tmp_path / "y.f64").stat().st_size == 512 * 368 * 8
