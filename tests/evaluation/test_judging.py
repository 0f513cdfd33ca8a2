"""One pass in memory that no row adds to."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from typing import Dict, Iterator, List

import numpy as np
import pytest

pytest.importorskip("plotly", reason="the evaluation runs on Python 3.11 alone")
from evaluation.judging import judge
from evaluation.truths import Step
from leapkit.climate.grid_files import sample_grid
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.hash_index import HashIndex
from tests.helpers.refusals import refused

pytestmark = pytest.mark.process


@dataclass
class Endless:
    """Steps of noise on a small grid, and what predicts half of it."""

    count: int
    columns: int = 12
    title: str = "rows of noise"
    name: str = "half"
    origin: str = "a test"

    @property
    def stamps(self) -> List[str]:
        return ["0001-01-01-00000"] * self.count

    def steps(self) -> Iterator[Step]:
        random = np.random.RandomState(0)
        for number in range(self.count):
            x = random.uniform(0.5, 1.0, (self.columns, len(INPUTS)))
            x[:, INPUTS.index("state_ps")] = 1e5
            y = random.standard_normal((self.columns, len(TARGETS)))
            yield Step(number, self.stamps[number], (), x, y)

    def values(self, step: Step) -> np.ndarray:
        return 0.5 * step.truth

    def inputs(self, index: HashIndex) -> Dict[str, str]:
        return {}


def test_memory_does_not_grow_with_the_rows() -> None:
    grid = sample_grid(12)
    peaks = []
    for count in (400, 1200):  # 4,800 and 14,400 rows: two blocks, and four
        steps = Endless(count)
        tracemalloc.start()
        judge(steps, [steps], grid)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.02 * peaks[0], peaks


def test_half_of_the_truth_explains_three_quarters_of_it() -> None:
    steps = Endless(40)
    result = judge(steps, [steps], sample_grid(12)).results["half"]
    winds = [name.startswith(("ptend_u", "ptend_v")) for name in TARGETS]
    np.testing.assert_allclose(result.targets.r2[~np.array(winds)], 0.75, atol=0.02)


def test_a_grid_of_other_columns_is_refused() -> None:
    steps = Endless(1)
    with refused("the sample world's formulas", "has 24 columns, and the steps have 12"):
        judge(steps, [steps], sample_grid(24))
