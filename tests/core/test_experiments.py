"""An impossible experiment is refused when it is written; all shipped ones build and predict."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Dict

import pytest

from leapkit.core.columns import TARGETS
from leapkit.core.experiments import PROFILES, Experiment, GroupRule
from leapkit.core.recipes import Recipe
from leapkit.core.registry import discover
from members.adam.experiments import EXPERIMENTS

ADAM_195 = EXPERIMENTS[0]
MEMBERS = discover(Path(__file__).resolve().parents[2])
ALL = {
    experiment.name: experiment
    for member_experiments in MEMBERS.values()
    for experiment in member_experiments
}
each_experiment = pytest.mark.parametrize("experiment", ALL.values(), ids=list(ALL))


@pytest.mark.parametrize(
    "wrong",
    [
        {"family": "zuiye"},
        {"artifact": "a/b"},
        {"artifact": ""},
        {"artifact": "a b"},
        {"artifact": "x.parquet"},
        {"artifact": "x.npy"},
        {"artifact": "../x"},
        {"batch": 0},
        {"network": {"full": ADAM_195.network["full"]}},
        {"recipe": {"sample": ADAM_195.recipe["sample"]}},
        {"recipe": {}},
        {"groups": GroupRule()},
        {"reinitialised": ("fc1.weight",)},
        {"published": None},
        {"on_request": True},
    ],
)
def test_an_impossible_experiment_is_refused(wrong: Dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        replace(ADAM_195, **wrong)


def test_experiments_cannot_be_changed_afterwards() -> None:
    recipe = ADAM_195.recipe["full"]
    for record in (ADAM_195, recipe, recipe.rows, recipe.schedule, ADAM_195.network["full"]):
        with pytest.raises(FrozenInstanceError):
            setattr(record, fields(record)[0].name, 1)


@each_experiment
def test_what_a_receipt_records_is_plain_data_of_all_fields(experiment: Experiment) -> None:
    for profile in PROFILES:
        network = experiment.network_record(profile)
        recipe = experiment.recipe_record(profile)
        assert json.loads(json.dumps([network, recipe])) is not None
        assert set(network) == {"class"} | {
            field.name for field in fields(experiment.network[profile])
        }
        assert set(recipe) == {field.name for field in fields(Recipe)} - {"options"}
        assert recipe["schedule"]["class"] in ("PlateauSchedule", "CosineRestarts")


def test_an_experiment_names_its_files() -> None:
    assert ADAM_195.parquet == "adam_195_78569.oof.parquet"
    assert ADAM_195.checkpoint_groups == (None,) and ADAM_195.stem(None) == "195"
    tuned = replace(ADAM_195, parent="197", groups=GroupRule())
    assert tuned.checkpoint_groups == (0, 1, 2, 3, 4, 5, 6)
    assert [tuned.stem(group) for group in (0, 6)] == ["195_g0", "195_g6"]


def test_a_published_checkpoint_is_put_under_the_teams_name_and_seven_in_a_folder() -> None:
    candidates = ALL["joseph/907"].checkpoint_candidates(Path("w"), None)
    seven = ALL["max2020/014"].checkpoint_candidates(Path("w"), 3)
    assert candidates[0] == Path("w/ex907.pt") and Path("w/907/907.pt") in candidates
    assert seven[0] == Path("w/014_group_finetune/014_group_finetune_g3.pt")
    assert Path("w/014_g3.pt") in seven and len(set(seven)) == len(seven)


@each_experiment
def test_every_experiment_builds_and_predicts_at_sample_width(experiment: Experiment) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    build = import_module(f"members.{experiment.member}.networks").build
    network = build(experiment.network["sample"]).eval()
    with torch.no_grad():
        predictions = network(torch.randn(2, 556))
    assert predictions.shape == (2, len(TARGETS)) and bool(torch.isfinite(predictions).all())
    kinds = [
        {
            field.name: getattr(config, field.name)
            for field in fields(config)
            if isinstance(getattr(config, field.name), (str, bool, float))
        }
        for config in experiment.network.values()
    ]
    assert kinds[0] == kinds[1], "a sample network is the same architecture"
