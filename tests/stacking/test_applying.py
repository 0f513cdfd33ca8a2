"""Test rows: without a correction the blend, and in pieces what all at once give."""

from __future__ import annotations

from typing import List

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from blend import apply
from blend.tables import WeightTable
from leapkit.core.columns import INPUTS, LINEAR, TARGETS, ZERO, kaggle_positions
from leapkit.core.layout import Results
from leapkit.data import kaggle_csv, submission
from leapkit.data.inference_set import InferenceSet
from leapkit.data.submission import OpenedParquet
from stacking import applying, training
from stacking.networks import StackConfig, StackNetwork
from stacking.units import Unit
from tests.helpers.small_blend import Maker

CPU = torch.device("cpu")
PREDICTED = [k for k in range(len(TARGETS)) if k not in kaggle_positions(ZERO + LINEAR)]


def network(seed: int) -> StackNetwork:
    """Return a network that corrects everything."""
    torch.manual_seed(seed)
    made = StackNetwork(3, StackConfig(hidden=4)).eval()
    torch.nn.init.normal_(made.last.weight)
    return made


def stacked(
    maker: Maker, results: Results, table: WeightTable, networks: List[StackNetwork]
) -> np.ndarray:
    ((_, x),) = kaggle_csv.read_test_csv(maker.raw.test_csv)
    inputs = maker.scaling.scaled_test_inputs(x)
    test_set = InferenceSet(maker.ids, inputs, maker.q0002)
    opened = [OpenedParquet(results.parquet(name)) for name in table.artifacts]
    sources = applying.sources_of(table, opened)
    blocks = applying.stacked(table, sources, networks, test_set, Unit(maker.scaling), CPU)
    return np.concatenate([np.array(block) for block in blocks])


def blended(maker: Maker, results: Results, table: WeightTable) -> np.ndarray:
    sources = [apply.Source(name, OpenedParquet(results.parquet(name))) for name in table.artifacts]
    return np.concatenate(list(apply.blended(table, sources, maker.ids)))


def test_an_untrained_network_leaves_the_blend_as_it_is_bit_for_bit(
    maker: Maker, trained: Results, table: WeightTable
) -> None:
    untrained = StackNetwork(3, StackConfig()).eval()
    y = stacked(maker, trained, table, [untrained, untrained])
    blend = blended(maker, trained, table)
    assert y[:, PREDICTED].tobytes() == blend[:, PREDICTED].tobytes()
    assert (y[:, kaggle_positions(ZERO)] == 0).all()
    # A blend's linear targets are off by the rounding of its sum; a stack's are the formula.
    formula = -maker.q0002 / 1200
    assert y[:, kaggle_positions(LINEAR)].tobytes() == formula.tobytes()


def test_a_correction_is_the_mean_of_the_networks_and_touches_no_formula(
    maker: Maker, trained: Results, table: WeightTable
) -> None:
    blend = blended(maker, trained, table)
    one, two, both = (
        stacked(maker, trained, table, networks) - blend
        for networks in ([network(1)], [network(2)], [network(1), network(2)])
    )
    weight = maker.scaling.weight
    np.testing.assert_allclose(both * weight, (one + two) / 2 * weight, rtol=1e-5, atol=1e-6)
    assert (np.abs(one * weight).max(axis=0)[PREDICTED] > 1e-3).all()
    assert (both[:, kaggle_positions(ZERO)] == 0).all()


def test_rows_in_pieces_give_the_same_bits_as_all_at_once(
    maker: Maker, trained: Results, table: WeightTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "BATCH", 24)
    whole = stacked(maker, trained, table, [network(1)])
    monkeypatch.setattr(submission, "ROW_GROUP", 48)
    assert stacked(maker, trained, table, [network(1)]).tobytes() == whole.tobytes()


def test_a_unit_gives_raw_values_back(maker: Maker) -> None:
    unit = Unit(maker.scaling)
    z = np.random.RandomState(0).standard_normal((5, len(TARGETS))).astype(np.float32)
    y = maker.scaling.raw(z, np.zeros((5, 16)))
    again = unit.of_raw(y + unit.raw_correction(z)) - unit.of_raw(y)
    expected = unit.of_raw(y + unit.raw_correction(2 * z)) - unit.of_raw(y + unit.raw_correction(z))
    np.testing.assert_allclose(again, expected, atol=2e-5)
    assert len(INPUTS) == 556 and np.abs(again).max() > 1
