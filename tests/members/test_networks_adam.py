"""ADAM's dropout, blocks and initialisation; test_networks_published checks the numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from leapkit.core.columns import INPUTS, TARGETS  # noqa: E402
from leapkit.nets.blocks import head_mean, initialise_by_name, to_sequence  # noqa: E402
from members.adam.experiments import EXPERIMENTS, NETWORK_195, AdamNetwork  # noqa: E402
from members.adam.networks import AdamNet, LevelConvolution, PositionTable  # noqa: E402
from tests.helpers.parity import load_fill  # noqa: E402

pytestmark = pytest.mark.stack

torch.set_num_threads(1)
SMALL = AdamNetwork((3, 4, 5), 8, 1, 2, "relu", "lstm+transformer+front", (6,))


# ---- what is only there in training --------------------------------------------------------------


def test_dropout_acts_in_training_and_only_there() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 556)
    network = AdamNet(replace(SMALL, dropout=0.5))
    assert not torch.equal(network.train()(x), network(x))
    assert torch.equal(network.eval()(x), network(x))


@pytest.mark.parametrize("key, share", [("195", 0.1), ("197", 0.0), ("200", 0.0)])
def test_only_195_drops_out(key: str, share: float) -> None:
    experiment = next(experiment for experiment in EXPERIMENTS if experiment.id == key)
    assert {experiment.network[profile].dropout for profile in experiment.network} == {share}


def test_a_network_without_dropout_computes_the_same_in_training() -> None:
    torch.manual_seed(0)
    network = AdamNet(SMALL)
    x = torch.randn(4, 556)
    assert torch.allclose(network.train()(x), network.eval()(x), rtol=0, atol=1e-6)


# ---- the blocks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel, left, right", [(2, 0, 1), (4, 1, 2), (6, 2, 3), (3, 1, 1)])
def test_an_even_kernel_pads_one_zero_more_at_the_bottom(
    kernel: int, left: int, right: int
) -> None:
    convolution = LevelConvolution(1, 1, kernel)
    with torch.no_grad():
        convolution.weight.copy_(torch.arange(1.0, kernel + 1).reshape(1, 1, -1))
        convolution.bias.zero_()
        levels = torch.arange(1.0, 61)
        convolved = convolution(levels.reshape(1, 1, -1))[0, 0]
    padded = np.concatenate([np.zeros(left), levels.numpy(), np.zeros(right)])
    expected = [
        float(padded[level : level + kernel] @ np.arange(1, kernel + 1)) for level in range(60)
    ]
    assert convolved.shape == (60,) and convolved.tolist() == expected


def test_the_position_table_holds_sines_and_cosines_of_26_columns() -> None:
    table = PositionTable().pe
    assert table.shape == (1, 60, 26) and table.dtype == torch.float32
    for level, pair in ((0, 0), (1, 0), (17, 3), (59, 12)):
        angle = level * math.exp(-2 * pair * math.log(1e4) / 26)
        assert float(table[0, level, 2 * pair]) == pytest.approx(math.sin(angle), abs=1e-7)
        assert float(table[0, level, 2 * pair + 1]) == pytest.approx(math.cos(angle), abs=1e-7)


def test_the_position_table_of_a_checkpoint_is_the_one_that_counts() -> None:
    layer = PositionTable()
    layer.load_state_dict({"pe": torch.full((1, 60, 26), 2.0)})
    assert torch.equal(layer(torch.ones(1, 60, 25)), torch.full((1, 60, 25), 3.0))


def test_inputs_become_the_references_sequence(reference):
    fill = load_fill(reference)
    x = fill.test_input()
    parity_input = np.load(str(reference / "parity" / "input.npz"))
    assert np.array_equal(parity_input["x556"], x)
    sequence = to_sequence(torch.from_numpy(x)).numpy()
    assert np.array_equal(sequence, fill.to_sequence(x)) and np.array_equal(
        sequence, parity_input["x60"]
    )


def test_a_channel_is_a_scalar_on_every_level_or_a_profile_along_levels() -> None:
    channels = to_sequence(torch.arange(556.0)[None])[0]
    for scalar in range(16):
        assert set(channels[:, scalar].tolist()) == {scalar}
    for profile in range(9):
        assert channels[:, 16 + profile].tolist() == list(
            range(16 + 60 * profile, 76 + 60 * profile)
        )


@pytest.mark.parametrize("shape", [(2, 555), (2, 557), (556,), (1, 1, 556), (60, 25)])
def test_inputs_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="expected \\(B, 556\\)"):
        AdamNet(SMALL)(torch.zeros(shape))


def test_the_head_averages_eight_channels_and_lays_out_six_profiles() -> None:
    y = torch.zeros(1, 60, 14)
    for channel in range(14):
        y[0, :, channel] = 1000 * channel + torch.arange(60.0)
    prediction = head_mean(y)[0]
    assert prediction.shape == (len(TARGETS),)
    assert prediction[:8].tolist() == [1000 * channel + 29.5 for channel in range(8)]
    for profile in range(6):
        assert prediction[8 + 60 * profile : 68 + 60 * profile].tolist() == [
            1000 * (8 + profile) + k for k in range(60)
        ]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(2, 9), st.integers(0, 2**31))
def test_initialisation_follows_names(inputs, hidden, seed):
    torch.manual_seed(seed)
    network = torch.nn.ModuleDict(
        {
            "lstm1": torch.nn.LSTM(inputs, hidden, 2, bidirectional=True),
            "fc": torch.nn.Linear(inputs, hidden),
            "other": torch.nn.Linear(inputs, hidden),
        }
    )
    before = {name: value.clone() for name, value in network.state_dict().items()}
    initialise_by_name(network)
    for name, value in network.state_dict().items():
        if name.startswith("other"):
            assert torch.equal(value, before[name])
        elif "weight_ih" in name or name == "fc.weight":
            bound = math.sqrt(6 / sum(value.shape))
            assert float(value.abs().max()) <= bound and not torch.equal(value, before[name])
        elif "weight_hh" in name:  # (4h, h), orthogonal as a whole: its columns are orthonormal
            assert torch.allclose(value.t() @ value, torch.eye(hidden), atol=1e-5)
        elif "bias_ih" in name:
            assert value.tolist() == [0.0] * hidden + [1.0] * hidden + [0.0] * (2 * hidden)
        else:
            assert not value.any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"convolutions": (0, 4, 5)},
        {"hidden": 0},
        {"layers": 0},
        {"heads": 0},
        {"heads": 3},
        {"activation": "tanh"},
        {"tail": "front"},
        {"tail_widths": (0,)},
        {"dropout": 1.0},
        {"dropout": -0.1},
    ],
)
def test_an_impossible_network_is_refused_when_it_is_described(wrong):
    with pytest.raises(ValueError):
        replace(NETWORK_195, **wrong)


def test_there_are_as_many_inputs_as_the_sequence_takes() -> None:
    assert len(INPUTS) == 16 + 9 * 60
