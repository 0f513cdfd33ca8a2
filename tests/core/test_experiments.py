"""What is impossible is refused when an experiment is written; all shipped ones work."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from importlib import import_module

import pytest

from launch.registry import members
from leapkit.core.columns import TARGETS
from leapkit.core.errors import KitError
from leapkit.core.experiments import PROFILES, GroupRule
from leapkit.core.recipes import (
    Augmentation,
    CosineRestarts,
    PlateauSchedule,
    Recipe,
    RowSelection,
    at_sample_size,
)
from leapkit.core.registry import by_id, select
from members.adam.experiments import EXPERIMENTS

RECIPE = Recipe(lr=1e-3, epochs=1, batch=2, validation_batch=2, seed=0, schedule=PlateauSchedule())
ROW, ALL = EXPERIMENTS[0], [row for rows in members().values() for row in rows]


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_month": "1-2"},
        {"first_month": ""},
        {"first_month": "0001-2"},
        {"first_month": "0001-02-03"},
        {"first_month": "x0001-02"},
        {"fraction": 0.0},
        {"fraction": -0.5},
        {"fraction": 1.5},
        {"fraction": float("nan")},
    ],
)
def test_impossible_training_rows_are_refused(wrong):
    with pytest.raises(ValueError):
        RowSelection(**wrong)


@pytest.mark.parametrize(
    "kind, wrong",
    [
        (PlateauSchedule, {"factor": 0.0}),
        (PlateauSchedule, {"factor": 1.0}),
        (PlateauSchedule, {"factor": -0.1}),
        (PlateauSchedule, {"patience": -1}),
        (PlateauSchedule, {"min_lr": -1e-9}),
        (CosineRestarts, {"first": 0, "factor": 1, "min_lr": 0}),
        (CosineRestarts, {"first": 1, "factor": 0, "min_lr": 0}),
        (CosineRestarts, {"first": 1, "factor": 1, "min_lr": -1e-9}),
        (Augmentation, {"flip": -0.1, "roll": 0.1, "shift": 1}),
        (Augmentation, {"flip": 0.6, "roll": 0.6, "shift": 1}),
        (Augmentation, {"flip": 0.1, "roll": 0.1, "shift": 0}),
    ],
)
def test_an_impossible_schedule_or_augmentation_is_refused(kind, wrong):
    with pytest.raises(ValueError):
        kind(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 0.0},
        {"lr": -1.0},
        {"clip": 0.0},
        {"smooth_l1_beta": 0.0},
        {"epochs": 0},
        {"batch": 0},
        {"validation_batch": 0},
        {"evaluations_per_epoch": 0},
        {"lr": float("nan")},
        {"lr": {}},
        {"lr": {"a": 1.0, "b": 0.0}},
        {"lr": {"a": 1.0, "b": float("nan")}},
        {"optimiser": "sgd"},
        {"evaluations_per_epoch": (2, 2)},
        {"evaluations_per_epoch": (0,)},
        {"skipped_evaluations": 2},
        {"skipped_evaluations": -1},
        {"min_gain": -1e-9},
    ],
)
def test_an_impossible_recipe_is_refused(wrong):
    with pytest.raises(ValueError):
        replace(RECIPE, **wrong)


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
        {"network": {"full": ROW.network["full"]}},
        {"recipe": {"sample": ROW.recipe["sample"]}},
        {"recipe": {}},
        {"groups": GroupRule()},
        {"reinitialised": ("fc1.weight",)},
        {"published": None},
    ],
)
def test_an_impossible_experiment_is_refused(wrong):
    with pytest.raises(ValueError):
        replace(ROW, **wrong)


def test_rows_cannot_be_changed_afterwards():
    for row in (ROW, RECIPE, RECIPE.rows, RECIPE.schedule, ROW.network["full"]):
        with pytest.raises(FrozenInstanceError):
            setattr(row, fields(row)[0].name, 1)


def test_one_id_or_artifact_in_two_rows_is_refused():
    assert list(by_id(EXPERIMENTS)) == ["195", "197", "200"]
    with pytest.raises(ValueError, match="twice"):
        by_id(EXPERIMENTS + (replace(ROW, artifact="another"),))
    with pytest.raises(ValueError, match="twice"):
        by_id(EXPERIMENTS + (replace(ROW, id="999"),))
    with pytest.raises(ValueError, match="a parent is missing"):
        by_id(EXPERIMENTS[1:] + (replace(ROW, parent="999"),))


@pytest.mark.parametrize(
    "wanted, expected",
    [
        ("", ["195", "197", "200"]),
        ("197", ["197"]),
        ("adam/200", ["200"]),
        ("200,195", ["195", "200"]),
        (" 195, adam/195 ,", ["195"]),
        ("195 200", ["195", "200"]),
        ("adam_197_78551.oof", ["197"]),
    ],
)
def test_experiments_are_chosen_by_id_name_or_artifact_in_the_rows_order(wanted, expected):
    assert [row.id for row in select(EXPERIMENTS, wanted)] == expected


@pytest.mark.parametrize("wanted", ["196", "195,19", "max2020/195", "adam", "adam_195_78569"])
def test_an_unknown_experiment_is_named_with_those_that_there_are(wanted):
    with pytest.raises(KitError, match=r"unknown experiment .*adam/195, adam/197, adam/200"):
        select(EXPERIMENTS, wanted)


def test_what_a_receipt_records_is_plain_data_of_all_fields():
    import json

    for row in ALL:
        for profile in PROFILES:
            network, recipe = row.network_record(profile), row.recipe_record(profile)
            assert json.loads(json.dumps([network, recipe])) is not None
            assert set(network) == {"class"} | {
                field.name for field in fields(row.network[profile])
            }
            assert set(recipe) == {field.name for field in fields(Recipe)}
            assert recipe["schedule"]["class"] in ("PlateauSchedule", "CosineRestarts")


def test_a_recipe_at_sample_size_keeps_what_is_the_teams_and_shrinks_the_rest():
    recipe = replace(
        RECIPE,
        epochs=9,
        batch=2048,
        schedule=CosineRestarts(3, 2, 1e-5),
        lr={"a": 1e-4, "b": 2e-4},
        evaluations_per_epoch=(2,) * 8 + (10,),
        betas=(0.9, 0.95),
        clip=9,
        seed=7,
        smooth_l1_beta=0.5,
    )
    small = at_sample_size(recipe, epochs=2, faster=10)
    assert (small.epochs, small.schedule, small.evaluations_per_epoch) == (
        2,
        CosineRestarts(2, 2, 1e-5),
        1,
    )
    assert (
        small.rates == {"a": pytest.approx(1e-3), "b": pytest.approx(2e-3)}
        and small.rows.fraction == 1
    )
    assert small.batch < recipe.batch and at_sample_size(recipe).epochs < recipe.epochs
    assert (small.betas, small.clip, small.seed, small.smooth_l1_beta) == ((0.9, 0.95), 9, 7, 0.5)


def test_fine_tuning_at_sample_size_stays_one_epoch_with_its_evaluations():
    recipe = replace(
        RECIPE, schedule=CosineRestarts(1, 1, 1e-7), evaluations_per_epoch=8, skipped_evaluations=5
    )
    small = at_sample_size(recipe)
    assert (small.epochs, small.schedule, small.rows.fraction) == (1, recipe.schedule, 0.125)
    assert (small.evaluations_per_epoch, small.skipped_evaluations) == (8, 5)


def test_a_row_names_its_files():
    tuned = replace(ROW, parent="197", groups=GroupRule())
    assert (ROW.parquet, ROW.checkpoint_groups, ROW.stem(None)) == (
        "adam_195_78569.oof.parquet",
        (None,),
        "195",
    )
    assert tuned.checkpoint_groups == (0, 1, 2, 3, 4, 5, 6) and [tuned.stem(g) for g in (0, 6)] == [
        "195_g0",
        "195_g6",
    ]


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.name)
def test_every_row_builds_and_predicts_at_sample_width(row):
    torch = pytest.importorskip("torch")
    build = import_module(f"members.{row.member}.networks").build
    torch.set_num_threads(1)
    network = build(row.network["sample"]).eval()
    with torch.no_grad():
        found = network(torch.randn(2, 556))
    assert found.shape == (2, len(TARGETS)) and bool(torch.isfinite(found).all())
    kinds = [
        {
            field.name: value
            for field in fields(network)
            for value in [getattr(network, field.name)]
            if isinstance(value, (str, bool, float))
        }
        for network in row.network.values()
    ]
    assert kinds[0] == kinds[1], "a sample network is the same architecture"


def test_rows_are_read_without_torch():
    """The launcher plans with them on machines that have none."""
    import subprocess
    import sys
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    script = (
        "import sys; sys.path[:0] = %r; sys.modules['torch'] = None; sys.modules['numpy'] = None\n"
        "import launch.registry, blend.plan; assert len(launch.registry.members()) == 5"
        % [str(root / "shared"), str(root)]
    )
    subprocess.run([sys.executable, "-c", script], check=True)
