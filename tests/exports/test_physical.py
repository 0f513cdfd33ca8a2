"""A network with its scaling inside computes what the kit's own prediction does."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import List, Sequence, Tuple

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from leapkit.core.columns import GROUPS, INPUTS, LINEAR_INPUTS
from leapkit.data.families import FAMILIES
from leapkit.data.scaling import Scaling
from leapkit.emulators.parts import EmulatorParts, NetworkParts
from leapkit.exports.contracts import COUPLED, KAGGLE
from leapkit.exports.physical import GroupCopies, physical_network
from leapkit.nets.blocks import LstmBlock, SelfAttention
from leapkit.run.inference import GroupCheckpoint
from leapkit.run.prediction import targets_of
from tests.helpers.parity import EXPERIMENTS

pytestmark = pytest.mark.stack

# One of each kind: transformer, attention, convolutions, Mamba; the last two of seven checkpoints.
NAMES = ("adam/195", "joseph/912", "zuiye/A", "forcewithme/40-stage1", "max2020/014", "max2020/010")
EXACT = ("forcewithme/40-stage1", "max2020/014")  # without attention


class Untrained(NetworkParts):
    """A network without files: each checkpoint has weights of its own."""

    def modules(self) -> List[torch.nn.Module]:
        modules = []
        for seed, _ in enumerate(self.checkpoints):
            torch.manual_seed(seed)
            modules.append(self.build())
        return modules


def untrained(name: str) -> Untrained:
    experiment = EXPERIMENTS[name]
    random = np.random.RandomState(1)
    means = [random.standard_normal(size) for size in (556, 368)]
    stds = [random.uniform(0.5, 2.0, size) for size in (556, 368)]
    weight = random.uniform(0.5, 2.0, 368)
    scaling = Scaling(FAMILIES[experiment.family], means[0], stds[0], means[1], stds[1], weight)
    groups = experiment.checkpoint_groups
    files = tuple(GroupCheckpoint(Path(f"g{group}"), targets_of(group)) for group in groups)
    return Untrained(experiment, "sample", files, scaling)


def emulator(names: Sequence[str], weights: np.ndarray) -> EmulatorParts:
    return EmulatorParts("some", tuple(untrained(name) for name in names), weights)


def of_one(name: str) -> EmulatorParts:
    return emulator((name,), np.ones((1, 368)))


def predicted(network: NetworkParts, x: np.ndarray) -> np.ndarray:
    """Return (n, 368) float64 raw as leapkit.run predicts them."""
    scaled = torch.from_numpy(network.scaling.scaled_test_inputs(x))
    z = np.empty((len(x), 368), dtype=np.float32)
    with torch.no_grad():
        for module, checkpoint in zip(network.modules(), network.checkpoints):
            z[:, checkpoint.targets] = module(scaled)[:, checkpoint.targets].numpy()
    return network.scaling.raw(z, x[:, [INPUTS.index(name) for name in LINEAR_INPUTS]])


@pytest.fixture(scope="module")
def rows() -> Tuple[np.ndarray, torch.Tensor]:
    """Return the same seven rows in Kaggle's order, float64, and in the coupled model's."""
    coupled = np.random.RandomState(2).standard_normal((7, 557)).astype(np.float32)
    return coupled[:, COUPLED.to_kaggle].astype(np.float64), torch.from_numpy(coupled)


@pytest.mark.parametrize("name", NAMES)
def test_one_network_gives_the_kits_numbers_cast_once(name: str, rows) -> None:
    parts = of_one(name)
    x, coupled = rows
    y = physical_network(parts, COUPLED)(coupled)
    expected = predicted(parts.networks[0], x).astype(np.float32)
    assert y.dtype == torch.float32 and y.shape == (7, 368)
    if name in EXACT:
        assert np.array_equal(y.numpy(), expected)
    np.testing.assert_allclose(y.numpy(), expected, rtol=2e-6, atol=2e-5)


def test_both_orders_of_inputs_give_the_same_and_snow_on_ice_is_not_looked_at(rows) -> None:
    x, coupled = rows
    network = physical_network(of_one("max2020/014"), COUPLED)
    other = network.taking(KAGGLE)(torch.from_numpy(x.astype(np.float32)))
    changed = coupled.clone()
    changed[:, COUPLED.inputs.index("cam_in_SNOWHICE")] = float("nan")
    assert torch.equal(network(coupled), other) and torch.equal(network(changed), other)


def test_the_coupled_model_has_the_gases_before_the_scalars() -> None:
    """Positions of mmf_nn_emulator.F90, case('v2'), which counts from 1."""
    assert len(COUPLED.inputs) == 557 and sorted(COUPLED.to_kaggle) != COUPLED.to_kaggle
    for position, name in {
        1: "state_t_0",
        61: "state_q0001_0",
        360: "state_v_59",
        361: "pbuf_ozone_0",
        540: "pbuf_N2O_59",
        541: "state_ps",
        547: "pbuf_COSZRS",
        555: "cam_in_OCNFRAC",
        556: "cam_in_SNOWHICE",
        557: "cam_in_SNOWHLAND",
    }.items():
        assert COUPLED.inputs[position - 1] == name
    assert KAGGLE.to_kaggle == list(range(556))
    assert sum(width for _, _, width in COUPLED.variables()) == 557


def test_a_blend_is_the_sum_in_float64_before_the_cast(rows) -> None:
    x, coupled = rows
    weights = np.random.RandomState(3).uniform(0.1, 0.9, (2, 368))
    parts = emulator(("forcewithme/40-stage1", "max2020/014"), weights)
    values = [predicted(network, x) for network in parts.networks]
    total = np.zeros((7, 368))
    for network_weights, value in zip(weights, values):
        total += network_weights * value
    total[:, 132:148] = values[0][:, 132:148]  # no weights of these sum to 1: the formula stays
    y = physical_network(parts, COUPLED)(coupled).numpy()
    assert np.array_equal(y, total.astype(np.float32))


def test_a_single_network_may_be_weighted(rows) -> None:
    _, coupled = rows
    half, whole = (
        physical_network(emulator(("max2020/014",), np.full((1, 368), weight)), COUPLED)(coupled)
        for weight in (0.5, 1.0)
    )
    assert torch.equal(half[:, :60], whole[:, :60] / 2)


@pytest.mark.parametrize("name", ["adam/195", "max2020/014", "forcewithme/40-stage1"])
def test_zero_rows_are_finite_and_strides_do_not_matter(name: str, rows) -> None:
    _, coupled = rows
    network = physical_network(of_one(name), COUPLED)
    assert bool(torch.isfinite(network(torch.zeros(3, 557))).all())
    strided = coupled.t().contiguous().t()
    assert strided.stride() == (1, 7) and torch.equal(network(strided), network(coupled))


@pytest.mark.parametrize("name", NAMES)
def test_all_constants_are_buffers_and_a_trace_holds_no_device(name: str) -> None:
    network = physical_network(of_one(name), COUPLED, ("positivity", "stratosphere"))
    attributes = {
        key
        for module in network.modules()
        for key, value in vars(module).items()
        if isinstance(value, torch.Tensor)
    }
    assert not attributes
    assert not any(parameter.requires_grad for parameter in network.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, torch.zeros(2, 557), check_trace=False)
    graph = str(traced.inlined_graph)
    assert "Device" not in graph and "<Tensor>" not in graph


def test_each_copy_gives_its_own_group(rows) -> None:
    class Constant(torch.nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full((len(x), 368), self.value)

    y = GroupCopies([Constant(k) for k in range(7)], GROUPS)(torch.zeros(2, 556))
    expected = np.repeat(np.arange(7), [8] + [60] * 6)
    assert np.array_equal(y.numpy(), [expected, expected])
    with pytest.raises(ValueError, match="do not follow"):
        GroupCopies([Constant(0), Constant(1)], (slice(8, 368), slice(0, 8)))


def test_portable_layers_share_the_weights_of_a_network_that_stays_as_it_is() -> None:
    from leapkit.exports.portable import PortableAttention, PortableLstm, portable

    network = torch.nn.Sequential(LstmBlock(8), SelfAttention(8, 2)).eval()
    copied = portable(network)
    portable_kinds = {PortableLstm, PortableAttention}
    assert portable_kinds <= {type(module) for module in copied.modules()}
    assert not portable_kinds & {type(module) for module in network.modules()}
    pointers = [{p.data_ptr() for p in each.parameters()} for each in (network, copied)]
    assert pointers[0] == pointers[1]
    x = torch.randn(2, 60, 8)
    with torch.no_grad():
        assert torch.allclose(network(x), copied(x), rtol=0, atol=1e-6)
