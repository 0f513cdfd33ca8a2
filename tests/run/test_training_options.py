"""Runs with options: killed they go on to the same bytes, and they leave what plain runs leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
import pytest

from tests.helpers import small_run

torch = pytest.importorskip("torch")

import leapkit  # noqa: E402
from blend.postprocess import BOUNDED_TARGETS, STATES  # noqa: E402
from leapkit.core import receipts  # noqa: E402
from leapkit.core.files import sha256  # noqa: E402
from leapkit.core.layout import RawData, RunFiles  # noqa: E402
from leapkit.core.recipes import CosineRestarts, Recipe  # noqa: E402
from leapkit.core.training_options import TrainingOptions, parse  # noqa: E402
from leapkit.data import (  # noqa: E402
    checkpoints,
    kaggle_csv,
    submission,
    validation_predictions,
)
from leapkit.data.score import Score  # noqa: E402
from leapkit.emulators import __main__ as command_line  # noqa: E402
from leapkit.run import (  # noqa: E402
    batches,
    inference,
    precision_cost,
    training,
    training_state,
)
from leapkit.run.evaluation import evaluate  # noqa: E402
from leapkit.run.member import main  # noqa: E402
from leapkit.run.positivity import WaterBound, bounded  # noqa: E402
from leapkit.run.precision import BF16  # noqa: E402
from leapkit.run.processes import ALONE, Processes  # noqa: E402
from members.adam.experiments import EXPERIMENTS  # noqa: E402
from members.adam.networks import build  # noqa: E402

pytestmark = [pytest.mark.process, pytest.mark.stack]

torch.set_num_threads(1)
CPU = torch.device("cpu")
RECIPE = replace(small_run.RECIPE, epochs=2, early_stop=False)
OPTIONS = {
    "confidence": "confidence=0.5",
    "ema": "ema=0.9",
    "positivity": "positivity",
    "input_noise": "input_noise=0.1",
    "groups": "target_weights=groups",
    "scored": "target_weights=scored",
    "targets": "target_weights=targets",
    "tails": "target_weights=tails",
    "several": "confidence=0.5,ema=0.9,positivity,target_weights=targets",
}
each_option = pytest.mark.parametrize("option", list(OPTIONS))


def recipe_with(option: str, recipe: Recipe = RECIPE) -> Recipe:
    return replace(recipe, options=parse(OPTIONS[option]))


def train(
    data: Any, folder: Path, recipe: Recipe, groups: Sequence[Any] = (None,)
) -> List[training.Trained]:
    folder.mkdir(exist_ok=True)
    tasks = [training.Task(RunFiles(folder, "200", g), recipe, "key", group=g) for g in groups]
    runs = training.train_together(lambda: build(small_run.NETWORK), tasks, *data, CPU)
    return [trained for _, trained in runs]


def products(folder: Path) -> Dict[str, bytes]:
    """Return what runs leave but their states, whose random numbers others have drawn as well."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if not path.name.endswith((".state.pt", ".json"))
    }


@pytest.fixture(scope="module")
def runs(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Path]:
    """Return the folders of whole runs with each option, and of the plain one."""
    folders = {}
    for name in ("plain", *OPTIONS):
        folders[name] = tmp_path_factory.mktemp(name)
        train(data, folders[name], recipe_with(name) if name in OPTIONS else RECIPE)
    return folders


@each_option
def test_an_option_changes_what_is_trained_and_a_head_is_a_file_of_its_own(
    option: str, runs: Dict[str, Path]
) -> None:
    left, plain = products(runs[option]), products(runs["plain"])
    assert set(plain) == {"200.pt", "oof.npy", "log.txt"}
    heads = {"200.confidence.pt"} if parse(OPTIONS[option]).confidence else set()
    assert set(left) == set(plain) | heads
    assert left["oof.npy"] != plain["oof.npy"]


@each_option
def test_a_checkpoint_is_one_of_the_plain_network_and_gives_the_kept_predictions(
    option: str, runs: Dict[str, Path], data: Any
) -> None:
    """So what reads it needs to know of no option but the bound."""
    network = build(small_run.NETWORK)
    inference.load(network, runs[option] / "200.pt")
    predictions: List[np.ndarray] = []
    evaluate(
        [bounded(network, parse(OPTIONS[option]), data[2])],
        RECIPE.validation_batch,
        data[1],
        data[2],
        CPU,
        [lambda chunk: predictions.append(chunk.copy())],
    )
    kept = validation_predictions.read(runs[option] / "oof.npy")
    assert np.array_equal(np.concatenate(predictions), np.asarray(kept))


@pytest.mark.parametrize("option", ["confidence", "ema", "input_noise", "tails", "several"])
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(
    option: str,
    runs: Dict[str, Path],
    data: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ends when the third evaluation has left its files, and before its state."""
    save = training_state.save
    calls: List[int] = []

    def ends(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        save(*arguments)

    monkeypatch.setattr(training_state, "save", ends)
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path, recipe_with(option))
    train(data, tmp_path, recipe_with(option))
    assert len(calls) == 5, "the second run makes the two evaluations that were left"
    assert products(tmp_path) == products(runs[option])


@pytest.mark.modern
def test_groups_in_lockstep_leave_the_bytes_of_groups_alone(data: Any, tmp_path: Path) -> None:
    recipe = recipe_with("several", replace(RECIPE, schedule=CosineRestarts(1, 1, 1e-7)))
    for group in (0, 3):
        train(data, tmp_path / "alone", recipe, [group])
    train(data, tmp_path / "together", recipe, [0, 3])
    alone = products(tmp_path / "alone")
    assert len(alone) == 8 and products(tmp_path / "together") == alone


@pytest.mark.modern
def test_options_compute_in_bf16_and_keep_head_and_averages_in_float32(
    data: Any, tmp_path: Path
) -> None:
    """The receipt's cost of bf16 is that of the bounded network with the averaged weights."""
    recipe = recipe_with("several", replace(RECIPE, epochs=1))
    task = training.Task(RunFiles(tmp_path, "200"), recipe, "key", precision=BF16)
    trained = training.train(lambda: build(small_run.NETWORK), task, *data, CPU)
    state = training_state.load(task.files.state)["options"]
    assert {t.dtype for part in ("head", "average") for t in state[part].values()} == {
        torch.float32
    }
    cost = precision_cost.of_training(
        build(small_run.NETWORK), task, trained, data[1], data[2], CPU
    )
    assert cost["R2 in bf16"] == trained.score.all_columns
    assert abs(cost["R2 in bf16"] - cost["R2 in float32"]) < 0.02


def test_the_checkpoint_is_the_average_of_the_weights_after_every_update(
    data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By NumPy in float64 from the weights that the loop had; they themselves go on unaveraged."""
    averages: List[Dict[str, np.ndarray]] = []
    update = training._update

    def noted(run: training.Run, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if not averages:
            averages.append(_weights(run.network))
        t = run.epoch * run.steps + run.step
        loss = update(run, x, y)
        d = min(0.9, (1 + t) / (10 + t))
        after = _weights(run.network)
        averages.append({k: d * averages[-1][k] + (1 - d) * after[k] for k in after})
        return loss

    monkeypatch.setattr(training, "_update", noted)
    score = Score(0.0, 0.0, (0.0,) * 7)
    gains = iter(range(9))

    def better(*arguments: Any) -> List[Score]:
        [one] = evaluate(*arguments)
        return [replace(score, all_columns=float(next(gains)), predicted=one.predicted)]

    monkeypatch.setattr(training, "evaluate", better)  # the last evaluation is the best
    train(data, tmp_path, recipe_with("ema"))
    state = training_state.load(tmp_path / "200.state.pt")
    saved = checkpoints.read_tensors(tmp_path / "200.pt")
    assert len(averages) == 1 + 2 * 6
    for name, average in averages[-1].items():
        np.testing.assert_allclose(saved[name], average, rtol=1e-4, atol=1e-6)
    assert any(not np.array_equal(state["network"][name], saved[name]) for name in averages[-1])


def _weights(network: torch.nn.Module) -> Dict[str, np.ndarray]:
    return {name: p.detach().double().numpy().copy() for name, p in network.named_parameters()}


def test_kept_predictions_leave_no_less_than_no_water(runs: Dict[str, Path], data: Any) -> None:
    floors = np.concatenate(
        [
            WaterBound(data[2]).floor(torch.from_numpy(x.copy())).numpy()
            for x, _ in data[1].in_order(50)
        ]
    )
    bounded_ones = validation_predictions.read(runs["positivity"] / "oof.npy")
    free = validation_predictions.read(runs["plain"] / "oof.npy")
    assert (np.asarray(bounded_ones) >= floors).all() and not (np.asarray(free) >= floors).all()


# ---- noise ---------------------------------------------------------------------------------------


class OneOf(Processes):
    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size


def drawn(
    data: Any, std: float, start: int = 0, epoch: int = 1, processes: Processes = ALONE
) -> List[Any]:
    recipe = replace(RECIPE, options=TrainingOptions(input_noise=std))
    return list(batches.training_batches(data[0], recipe, epoch, start, CPU, processes))


def test_noise_is_normal_of_its_std_on_inputs_alone(data: Any) -> None:
    noise = []
    for (x, y), (noisy, same) in zip(drawn(data, 0.0), drawn(data, 0.25)):
        assert torch.equal(y, same)
        noise.append(((noisy - x) / 0.25).double())
    values = torch.cat(noise).flatten().numpy()
    count = len(values)
    assert count == 6 * 96 * 556
    moments = [float((values**k).mean()) for k in (1, 2, 4)]
    for moment, expected, variance in zip(moments, (0, 1, 3), (1, 2, 96)):
        assert abs(moment - expected) < 5 * (variance / count) ** 0.5


def test_noise_is_a_function_of_seed_epoch_and_update(data: Any) -> None:
    whole = drawn(data, 0.1)
    rest = drawn(data, 0.1, start=2)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole[2:], rest)) and len(rest) == 4
    noise = [a[0] - b[0] for a, b in zip(whole, drawn(data, 0.0))]
    other = [a[0] - b[0] for a, b in zip(drawn(data, 0.1, epoch=2), drawn(data, 0.0, epoch=2))]
    for another in (noise[1], other[0]):
        assert float((noise[0] - another).std()) > 0.1, "independent ones differ by 0.14"


def test_processes_share_the_noise_of_the_whole_batch(data: Any) -> None:
    whole = drawn(data, 0.1)
    parts = [drawn(data, 0.1, processes=OneOf(rank, 3)) for rank in range(3)]
    for number, (x, y) in enumerate(whole):
        assert torch.equal(torch.cat([part[number][0] for part in parts]), x)
        assert torch.equal(torch.cat([part[number][1] for part in parts]), y)


# ---- the command ---------------------------------------------------------------------------------


def reproduce(raw: Path, results: Path, *more: str) -> Dict[str, Any]:
    """Run adam/195 at sample size by its member's command line; return the receipt's details."""
    arguments = ["reproduce", f"--raw-data={raw}", f"--submission={results}"]
    chosen = ["--profile=sample", "--device=cpu", "--experiments=195"]
    assert main("adam", EXPERIMENTS, build, [*arguments, *chosen, *more]) == 0
    details: Dict[str, Any] = receipts.read(results / "outputs/adam/195/195.pt")["details"]
    return details


def test_a_command_with_options_records_them_and_its_results_serve_everything(
    tiny_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training, parquet, emulator, exported file; the same command again has nothing to do."""
    options = "--options=" + OPTIONS["several"]
    details = reproduce(tiny_world, tmp_path, options)
    head = tmp_path / "outputs/adam/195/195.confidence.pt"
    assert details["recipe"]["options"] == parse(OPTIONS["several"]).on()
    assert details["confidence head"] == sha256(head)
    capsys.readouterr()
    reproduce(tiny_world, tmp_path, options)
    assert capsys.readouterr().out.count("is skipped") == 2

    raw = RawData(tiny_world)
    x = np.concatenate([block for _, block in kaggle_csv.read_test_csv(raw.test_csv)])
    [parquet] = (tmp_path / "subs").glob("*.parquet")
    predicted = np.concatenate([values for _, values in submission.blocks(parquet)])
    left = x[:, STATES] + 1200 * predicted[:, BOUNDED_TARGETS["positivity"]]
    assert (left > -1e-5 * np.abs(x[:, STATES]).max()).all()
    emulator = leapkit.load("adam/195", tmp_path, tiny_world, device="cpu")
    free = emulator.predict(x)
    held = leapkit.load("adam/195", tmp_path, tiny_world, device="cpu", constraints=["positivity"])
    size = np.abs(predicted).max(axis=0) + 1e-300
    assert (np.abs(held.predict(x) - predicted) / size).max() < 1e-5
    assert (np.abs(free - predicted) / size).max() > 1e-2, "the checkpoint knows of no bound"
    words = ["--network=adam/195", f"--weights={tmp_path}", f"--raw-data={tiny_world}"]
    exported = tmp_path / "exported"
    command_line.main(["export", *words, f"--to={exported}", "--formats=safetensors"])
    again = leapkit.load(weights=exported / "adam-195.safetensors", device="cpu").predict(x)
    np.testing.assert_allclose(again, free, rtol=1e-5)

    details = reproduce(tiny_world, tmp_path)
    assert "recipe has changed" in capsys.readouterr().out
    assert "options" not in details["recipe"] and not head.exists()


@pytest.mark.modern
def test_a_group_has_a_head_where_it_was_trained_and_none_where_it_keeps_its_parents_weights(
    tiny_world: Path, tmp_path: Path
) -> None:
    for number, more in (("200", ()), ("200gf", ("--alone",))):
        arguments = small_run.arguments("reproduce", tiny_world, tmp_path, *more)
        chosen = ["--experiments", number, "--options=confidence=0.5,ema=0.5"]
        assert small_run.run([*arguments, *chosen]) == 0
    folder = tmp_path / "outputs/adam/200gf"
    origins = set()
    for group in range(7):
        files = RunFiles(folder, "200gf", group)
        details = receipts.read(files.checkpoint)["details"]
        origins.add(details["weights"])
        inference.load(build(small_run.NETWORK), files.checkpoint)
        if details["weights"] == "trained":
            assert details["confidence head"] == sha256(files.confidence)
        else:
            assert "confidence head" not in details and not files.confidence.exists()
    assert origins == {"trained", "of the parent adam/200"}
