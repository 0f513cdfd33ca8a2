"""Slices of a batch get their rows of its dropout mask, and nothing else crosses rows."""

from __future__ import annotations

from importlib import import_module

import pytest

from leapkit.core.registry import discover
from tests.conftest import REPOSITORY

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from leapkit.run import divided_dropout  # noqa: E402

pytestmark = pytest.mark.stack

BATCH = 6
NETWORKS = {
    experiment.name: experiment.network["sample"]
    for experiments in discover(REPOSITORY).values()
    for experiment in experiments
    if not experiment.groups
}


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (0, 2, 1)], ids=str)
def test_masks_of_slices_are_those_of_the_batch(axes) -> None:
    """To the bit, in any order in memory: attention returns its rows level by level."""
    shape = (BATCH, 5, 8)
    x = torch.randn([shape[axis] for axis in axes]).permute([axes.index(axis) for axis in range(3)])
    torch.manual_seed(3)
    whole = nn.Dropout(0.3)(x)
    state = torch.get_rng_state()
    for rows in (slice(0, 2), slice(2, 6)):
        part = x[rows].permute(axes).contiguous().permute([axes.index(axis) for axis in range(3)])
        torch.manual_seed(3)
        layer = divided_dropout.DividedDropout(0.3, BATCH, rows)
        assert torch.equal(layer(part), whole[rows])
        assert torch.equal(torch.get_rng_state(), state)
        assert layer.eval()(part) is part
    assert (whole == 0).any()


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(4),
        nn.Dropout2d(0.1),
        nn.LSTM(4, 4, 2, dropout=0.1),
        nn.MultiheadAttention(4, 2, dropout=0.1),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_that_slices_would_change_is_refused(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match="1"):
        divided_dropout.divide(nn.Sequential(nn.Linear(4, 4), layer), BATCH, slice(0, 2))


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_of_every_network_depend_on_nothing_but_themselves(name: str) -> None:
    """In training: without its dropout a network draws nothing and mixes no rows."""
    torch.manual_seed(0)
    build = import_module(f"members.{name.split('/')[0]}.networks").build
    network = build(NETWORKS[name]).double().train()
    for layer in network.modules():
        if type(layer) is nn.Dropout:
            layer.p = 0.0
    divided_dropout.divide(network, BATCH, slice(0, BATCH))
    x = torch.randn(BATCH, 556, dtype=torch.float64)
    before = torch.get_rng_state()
    with torch.no_grad():
        whole = network(x)
        for rows in (slice(0, 2), slice(2, BATCH)):
            torch.testing.assert_close(network(x[rows]), whole[rows], rtol=1e-12, atol=1e-12)
    assert torch.equal(torch.get_rng_state(), before)
