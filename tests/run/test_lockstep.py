"""Runs that share every batch end in the bytes of runs alone, wherever each of them was ended."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Sequence

import numpy as np
import pytest

from tests.helpers import small_run

torch = pytest.importorskip("torch")

from leapkit.core.columns import GROUPS as GROUPS_OF_TARGETS  # noqa: E402
from leapkit.core.errors import KitError  # noqa: E402
from leapkit.core.layout import RunFiles  # noqa: E402
from leapkit.core.recipes import Augmentation, CosineRestarts, Recipe  # noqa: E402
from leapkit.data.loader import Loader  # noqa: E402
from leapkit.data.score import Score  # noqa: E402
from leapkit.run import devices, training, training_state  # noqa: E402
from members.adam.networks import build  # noqa: E402

pytestmark = [pytest.mark.process, pytest.mark.stack]

torch.set_num_threads(1)
CPU = torch.device("cpu")
GROUPS = (1, 3, 6)
EVALUATIONS = 4
# The network has dropout: each run must draw its own masks.
RECIPE = replace(
    small_run.RECIPE,
    epochs=2,
    early_stop=False,
    schedule=CosineRestarts(1, 1, 1e-7),
    augmentation=Augmentation(0.3, 0.3, 5),
)


def train(
    data: Any, folder: Path, groups: Sequence[int] = GROUPS, recipe: Recipe = RECIPE
) -> Dict[int, training.Trained]:
    """Train groups together; return {group: what it reached} in the order of their ends."""
    folder.mkdir(exist_ok=True)
    tasks = [training.Task(RunFiles(folder, "200", g), recipe, f"key {g}", group=g) for g in groups]
    runs = training.train_together(lambda: build(small_run.NETWORK), tasks, *data, CPU)
    return {task.group: trained for task, trained in runs}


def products(folder: Path, groups: Sequence[int] = GROUPS) -> Dict[str, bytes]:
    assert not list(folder.glob(".partial-*"))
    names = [f"{name}_g{g}{end}" for g in groups for name, end in _PRODUCTS]
    return {name: (folder / name).read_bytes() for name in names}


_PRODUCTS = (("200", ".pt"), ("oof", ".npy"), ("log", ".txt"))


@pytest.fixture(scope="module")
def alone(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, bytes]:
    """Return the files of each run alone."""
    folder = tmp_path_factory.mktemp("alone")
    for group in GROUPS:
        train(data, folder, [group])
    return products(folder)


class Counting(small_run.InMemory):
    """Blocks that count how often one is read."""

    reads = 0

    def read(self, *arguments: Any) -> None:
        self.reads += 1
        super().read(*arguments)


def test_runs_together_leave_the_bytes_of_runs_alone_and_read_the_rows_of_one(
    data: Any, alone: Dict[str, bytes], tmp_path: Path
) -> None:
    rows, validation = (Loader(Counting(loader), 200) for loader in data[:2])
    train((rows, validation, data[2]), tmp_path)
    assert products(tmp_path) == alone
    assert rows.blocks.reads == RECIPE.epochs * len(rows.blocks.counts)
    assert validation.blocks.reads == len(validation.blocks.counts)  # one pool stays in memory


def test_as_many_as_fit_are_trained_at_a_time(
    data: Any, alone: Dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "networks_at_once", lambda network, device: 2)
    assert list(train(data, tmp_path)) == list(GROUPS)
    assert products(tmp_path) == alone


@pytest.mark.modern
@pytest.mark.parametrize("nth", (1, 5, 8, 11))
def test_runs_that_ended_at_different_steps_wait_for_those_behind(
    nth: int, data: Any, alone: Dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end comes after the n-th state: some runs have that of this evaluation, others not."""
    save = training_state.save
    saved: List[str] = []

    def save_and_end(path: Path, value: Any) -> None:
        save(path, value)
        saved.append(path.name)
        if len(saved) == nth:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training_state, "save", save_and_end)
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path)
    updates: List[int] = []
    update = training._update
    monkeypatch.setattr(
        training, "_update", lambda run, x, y: updates.append(run.task.group) or update(run, x, y)
    )
    train(data, tmp_path)
    assert products(tmp_path) == alone
    steps = {g: 3 * (EVALUATIONS - saved.count(f"200_g{g}.state.pt")) for g in GROUPS}
    assert {g: updates.count(g) for g in GROUPS} == steps


@pytest.mark.modern
def test_a_run_that_stops_early_drops_out_and_the_others_go_on(
    data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Group 3 is at its best in epoch 1, the others gain in every epoch."""
    counts: List[int] = []

    def evaluate(networks: Any, batch: int, rows: Loader, *more: Any) -> List[Score]:
        counts.append(len(networks))
        for add in more[2]:
            add(np.zeros((len(rows), 368), np.float32))
        gain = 0.1 * len(counts)
        return [Score(0.0, 0.0, (0.0, gain, 0.0, -gain, 0.0, 0.0, gain))] * len(networks)

    monkeypatch.setattr(training, "evaluate", evaluate)
    recipe = replace(RECIPE, epochs=4, early_stop=True)
    ended = train(data, tmp_path, recipe=recipe)
    assert counts == [3] * 4 + [2] * 4
    assert {g: trained.epochs for g, trained in ended.items()} == {3: 2, 1: 4, 6: 4}
    assert next(iter(ended)) == 3, "it is handed over, to be receipted, when it ends"


@pytest.mark.modern
def test_a_run_whose_loss_is_not_finite_takes_nothing_from_the_others(
    data: Any, alone: Dict[str, bytes], tmp_path: Path
) -> None:
    """Group 3 meets a NaN among its targets; the error comes when the others are finished."""
    damaged = Loader(small_run.InMemory(data[0]), small_run.RECIPE.rows.pool)
    damaged.blocks.targets[300, GROUPS_OF_TARGETS[3].start] = np.nan
    rows = (damaged, *data[1:])
    recipe = replace(RECIPE, augmentation=None)
    others = [group for group in GROUPS if group != 3]
    tasks = [training.Task(RunFiles(tmp_path, "200", g), recipe, "", group=g) for g in GROUPS]
    ended: List[int] = []
    with pytest.raises(KitError, match="the loss became NaN or infinite in epoch 1, step"):
        for task, _ in training.train_together(
            lambda: build(small_run.NETWORK), tasks, rows[0], rows[1], rows[2], CPU
        ):
            ended.append(task.group)
    assert ended == others
    train(rows, tmp_path / "without", others, recipe)
    assert products(tmp_path, others) == products(tmp_path / "without", others)
    log = RunFiles(tmp_path, "200", 3).log
    assert not log.exists() or "nan" not in log.read_text()


def test_each_run_records_its_share_of_the_time(data: Any, tmp_path: Path) -> None:
    started = time.monotonic()
    recipe = replace(RECIPE, epochs=1)
    seconds = [trained.seconds for trained in train(data, tmp_path, recipe=recipe).values()]
    whole = time.monotonic() - started
    assert 0.5 * whole < sum(seconds) <= whole
    assert max(seconds) == pytest.approx(min(seconds))


def test_a_small_gpu_has_fewer_networks_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    network = torch.nn.Linear(1000, 1000, bias=False)  # a million parameters, 16 MB of training

    def at_once(memory: int) -> int:
        monkeypatch.setattr(
            torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=memory)
        )
        return devices.networks_at_once(network, torch.device("cuda"))

    assert [at_once(megabytes * 10**6) for megabytes in (1, 64, 100, 320)] == [1, 2, 3, 10]
    assert devices.networks_at_once(network, CPU) == 7
