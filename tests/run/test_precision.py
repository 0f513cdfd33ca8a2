"""Which precision networks compute in, what bf16 leaves in float32, and what is recorded of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from leapkit.core import receipts  # noqa: E402
from leapkit.core.errors import KitError  # noqa: E402
from leapkit.core.layout import Results  # noqa: E402
from leapkit.run import devices, member, precision, training_state  # noqa: E402
from leapkit.run.lowered import lower  # noqa: E402
from members.adam import experiments as adam  # noqa: E402
from members.adam import networks as adam_networks  # noqa: E402
from members.forcewithme import experiments as forcewithme  # noqa: E402
from members.forcewithme import networks as forcewithme_networks  # noqa: E402
from members.joseph import experiments as joseph  # noqa: E402
from members.joseph import networks as joseph_networks  # noqa: E402
from members.max2020 import experiments as max2020  # noqa: E402
from members.max2020 import networks as max2020_networks  # noqa: E402
from tests.helpers import small_run  # noqa: E402
from tests.helpers.refusals import refused  # noqa: E402

pytestmark = pytest.mark.stack

CPU = torch.device("cpu")
GPU = torch.device("cuda")
BUILT = {
    f"{module.__name__.split('.')[1]}/{experiment.id}": (networks.build, experiment)
    for module, networks in (
        (adam, adam_networks),
        (forcewithme, forcewithme_networks),
        (joseph, joseph_networks),
        (max2020, max2020_networks),
    )
    for experiment in module.EXPERIMENTS
}
# One of each kind of network.
KINDS = ("adam/200", "forcewithme/38", "forcewithme/39", "joseph/907", "joseph/912", "max2020/022")
KINDS += ("max2020/010", "forcewithme/40")


@pytest.fixture(autouse=True)
def _switches() -> Iterator[None]:
    yield
    precision.set_switches(precision.FLOAT32)


# ---- the choice ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "requested, device, chosen",
    [
        ("auto", CPU, "float32"),
        ("", CPU, "float32"),
        ("auto", GPU, "tf32"),
        ("float32", GPU, "float32"),
        ("tf32", GPU, "tf32"),
        ("bf16", CPU, "bf16"),
    ],
)
def test_a_precision_is_chosen_by_the_device(requested: str, device: Any, chosen: str) -> None:
    assert precision.choose(requested, device) == chosen


def test_tf32_on_a_cpu_is_refused() -> None:
    with refused("PRECISION=tf32", "a CPU has no TF32", "use PRECISION=float32"):
        precision.choose("tf32", CPU)


@pytest.mark.parametrize(
    "capability, cudnn, has_lstm, words",
    [
        ((7, 5), 92000, True, "a GPU of compute capability 7.5 has no units for bf16"),
        ((8, 6), 8200, True, "with cuDNN 8200 has no LSTM in bf16"),
        ((9, 0), 92000, False, "has no LSTM in bf16"),
        ((9, 0), 92000, True, ""),
    ],
)
def test_bf16_on_a_gpu_needs_its_units_and_an_lstm_of_cudnn(
    capability: Any, cudnn: int, has_lstm: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: cudnn)
    monkeypatch.setattr(precision, "_has_lstm_in_bf16", lambda device: has_lstm)
    if words:
        with refused("PRECISION=bf16", words, "use PRECISION=float32 or PRECISION=tf32"):
            precision.choose("bf16", GPU)
    else:
        assert precision.choose("bf16", GPU) == "bf16"


def test_an_lstm_that_is_not_cudnns_does_not_count() -> None:
    """A CPU computes it too, by itself: the question is answered by what the output came from."""
    assert not precision._has_lstm_in_bf16(CPU)


@pytest.mark.parametrize("chosen", precision.PRECISIONS)
def test_tf32_is_on_in_tf32_alone_as_the_teams_torch_had_it(chosen: str) -> None:
    devices.make_repeatable(0, chosen)
    is_on = chosen == "tf32"
    assert torch.backends.cudnn.allow_tf32 is is_on
    # torch 1.12, the version of four of the team, took it in cuDNN's layers alone.
    in_products = is_on and not torch.__version__.startswith("1.12")
    assert torch.backends.cuda.matmul.allow_tf32 is in_products


# ---- bf16 ----------------------------------------------------------------------------------------


def outputs_of(layers: Dict[Any, str], network: Any, x: Any) -> Dict[str, Any]:
    """Return {name of a layer: its last output} of a pass, and "" for the network's."""
    seen = {}

    def note(layer: Any, _: Any, output: Any) -> None:
        seen[layers[layer]] = output if isinstance(output, torch.Tensor) else output[0]

    handles = [layer.register_forward_hook(note) for layer in layers]
    seen[""] = network(x)
    for handle in handles:
        handle.remove()
    return seen


def is_rounded(layer: Any, *shape: int) -> bool:
    """Return whether a layer's output is that of an input that is bf16 already."""
    x = torch.randn(2, *shape)
    first = layer(x)
    again = layer(x.to(torch.bfloat16).float())
    return bool(torch.equal(*(y if isinstance(y, torch.Tensor) else y[0] for y in (first, again))))


@pytest.mark.parametrize("name", KINDS)
def test_bf16_rounds_products_and_leaves_all_else_in_float32(name: str) -> None:
    devices.make_repeatable(1)
    build, experiment = BUILT[name]
    exact = build(experiment.network["sample"]).eval()
    low = build(experiment.network["sample"]).eval()
    low.load_state_dict(exact.state_dict())
    assert lower(low) is low
    x = torch.randn(4, 556)
    layers = {layer: title for title, layer in low.named_modules() if title}
    seen = outputs_of(layers, low, x)
    assert all(output.dtype == torch.float32 for output in seen.values())
    z = exact(x)
    assert 1e-4 < float((seen[""] - z).detach().norm() / z.detach().norm()) < 0.02
    with torch.no_grad():  # inference takes another way through attention in torch 1.12
        assert float((low(x) - seen[""]).norm() / seen[""].norm()) < 0.01
    for network in (exact, low):
        network(x).square().mean().backward()
    gradients = [
        torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
        for network in (exact, low)
    ]
    assert gradients[1].dtype == torch.float32
    assert 0 < float((gradients[1] - gradients[0]).norm() / gradients[0].norm()) < 0.05
    assert all(parameter.dtype == torch.float32 for parameter in low.parameters())


@pytest.mark.parametrize("name", KINDS)
def test_every_head_stays_in_float32_and_every_lstm_does_not(name: str) -> None:
    build, experiment = BUILT[name]
    network = lower(build(experiment.network["sample"])).eval()
    heads = 0
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear) and layer.out_features == 14:
            heads += 1
            assert not is_rounded(layer, layer.in_features)
        elif isinstance(layer, torch.nn.LSTM):
            assert is_rounded(layer, 1, layer.input_size)
        elif isinstance(layer, torch.nn.LayerNorm):
            assert not is_rounded(layer, *layer.normalized_shape)
    assert heads == 1


def test_weights_that_lie_one_behind_the_other_are_rounded_at_once() -> None:
    """As cuDNN wants them: an LSTM on a GPU has them so."""
    if torch.__version__.startswith("1."):
        pytest.skip("bf16 on a GPU needs torch 2")
    from leapkit.run.lowered import _Rounded

    flat = torch.arange(40.0) / 7
    weights: List[Any] = [
        flat[4:16].view(4, 3).requires_grad_(),
        flat[16:20].detach().requires_grad_(),
    ]
    first, second = _Rounded.apply(*weights)
    assert first.dtype == second.dtype == torch.bfloat16
    assert torch.equal(first, weights[0].bfloat16()) and torch.equal(second, weights[1].bfloat16())
    assert second.data_ptr() - first.data_ptr() == 2 * 12, "in one piece of memory, in their order"
    (first.float().sum() + 2 * second.float().sum()).backward()
    assert weights[0].grad.unique().tolist() == [1.0] and weights[0].grad.dtype == torch.float32
    assert weights[1].grad.unique().tolist() == [2.0]


# ---- a run ---------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.modern  # the tests above compare layers in bf16 on every stack
def test_a_run_in_bf16_says_what_that_costs_and_receipts_keep_it(
    tiny_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    results = Results(tmp_path / "s")
    argv = small_run.arguments("reproduce", tiny_world, results.root, "--precision", "bf16")
    assert small_run.run(argv) == 0
    printed = capsys.readouterr().out
    folder = results.experiment("adam", "200")
    trained = receipts.read(folder / "200.pt")["details"]
    parquet = results.parquet(small_run.EXPERIMENT.artifact)
    predicted = receipts.read(parquet)["details"]
    for details in (trained, predicted):
        assert details["precision"] == "bf16"
        assert [one["precision"] for one in details["environments"]] == ["bf16"]
    cost = trained["precision cost"]
    assert cost["R2 in bf16"] == trained["validation"]["all_columns"]
    assert 0 < abs(cost["R2 in float32"] - cost["R2 in bf16"]) < 1e-3
    moved = predicted["precision cost"]
    assert 0 < moved["rms"] < 0.01 and moved["rows"] == 144
    assert f"{cost['R2 in float32']:.5f} with the same weights in float32" in printed
    assert f"bf16 moves predictions by {moved['rms']:.5f} standard deviations" in printed
    # What is finished in one precision is finished.
    before = parquet.read_bytes()
    assert small_run.run(argv[:-2]) == 0
    assert "its receipt proves it" in capsys.readouterr().out and parquet.read_bytes() == before


def state_of(folder: Path, **changes: Any) -> Path:
    """Change what the state of an unfinished training says of where it was begun."""
    path = folder / "200.state.pt"
    state = training_state.load(path)
    for name, value in changes.items():
        if value is None:
            del state["environments"][-1][name]
        else:
            state["environments"][-1][name] = value
    training_state.save(path, state)
    return path


@pytest.mark.process
@pytest.mark.modern
def test_a_training_is_not_ended_in_another_precision_and_float32_is_what_an_older_kit_had(
    tiny_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    results = Results(tmp_path / "s")
    argv = small_run.arguments("reproduce", tiny_world, results.root)
    save = training_state.save

    def ends_after(path: Path, value: Any) -> None:
        save(path, value)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training_state, "save", ends_after)
        with pytest.raises(KeyboardInterrupt):
            small_run.run(argv)
    folder = results.experiment("adam", "200")
    with pytest.raises(KitError, match=r"in float32.*in bf16.*remove this file to train anew"):
        small_run.run([*argv, "--precision", "bf16"])
    path = state_of(folder, precision="bf16")
    with pytest.raises(KitError, match=r"in bf16.*in float32"):
        small_run.run(argv)
    state_of(folder, precision=None)
    assert path.exists() and small_run.run(argv) == 0
    assert np.isfinite(np.load(str(folder / "oof.npy"))).all()


def test_a_member_takes_the_precisions_that_there_are() -> None:
    assert member.arguments("adam", ["reproduce"]).precision == "auto"
    for name in precision.PRECISIONS:
        assert member.arguments("adam", ["reproduce", f"--precision={name}"]).precision == name
    with pytest.raises(SystemExit):
        member.arguments("adam", ["reproduce", "--precision=fp16"])
