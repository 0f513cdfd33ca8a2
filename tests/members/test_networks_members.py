"""All members' networks at sample width have the full architectures and are initialised as due."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from dataclasses import asdict, replace

import pytest

torch = pytest.importorskip("torch")

from leapkit.core.columns import TARGETS  # noqa: E402
from leapkit.data.checkpoints import load_into, read_tensors  # noqa: E402
from leapkit.nets.blocks import gelu, head_last, head_mean, to_sequence  # noqa: E402
from leapkit.run import devices  # noqa: E402
from leapkit.run.losses import loss_all  # noqa: E402
from members.forcewithme.experiments import CNNLSTM, LSTM_MAMBA_PAIRS, LSTMMAMBA_1, RESLSTM  # noqa: E402
from members.joseph.experiments import NETWORK_907, NETWORK_912  # noqa: E402
from members.max2020.experiments import NETWORK_007, NETWORK_015  # noqa: E402
from members.zuiye.experiments import NETWORK_B  # noqa: E402
from tests.helpers.parity import EXPERIMENTS, MEMBERS, build  # noqa: E402

pytestmark = pytest.mark.stack

torch.set_num_threads(1)
every_experiment = pytest.mark.parametrize(
    "experiment", EXPERIMENTS.values(), ids=list(EXPERIMENTS)
)
SIZES = {"hidden", "layers", "blocks", "width", "encoder", "heads", "tail_widths"}
UNUSED = re.compile(
    r"(enc_norm|layer_norm)\.|lstm_layers\.[1-9]\.resfc\."
)  # in the published files all the same


def sample(experiment, seed=0):
    devices.make_repeatable(seed)
    return build(experiment.member, experiment.network["sample"])


def inputs(rows=2, dtype=torch.float32):
    return torch.randn(rows, 556, dtype=dtype, generator=torch.Generator().manual_seed(1))


# ---- every experiment ----------------------------------------------------------------------------


@every_experiment
def test_it_predicts_every_target_of_every_row_on_its_own(experiment):
    """No network uses batch statistics: a row's result depends on no other row but for rounding."""
    network = sample(experiment).double().eval()
    x = inputs(dtype=torch.float64)
    with torch.no_grad():
        prediction = network(x)
        row_by_row = torch.cat([network(x[:1]), network(x[1:])])
    assert prediction.shape == (2, len(TARGETS)) and bool(torch.isfinite(prediction).all())
    assert torch.allclose(prediction, row_by_row, rtol=0, atol=1e-12)


@every_experiment
def test_a_sample_network_differs_from_the_full_one_in_sizes_alone(experiment):
    full, small = experiment.network["full"], experiment.network["sample"]
    assert type(small) is type(full) and architecture(small) == architecture(
        full, getattr(small, "layers", None)
    )


def architecture(config, layers=None):
    """Return the config without its sizes, as far as `layers`."""
    features = {name: value for name, value in asdict(config).items() if name not in SIZES}
    for name in {"gelu", "residual", "saved"} & set(features):
        features[name] = [layer for layer in features[name] if layers is None or layer < layers]
    for name in {"mamba_state", "state", "mambas"} & set(features):
        features[name] = features[name] > 0
    if "convolutions" in features:
        features["convolutions"] = [
            pair[0] if isinstance(pair, tuple) else "" for pair in features["convolutions"]
        ]
    return features


@every_experiment
def test_training_reaches_every_parameter_that_the_forward_pass_uses(experiment):
    network = sample(experiment).train()
    (network(inputs()) * torch.randn(2, 368)).sum().backward()
    unused = {
        name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.any())
    }
    uses_its_norm = type(experiment.network["sample"]).__name__ == "CnnLstm"
    assert unused == {
        name for name, _ in network.named_parameters() if UNUSED.match(name) and not uses_its_norm
    }


@every_experiment
def test_the_same_seed_makes_the_same_network_and_another_seed_another(experiment):
    weights, same_seed, other_seed = (
        list(sample(experiment, seed).state_dict().values()) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(weights, same_seed))
    assert not all(torch.equal(a, b) for a, b in zip(weights, other_seed))


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("member", MEMBERS)
def test_a_file_loads_with_and_without_dataparallels_prefix(member, prefix, tmp_path):
    experiment = [experiment for experiment in EXPERIMENTS.values() if experiment.member == member][
        -1
    ]
    network, again = sample(experiment, 1), sample(experiment, 2)
    torch.save(
        OrderedDict((prefix + name, tensor) for name, tensor in network.state_dict().items()),
        str(tmp_path / "n.pt"),
    )
    load_into(again, read_tensors(tmp_path / "n.pt"), "n.pt")
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), again.state_dict().values())
    )


def test_zuiyes_designs_have_no_published_files_and_no_place_in_the_blend() -> None:
    experiments = [
        experiment for experiment in EXPERIMENTS.values() if experiment.member == "zuiye"
    ]
    assert [experiment.id for experiment in experiments] == ["A", "B"] and all(
        experiment.artifact for experiment in experiments
    )
    assert not any(experiment.published or experiment.blended for experiment in experiments)


# ---- what is impossible --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network, wrong",
    [
        (RESLSTM, {"layers": 0}),
        (RESLSTM, {"hidden": 0}),
        (LSTM_MAMBA_PAIRS, {"mamba_state": -1}),
        (RESLSTM, {"gelu": (8,)}),
        (RESLSTM, {"residual": (1, 8)}),
        (RESLSTM, {"saved": (-1,)}),
        (RESLSTM, {"layers": 7}),
        (RESLSTM, {"saved": ()}),
        (RESLSTM, {"saved": (0, 1)}),
        (RESLSTM, {"saved": (2,)}),
        (RESLSTM, {"residual": (0, 1)}),
        (NETWORK_015, {"residual": (2, 3)}),
        (CNNLSTM, {"encoder": 0}),
        (CNNLSTM, {"blocks": 0}),
        (CNNLSTM, {"convolutions": ((3, 0),)}),
        (CNNLSTM, {"convolutions": ((0, 3),)}),
        (LSTMMAMBA_1, {"hidden": 0}),
        (LSTMMAMBA_1, {"blocks": 0}),
        (LSTMMAMBA_1, {"mambas": -1}),
        (LSTMMAMBA_1, {"state": 0}),
        (NETWORK_907, {"hidden": 0}),
        (NETWORK_907, {"layers": 0}),
        (NETWORK_907, {"heads": 0}),
        (NETWORK_907, {"heads": 3}),
        (NETWORK_912, {"width": 0}),
        (NETWORK_912, {"blocks": 0}),
        (NETWORK_912, {"kernel": 0}),
        (NETWORK_912, {"heads": 3}),
        (NETWORK_912, {"dropout": 1.0}),
        (NETWORK_912, {"dropout": -0.1}),
        (NETWORK_912, {"dropouts": ()}),
        (NETWORK_912, {"dropouts": (0.1, 1.0)}),
        (NETWORK_912, {"dropouts": (0.1, float("nan"))}),
        (NETWORK_007, {"hidden": (0, 256)}),
        (NETWORK_007, {"hidden": (400, 0)}),
        (NETWORK_007, {"layers": 0}),
        (NETWORK_007, {"heads": 0}),
        (NETWORK_007, {"heads": 3}),
        (NETWORK_B, {"hidden": 0}),
        (NETWORK_B, {"layers": 0}),
        (NETWORK_B, {"heads": 0}),
        (NETWORK_B, {"heads": 3}),
        (NETWORK_B, {"convolutions": ((3, 0),)}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else type(value).__name__,
)
def test_an_impossible_network_is_refused_when_it_is_described(network, wrong):
    with pytest.raises(ValueError):
        replace(network, **wrong)


# ---- initialisation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number, forget", [("014", False), ("015", False), ("021", True), ("022", True)]
)
def test_only_021_and_022_start_with_open_forget_gates_and_empty_biases(
    number: str, forget: bool
) -> None:
    network = sample(EXPERIMENTS[f"max2020/{number}-stage1"])
    for name, value in network.state_dict().items():
        if "bias_ih" in name:
            assert (
                value.reshape(4, -1).unique(dim=1).flatten().tolist() == [0.0, 1.0, 0.0, 0.0]
            ) == forget
        elif "bias_hh" in name or name == "fc.0.bias":
            assert bool(value.any()) != forget
        elif name.startswith("residual_stack"):
            assert set(value.flatten().tolist()) == {1.0 if name.endswith("weight") else 0.0}


def test_907s_head_is_kaiming_normal_by_fan_in() -> None:
    head = build("joseph", replace(NETWORK_907, layers=1)).final_fc.weight.detach()
    assert float(head.std()) == pytest.approx(
        math.sqrt(2 / 512), rel=0.05
    )  # 7168 draws; torch's own have 0.41 of it
    assert float(head.abs().max()) > 3 * math.sqrt(2 / 512)  # no uniform draw reaches that far


def test_912s_blocks_and_head_are_xavier_uniform_with_empty_biases_and_its_attention_is_torchs():
    network = build("joseph", replace(NETWORK_912, blocks=2))
    for name, value in network.state_dict().items():
        if name.startswith("attention"):
            bound = (
                math.sqrt(6 / (4 * 256))
                if name == "attention.in_proj_weight"
                else math.sqrt(1 / 256)
            )
        else:
            taps = value[0][0].numel() if value.dim() > 1 else 1
            bound = math.sqrt(6 / (taps * sum(value.shape[:2])))
        largest = float(value.abs().max())
        assert largest == 0 if "bias" in name else 0.98 * bound < largest <= bound, name


# ---- what each one computes ----------------------------------------------------------------------


def test_912s_dropouts_act_in_training_and_only_there() -> None:
    experiment = EXPERIMENTS["joseph/912"]
    x = inputs()
    network = sample(experiment)
    assert not torch.equal(network.train()(x), network(x))
    assert torch.equal(network.eval()(x), network(x))
    for without_dropout in ({"dropout": 0.0}, {"dropouts": (0.0,) * 4}):
        network = build("joseph", replace(experiment.network["sample"], **without_dropout))
        assert not torch.equal(network.train()(x), network(x)), "the other dropouts still act"
    network = build(
        "joseph", replace(experiment.network["sample"], dropout=0.0, dropouts=(0.0,) * 4)
    )
    assert torch.allclose(network.train()(x), network.eval()(x), rtol=0, atol=1e-6)


def test_912s_head_in_training_is_the_mean_over_its_dropouts() -> None:
    """One of four dropouts drops everything, so three quarters remain; the bias starts at 0."""
    config = replace(
        EXPERIMENTS["joseph/912"].network["sample"], dropout=0.0, dropouts=(0.0, 0.0, 0.0, 1 - 1e-9)
    )
    network = build("joseph", config).double()
    x = inputs(dtype=torch.float64)
    assert torch.allclose(network.train()(x), 0.75 * network.eval()(x), rtol=0, atol=1e-9)


def test_in_907_each_lstm_adds_the_raw_output_of_the_one_before_and_the_last_raw_output_goes_on():
    network = sample(EXPERIMENTS["joseph/907"]).double().eval()
    x = inputs(dtype=torch.float64)
    with torch.no_grad():
        raw = [network.lstm_0(to_sequence(x))]
        lstm_input = raw[0]
        for lstm in network.lstm_layers:
            raw.append(lstm(lstm_input))
            lstm_input = raw[-1] + raw[-2]
        expected = head_mean(network.final_fc(network.attention(raw[-1])))
        assert len(raw) == 4 and torch.allclose(network(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "number, first, source", [("014", 2, 0), ("015", 3, 2), ("021", 1, 0), ("022", 1, 0)]
)
def test_a_stack_mixes_from_one_layer_on_and_starts_with_the_output_of_the_right_one(
    number: str, first: int, source: int
) -> None:
    """In 014, layer 1 is neither mixed nor mixed in. In 015 the last saved layer counts."""
    network = sample(EXPERIMENTS[f"max2020/{number}-stage1"]).double().eval()
    x = inputs(dtype=torch.float64)
    with torch.no_grad():
        h = to_sequence(x)
        after = []
        for lstm, norm in zip(network.lstm_stack.values(), network.residual_stack):
            h = norm(lstm(h))
            i = len(after)
            if i >= first:
                h = torch.nn.functional.gelu(0.7 * h + 0.3 * after[source if i == first else i - 1])
            after.append(h)
        assert len(after) > first and torch.allclose(
            network(x), head_mean(network.fc(h)), rtol=0, atol=1e-12
        )


def test_007_alone_reads_the_scalars_from_the_lowest_level() -> None:
    y = torch.randn(3, 60, 14, generator=torch.Generator().manual_seed(0))
    last = head_last(y)
    mean = head_mean(y)
    assert torch.equal(last[:, :8], y[:, 59, :8]) and torch.equal(last[:, 8:], mean[:, 8:])
    assert not torch.allclose(last[:, :8], mean[:, :8])
    for name, head in (("max2020/007", head_last), ("zuiye/A", head_mean)):
        network = sample(EXPERIMENTS[name]).eval()
        x = inputs()
        with torch.no_grad():
            h = to_sequence(x)
            for lstm in [network.lstml, network.lstm2] if name == "max2020/007" else [network.lstm]:
                h = lstm(h)
            assert torch.allclose(
                network(x), head(network.fc(network.attention(h))), rtol=0, atol=1e-6
            )


@every_experiment
def test_gradients_in_float32_are_those_in_float64(experiment):
    """torch 1.10 and 1.12 compute GELU wrongly on a CPU behind a batch-first LSTM.

    The tolerance of 1e-3 is for rounding over sixty levels.
    """
    network = sample(experiment).eval()
    x, y = torch.randn(5, 556), torch.randn(5, 368)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        network.to(dtype).zero_grad()
        loss_all(network(x.to(dtype)), y.to(dtype), 1.0).backward()
        gradients.append(
            [None if p.grad is None else p.grad.double().clone() for p in network.parameters()]
        )
    largest = max(float(b.norm()) for b in gradients[1] if b is not None)
    for (parameter, _), a, b in zip(network.named_parameters(), *gradients):
        assert (a is None) == (b is None)
        if b is not None:
            assert float((a - b).norm()) <= 1e-3 * (float(b.norm()) + 1e-3 * largest), parameter


def test_gelu_passes_a_gradient_back_that_is_not_contiguous() -> None:
    gradient = torch.randn(60, 7, 48)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        x = (
            torch.linspace(-3, 3, 7 * 60 * 48, dtype=torch.float64)
            .reshape(7, 60, 48)
            .to(dtype)
            .requires_grad_()
        )
        gelu(x).transpose(0, 1).backward(gradient.to(dtype))
        gradients.append(x.grad.double())
    assert torch.allclose(gradients[0], gradients[1], rtol=0, atol=1e-5)
