"""Training is a function of its inputs, however often it is killed."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import small_run

torch = pytest.importorskip("torch")

from leapkit.core import pauses  # noqa: E402
from leapkit.core.columns import ZERO, network_positions  # noqa: E402
from leapkit.core.errors import KitError  # noqa: E402
from leapkit.core.layout import RunFiles  # noqa: E402
from leapkit.core.recipes import Augmentation, CosineRestarts, PlateauSchedule, Recipe  # noqa: E402
from leapkit.data.loader import Loader  # noqa: E402
from leapkit.data.score import Score  # noqa: E402
from leapkit.run import inference, training, training_start, training_state  # noqa: E402
from leapkit.run.optimisation import Schedule  # noqa: E402
from members.adam.networks import build  # noqa: E402

pytestmark = [pytest.mark.process, pytest.mark.stack]

torch.set_num_threads(1)
RECIPE = small_run.RECIPE
CPU = torch.device("cpu")
POOL = RECIPE.rows.pool
NAMES = ("200.pt", "oof.npy", "log.txt", "history.json")
EVALUATIONS = RECIPE.epochs * RECIPE.evaluations_per_epoch


def train(data, folder: Path, recipe: Recipe = RECIPE, key: str = "key", network=small_run.NETWORK):
    folder.mkdir(exist_ok=True)
    return training.train(
        lambda: build(network), training.Task(RunFiles(folder, "200"), recipe, key), *data, CPU
    )


def products(folder: Path):
    assert not list(folder.glob(".partial-*"))
    return {name: (folder / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """Return the files that the small run leaves if nothing interrupts it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    train(data, folder)
    content_by_name = products(folder)
    assert content_by_name["log.txt"].count(b"\n") == EVALUATIONS, (
        "the recipe runs to its end, or the tests below prove less"
    )
    return content_by_name


# ---- killed and gone on with ---------------------------------------------------------------------


def test_the_same_run_gives_the_same_bytes(data, undisturbed, tmp_path):
    train(data, tmp_path)
    assert products(tmp_path) == undisturbed


@pytest.mark.parametrize(
    "function, nth",
    [("evaluate", n) for n in range(1, EVALUATIONS + 1)]
    + [
        (function, n)
        for function in ("_keep", "write_text", "training_state.save")
        for n in (EVALUATIONS - 1,)
    ],
)
def test_a_run_that_ends_at_any_evaluation_goes_on_to_the_same_bytes(
    function, nth, data, undisturbed, tmp_path, monkeypatch
):
    """The run ends before the evaluation, before or after its checkpoint, or after the log."""
    owner, name = (training_state, "save") if "." in function else (training, function)
    original = getattr(owner, name)
    calls = []

    def ends(*args, **options):
        calls.append(1)
        if len(calls) == nth:
            raise KeyboardInterrupt
        return original(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, ends)
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path)
    train(data, tmp_path)
    assert products(tmp_path) == undisturbed


def test_a_state_of_an_older_kit_has_no_history_and_goes_on_to_the_same_bytes(
    data, undisturbed, tmp_path, monkeypatch
):
    """The history then says from which update on it knows the losses."""
    original = training.evaluate
    calls = []

    def ends(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", ends)
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path)
    state = RunFiles(tmp_path, "200").state
    content = training_state.load(state)
    del content["history"]
    training_state.save(state, content)
    train(data, tmp_path)
    whole = json.loads(undisturbed["history.json"])
    history = json.loads((tmp_path / "history.json").read_text())
    assert history["begins"] == 6 and whole["begins"] == 0
    assert history["losses"] == whole["losses"][6:] and len(history["evaluations"]) == 4
    others = set(NAMES) - {"history.json"}
    assert {name: products(tmp_path)[name] for name in others} == {
        name: undisturbed[name] for name in others
    }


def test_restarts_and_augmentation_go_on_where_they_were(data, tmp_path, monkeypatch):
    """The run ends in the first cycle and again in the second.

    The augmentation's draws are functions of seed, epoch and step.
    """
    recipe = replace(
        RECIPE,
        schedule=CosineRestarts(1, 2, 1e-6),
        optimiser="adamw",
        weight_decay=0.01,
        early_stop=False,
        augmentation=Augmentation(0.3, 0.3, 5),
        lr={"lstm1": 1e-3, "fc1": 5e-3, "fc2": 5e-3},
    )
    train(data, tmp_path / "whole", recipe)
    original = training.evaluate
    calls = []

    def ends(*arguments):
        calls.append(1)
        if len(calls) in (2, 6):  # the sixth call is the fifth evaluation
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(training, "evaluate", ends)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path / "killed", recipe)
    train(data, tmp_path / "killed", recipe)
    assert len(calls) == 8 and products(tmp_path / "killed") == products(tmp_path / "whole")


def test_a_run_that_ends_at_every_evaluation_still_arrives(
    data, undisturbed, tmp_path, monkeypatch
):
    original = training_state.save

    def ends_after(path, value):
        original(path, value)
        raise KeyboardInterrupt

    monkeypatch.setattr(training_state, "save", ends_after)
    for _ in range(EVALUATIONS):
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path)
    train(data, tmp_path)
    assert products(tmp_path) == undisturbed


@pytest.mark.parametrize("nth", [3, 5])
def test_the_learning_rate_and_its_patience_survive_a_kill(nth, data, tmp_path, monkeypatch):
    """Scores drop the rate at evaluations three and five; with a lost count it would drop later."""
    table = dict(
        zip(
            [(epoch, step) for epoch in range(3) for step in (3, 6)], (0.1, 0.2, 0.0, 0.3, 0.0, 0.0)
        )
    )
    recipe = replace(RECIPE, schedule=PlateauSchedule(factor=0.5, patience=0, min_lr=0.0))
    original = training.evaluate
    runs = []

    class Seen(training.Run):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            runs.append(self)

    def evaluate(*arguments):
        [score] = original(*arguments)
        return [replace(score, all_columns=table[runs[-1].epoch, runs[-1].step])]

    monkeypatch.setattr(training_start, "Run", Seen)
    monkeypatch.setattr(training, "evaluate", evaluate)
    train(data, tmp_path / "whole", recipe)
    rates = [
        line.split(" lr ")[1].split()[0]
        for line in (tmp_path / "whole" / "log.txt").read_text().splitlines()
    ]
    assert rates == ["0.005", "0.005", "0.0025", "0.0025", "0.00125", "0.000625"]

    def ends(*arguments):
        if (runs[-1].epoch, runs[-1].step) == list(table)[nth - 1]:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", ends)
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path / "killed", recipe)
    train(data, tmp_path / "killed", recipe)
    assert products(tmp_path / "killed") == products(tmp_path / "whole")


def test_a_run_killed_by_the_system_at_a_random_moment_gives_the_same_bytes(
    tiny_world, undisturbed, tmp_path
):
    """SIGKILL comes from outside once the run has begun to write."""
    root = Path(__file__).resolve().parents[2]
    arguments = small_run.arguments("reproduce", tiny_world, tmp_path)
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(root / "shared"), str(root)]))
    folder = tmp_path / "outputs" / "adam" / "200"
    child = subprocess.Popen(
        [sys.executable, str(root / "tests" / "helpers" / "small_run.py"), ""] + arguments,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < deadline and not (folder / "200.pt").exists():
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.25))
    child.kill()
    assert child.wait() in (-signal.SIGKILL, 0)
    assert small_run.run(arguments) == 0
    assert products(folder) == undisturbed
    assert (folder / "200.receipt.json").exists() and not RunFiles(folder, "200").state.exists()


def test_a_run_that_is_paused_after_any_step_goes_on_to_the_same_bytes(
    data, undisturbed, tmp_path, monkeypatch
):
    """It is paused after each of its steps in turn: between evaluations, at them, at the end."""
    original = training._step
    steps = []

    def step(*arguments):
        original(*arguments)
        steps.append(1)
        os.kill(os.getpid(), pauses.SIGNAL)

    monkeypatch.setattr(training, "_step", step)
    for _ in range(RECIPE.epochs * len(data[0]) // RECIPE.batch):
        with pytest.raises(pauses.Paused), pauses.listening():
            train(data, tmp_path)
    train(data, tmp_path)
    assert len(steps) == 18 and products(tmp_path) == undisturbed


def test_the_state_of_another_run_is_not_gone_on_with(data, undisturbed, tmp_path, capsys):
    train(data, tmp_path, replace(RECIPE, seed=99), key="another")
    assert RunFiles(tmp_path, "200").state.exists() and products(tmp_path) != undisturbed
    train(data, tmp_path)
    assert "starts anew" in capsys.readouterr().out
    assert products(tmp_path) == undisturbed


def test_a_finished_run_whose_receipt_was_never_written_is_not_repeated(
    data, undisturbed, tmp_path, monkeypatch
):
    train(data, tmp_path)

    def never(*_):
        raise AssertionError("it trained again")

    monkeypatch.setattr(training, "_update", never)
    done = train(data, tmp_path)
    assert products(tmp_path) == undisturbed and done.epochs == RECIPE.epochs


def test_a_damaged_state_file_is_one_clear_error(data, tmp_path):
    train(data, tmp_path)
    path = RunFiles(tmp_path, "200").state
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(KitError, match=r"200\.state\.pt"):
        train(data, tmp_path)


def test_the_learning_rate_and_the_loss_in_the_log_survive_a_kill(undisturbed):
    lines = undisturbed["log.txt"].decode("utf-8").splitlines()
    assert [line.split(" lr ")[0] for line in lines] == [
        f"epoch {epoch} step {step}/6" for epoch in (1, 2, 3) for step in (3, 6)
    ]
    assert any(line.endswith(" *") for line in lines)


# ---- what it leaves ------------------------------------------------------------------------------


def test_out_of_fold_predictions_hold_minus_zero_in_the_zero_columns(data, undisturbed, tmp_path):
    (tmp_path / "oof.npy").write_bytes(undisturbed["oof.npy"])
    predictions = np.load(str(tmp_path / "oof.npy"), allow_pickle=False)
    assert predictions.dtype == np.float32 and predictions.shape == (len(data[1]), 368)
    zero = predictions[:, network_positions(ZERO)]
    assert not zero.any() and np.signbit(zero).all()
    predicted = np.delete(predictions, network_positions(ZERO), axis=1)
    assert np.isfinite(predicted).all() and predicted.any(axis=0).all()


def test_the_score_told_is_that_of_the_file_left(data, tmp_path):
    done = train(data, tmp_path)
    best = max(
        float(line.split("R2 ")[1].split()[0])
        for line in (tmp_path / "log.txt").read_text().splitlines()
        if line.endswith("*")
    )
    assert done.score.all_columns == pytest.approx(best, abs=6e-6)
    from leapkit.data.checkpoints import load_into, read_tensors

    network = build(small_run.NETWORK)
    load_into(network, read_tensors(tmp_path / "200.pt"), "200.pt")
    inputs = small_run.InMemory(data[1]).inputs
    again = np.concatenate(list(inference.predict(network, inputs, RECIPE.validation_batch, CPU)))
    predictions = np.load(str(tmp_path / "oof.npy"))
    again[:, network_positions(ZERO)] = predictions[:, network_positions(ZERO)]
    assert np.array_equal(again, predictions), (
        "the checkpoint and its out-of-fold predictions are of one evaluation"
    )


# ---- when it stops -------------------------------------------------------------------------------


def _scores(values, monkeypatch):
    """Make the n-th evaluation score values[n]."""
    remaining = iter(values)

    def scored(networks, batch, validation, scaling_, device, keep, *_):
        keep[0](np.zeros((len(validation), 368), np.float32))
        return [Score(next(remaining), 0.0, (0.0,) * 7)]

    monkeypatch.setattr(training, "evaluate", scored)


@pytest.mark.parametrize(
    "values, epochs",
    [
        ([0.1, 0.2, 0.2, 0.2, 0.9, 0.9], 2),  # epoch 2 brings nothing better: stop
        (
            [0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.9, 0.9],
            3,
        ),  # epoch 2 did once: on; epoch 3 did not: stop
        ([0.1, 0.2, 0.1, 0.3, 0.1, 0.4, 0.1, 0.5], 4),  # always better: to the end
        ([0.5, 0.1, 0.5, 0.5], 2),  # equal is not better
        ([-0.5, -0.4, -0.3, -0.2, -0.4, -0.4], 3),
    ],
)  # scores may be negative
def test_it_stops_after_the_first_epoch_without_a_new_best(
    values, epochs, data, tmp_path, monkeypatch
):
    _scores(values, monkeypatch)
    done = train(data, tmp_path, replace(RECIPE, epochs=4))
    assert done.epochs == epochs
    assert (tmp_path / "log.txt").read_text().count("\n") == 2 * epochs


def test_without_early_stop_all_epochs_are_run(data, tmp_path, monkeypatch):
    _scores([0.5] + [0.1] * 7, monkeypatch)
    assert train(data, tmp_path, replace(RECIPE, epochs=4, early_stop=False)).epochs == 4


def _kept(folder):
    return [
        line.split(" lr ")[0]
        for line in (folder / "log.txt").read_text().splitlines()
        if line.endswith(" *")
    ]


def test_a_gain_that_is_too_small_keeps_the_checkpoint_of_before(data, tmp_path, monkeypatch):
    _scores([0.1, 0.10002, 0.10003, 0.10004, 0.2, 0.2], monkeypatch)
    train(data, tmp_path, replace(RECIPE, early_stop=False, min_gain=3e-5))
    assert _kept(tmp_path) == ["epoch 1 step 3/6", "epoch 2 step 6/6", "epoch 3 step 3/6"]


def test_each_epoch_is_evaluated_as_often_as_its_recipe_says(data, tmp_path, monkeypatch):
    _scores([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], monkeypatch)
    train(data, tmp_path, replace(RECIPE, evaluations_per_epoch=(1, 2, 3)))
    assert _kept(tmp_path) == [
        "epoch 1 step 6/6",
        "epoch 2 step 3/6",
        "epoch 2 step 6/6",
        "epoch 3 step 2/6",
        "epoch 3 step 4/6",
        "epoch 3 step 6/6",
    ]


def test_a_groups_run_is_selected_by_its_groups_score(data, tmp_path, monkeypatch):
    scored = iter(
        [Score(0.9 - 0.1 * k, 0.0, (0.0, 0.0, 0.1 * (k % 4), 0.0, 0.0, 0.0, 0.0)) for k in range(6)]
    )
    monkeypatch.setattr(
        training,
        "evaluate",
        lambda networks, batch, validation, scale, device, keep, *_: (
            keep[0](np.zeros((len(validation), 368), np.float32)) or [next(scored)]
        ),
    )
    task = training.Task(
        RunFiles(tmp_path, "200", 2), replace(RECIPE, early_stop=False), "key", group=2
    )
    done = training.train(lambda: build(small_run.NETWORK), task, *data, CPU)
    assert done.score.groups[2] == pytest.approx(0.3) and done.score.all_columns == pytest.approx(
        0.6
    )
    assert np.load(str(tmp_path / "oof_g2.npy")).shape == (96, 60)


@pytest.mark.parametrize("group, channels", [(None, range(14)), (0, range(8)), (1, [8]), (6, [13])])
def test_a_group_trains_the_outputs_of_its_own_columns(group, channels, data, tmp_path):
    """Other outputs have no gradient; nothing is frozen, so layers before the head change."""
    torch.manual_seed(0)
    network = build(small_run.NETWORK)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    task = training.Task(RunFiles(tmp_path, "200", group), RECIPE, "key", group=group)
    run = training.Run(network, task, 6, CPU)
    x, y = next(data[0].in_order(96))
    training._update(run, torch.from_numpy(x), torch.from_numpy(y))
    moved = network.fc2.bias.detach() != before["fc2.bias"]
    assert moved.nonzero().flatten().tolist() == list(channels)
    assert not torch.equal(network.lstm1.weight_ih_l0, before["lstm1.weight_ih_l0"])


def test_a_run_that_was_killed_after_its_last_epoch_still_stops(data, tmp_path, monkeypatch):
    """The state of an epoch's last evaluation must not hide that the epoch brought nothing."""
    _scores([0.2, 0.2, 0.1, 0.1], monkeypatch)
    train(data, tmp_path, replace(RECIPE, epochs=9))
    _scores([], monkeypatch)
    assert train(data, tmp_path, replace(RECIPE, epochs=9)).epochs == 2


def test_a_loss_that_is_not_finite_is_one_clear_error_and_leaves_no_checkpoint(data, tmp_path):
    damaged_loader = Loader(small_run.InMemory(data[0]), POOL)
    damaged_loader.blocks.targets[300, 7] = np.nan
    with pytest.raises(
        KitError, match="the loss became NaN or infinite in epoch 1, step"
    ) as caught:
        train((damaged_loader, data[1], data[2]), tmp_path)
    assert "learning rate" in caught.value.remedy
    assert not (tmp_path / "200.pt").exists() or b"nan" not in (tmp_path / "log.txt").read_bytes()


def test_too_few_rows_for_one_batch_are_refused(data, tmp_path):
    with pytest.raises(KitError, match="576 training rows do not fill one batch of 577"):
        train(data, tmp_path, replace(RECIPE, batch=577))
    assert train(data, tmp_path / "just", replace(RECIPE, batch=576, epochs=1)).epochs == 1


def test_every_epoch_shuffles_all_rows_anew(data, tmp_path, monkeypatch):
    numbered = Loader(small_run.InMemory(data[0]), POOL)
    numbered.blocks.inputs[:, 0] = np.arange(576)

    def orders(seed, folder):
        values = []
        with monkeypatch.context() as patch:
            patch.setattr(
                training, "_update", lambda run, x, y: values.extend(x[:, 0].tolist()) or 0.0
            )
            _scores([0.1, 0.2, 0.3, 0.4], patch)
            train((numbered,) + data[1:], folder, replace(RECIPE, epochs=2, seed=seed))
        return values[:576], values[576:]

    first, second = orders(1, tmp_path / "a")
    for order in (first, second, *orders(2, tmp_path / "b")):
        assert sorted(order) == list(range(576))
    assert (
        first != second
        and first not in orders(2, tmp_path / "c")
        and (first, second) == orders(1, tmp_path / "d")
    )


@given(st.integers(1, 5000), st.integers(1, 40))
def test_evaluations_are_evenly_spread_and_the_last_one_ends_the_epoch(steps, evaluations):
    """They follow floor(N/n), 2 floor(N/n), ..., N (docs/reference/models.md, "Training loop")."""
    points = training.evaluation_steps(steps, evaluations)
    assert points == sorted(set(points)) and points[-1] == steps and points[0] >= 1
    if steps >= evaluations:
        assert points == [steps // evaluations * k for k in range(1, evaluations)] + [steps]
    else:
        assert points == list(range(1, steps + 1))


# ---- the learning rate ---------------------------------------------------------------------------


def _rates(metrics, schedule=None):
    """Return the learning rate after each metric (lower is better)."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    recipe = replace(RECIPE, lr=1e-3, schedule=schedule or PlateauSchedule())
    optimiser = torch.optim.Adam([parameter], lr=recipe.lr)
    plateau = Schedule(recipe, optimiser)
    rates = []
    for metric in metrics:
        plateau.after_evaluation(-metric)
        rates.append(round(optimiser.param_groups[0]["lr"], 12))
    return rates


def test_the_rate_drops_at_the_third_evaluation_in_a_row_without_a_better_score() -> None:
    """Patience 2 forgives two evaluations; the third drops the rate and resets the count."""
    assert _rates([-0.5, -0.4, -0.4, -0.4, -0.4, -0.4, -0.4]) == [1e-3] * 3 + [1e-4] * 3 + [1e-5]


def test_the_rate_never_falls_below_its_floor() -> None:
    assert set(_rates([-0.5] + [-0.4] * 20)[7:]) == {1e-5}


def test_a_slightly_worse_negative_score_still_counts_as_better_and_becomes_the_new_reference() -> (
    None
):
    """Below zero the relative threshold loosens, so a slow decline never drops the rate.

    Source: docs/reference/models.md, "Schedules".
    """
    decline = [-0.5 * (1 - 0.9e-4) ** k for k in range(12)]
    assert decline[-1] > -0.4996, "five parts in ten thousand worse in the end"
    assert _rates(decline) == [1e-3] * 12
    assert _rates([-0.5 * (1 - 1.1e-4) ** k for k in range(6)]) == [1e-3] * 3 + [1e-4] * 3


def test_a_positive_metric_must_be_better_by_the_threshold() -> None:
    assert _rates([0.5, 0.49999, 0.49998, 0.49997]) == [1e-3] * 3 + [1e-4]


def test_the_rate_turns_where_the_teams_log_says_it_did() -> None:
    """197's scores rise for seven epochs, then level off; three evaluations later it drops."""
    rise = [-0.70 - 0.003 * k for k in range(28)]
    assert _rates(rise + [rise[-1] + 0.001] * 3) == [1e-3] * 30 + [1e-4]


# ---- the state file ------------------------------------------------------------------------------

_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.text(max_size=8),
)
_NESTED = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.integers(-5, 5), st.text(max_size=4)), inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(_NESTED)
def test_the_state_file_gives_back_what_it_was_given(value):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        training_state.save(Path(folder) / "s", {"value": value})
        assert training_state.load(Path(folder) / "s") == {"value": value}


def test_the_state_file_keeps_tensors_infinities_and_the_type_of_keys(tmp_path: Path) -> None:
    value = {
        "tensors": [
            torch.arange(3),
            torch.tensor(2.5, dtype=torch.float64),
            torch.zeros(0, 4),
            torch.tensor([True]),
            torch.get_rng_state(),
        ],
        0: {"step": torch.tensor(7.0), 1: None},
        "inf": [math.inf, -math.inf],
        "pair": (1, 2),
        "__pairs__": 3,
    }
    training_state.save(tmp_path / "s", value)
    loaded = training_state.load(tmp_path / "s")
    for saved_tensor, loaded_tensor in zip(value["tensors"], loaded["tensors"]):
        assert (
            loaded_tensor.dtype == saved_tensor.dtype
            and loaded_tensor.shape == saved_tensor.shape
            and torch.equal(loaded_tensor, saved_tensor)
        )
    assert (
        list(loaded) == list(value)
        and torch.equal(loaded[0]["step"], torch.tensor(7.0))
        and loaded[0][1] is None
    )
    assert (
        loaded["inf"] == [math.inf, -math.inf]
        and loaded["pair"] == [1, 2]
        and loaded["__pairs__"] == 3
    )


@pytest.mark.parametrize("content", [b"", b"text", {"a": torch.ones(1)}])
def test_what_is_no_state_file_is_one_clear_error(content, tmp_path):
    if isinstance(content, bytes):
        (tmp_path / "s").write_bytes(content)
    else:
        torch.save(content, str(tmp_path / "s"))
    with pytest.raises(KitError):
        training_state.load(tmp_path / "s")


def test_a_full_disk_during_training_is_one_clear_error(data, small_disk):
    with pytest.raises(KitError, match="the disk is full"):
        train(data, small_disk / "run")
    assert not list((small_disk / "run").glob(".partial-*"))
