"""The kit's training gives the stored trajectories, on every stack."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.helpers import trajectories, trajectory_rule  # noqa: E402
from tests.helpers.parity import EXPERIMENTS  # noqa: E402
from tests.helpers.trajectories import KINDS, first_difference  # noqa: E402

pytestmark = [pytest.mark.process, pytest.mark.stack, pytest.mark.everywhere]

torch.set_num_threads(1)


@pytest.mark.parametrize("name", KINDS)
def test_a_training_in_float64_is_the_stored_one_step_by_step(name: str) -> None:
    experiment = trajectory_rule.tiny(EXPERIMENTS[name], KINDS[name])
    difference = first_difference(experiment, KINDS[name], trajectories.read(name))
    assert difference is None, f"{name}: {difference}"


def test_every_experiment_has_a_stored_trajectory_of_its_kind_and_no_kind_has_two() -> None:
    stored = Counter(trajectories.traits(EXPERIMENTS[name]) for name in KINDS)
    assert set(stored.values()) == {1}
    assert set(stored) == {trajectories.traits(experiment) for experiment in EXPERIMENTS.values()}


@pytest.mark.modern
@pytest.mark.parametrize("name", KINDS)
def test_a_trajectory_has_several_pools_updates_and_rates(name: str) -> None:
    recipe = trajectory_rule.tiny(EXPERIMENTS[name], KINDS[name]).recipe["full"]
    updates = [event for event in trajectories.read(name) if event[0] == "update"]
    of_an_epoch = {where for _, where, _ in updates if where.split(" ")[-1].startswith("1.")}
    groups = len({where.split(" ")[0] for where in of_an_epoch}) if " " in updates[0][1] else 1
    assert len(of_an_epoch) // groups * recipe.batch > recipe.rows.pool
    rates = {numbers[1] for _, _, numbers in updates}
    assert len(rates) > 1 or name == "adam/200", "which is better at every evaluation"


@pytest.mark.modern
@pytest.mark.parametrize(
    "key, change",
    [
        ("recipe.lr", lambda made: made["recipe"].update(lr=0.5)),
        ("recipe.schedule.patience", lambda made: made["recipe"]["schedule"].update(patience=7)),
        ("recipe.ema", lambda made: made["recipe"].update(ema=0.5)),
        ("rule", lambda made: made.update(rule=0)),
    ],
)
def test_a_trajectory_of_another_recipe_or_rule_is_told_as_such_in_one_sentence(
    key: str, change: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *lines = trajectories.path("adam/195").read_text().splitlines()
    made = json.loads(first)
    change(made)  # type: ignore[operator]
    (tmp_path / "adam_195.jsonl").write_text("\n".join([json.dumps(made), *lines]))
    monkeypatch.setattr(trajectories, "FOLDER", tmp_path)
    with pytest.raises(AssertionError) as told:
        trajectories.read("adam/195")
    sentence = str(told.value)
    assert sentence.startswith(f"adam/195: {key} is ") and "\n" not in sentence
    assert sentence.endswith("and commit what it writes") and trajectories.AGAIN in sentence


@pytest.mark.modern
def test_the_stored_trajectories_are_small_and_none_is_left_over() -> None:
    files = list(trajectories.FOLDER.iterdir())
    assert {file.name for file in files} == {trajectories.path(name).name for name in KINDS}
    assert sum(file.stat().st_size for file in files) < 200_000
