"""An impossible recipe is refused when it is written; a sample recipe keeps its rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leapkit.core.recipes import (
    TRAINING_FRACTION,
    Augmentation,
    CosineRestarts,
    PlateauSchedule,
    Recipe,
    RowSelection,
    at_sample_size,
)

RECIPE = Recipe(lr=1e-3, epochs=1, batch=2, validation_batch=2, seed=0, schedule=PlateauSchedule())


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


def test_a_recipe_at_sample_size_keeps_what_is_the_teams_and_shrinks_the_rest() -> None:
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
    small = at_sample_size(recipe)
    assert (small.epochs, small.schedule) == (1, CosineRestarts(1, 2, 1e-5))
    assert (small.evaluations_per_epoch, small.skipped_evaluations) == (1, 0)
    assert (
        small.rates == {"a": pytest.approx(1e-3), "b": pytest.approx(2e-3)}
        and small.rows.fraction == TRAINING_FRACTION
    )
    assert small.batch < recipe.batch
    longer = at_sample_size(recipe, epochs=2, fraction=1.0)
    assert (longer.epochs, longer.rows.fraction) == (2, 1.0)
    assert longer.schedule == CosineRestarts(2, 2, 1e-5)
    assert (small.betas, small.clip, small.seed, small.smooth_l1_beta) == ((0.9, 0.95), 9, 7, 0.5)


def test_fine_tuning_at_sample_size_is_one_epoch_over_few_rows() -> None:
    recipe = replace(
        RECIPE, schedule=CosineRestarts(1, 1, 1e-7), evaluations_per_epoch=8, skipped_evaluations=5
    )
    small = at_sample_size(recipe, epochs=2)
    assert (small.epochs, small.schedule) == (1, recipe.schedule)
    assert 0 < small.rows.fraction < 0.1
    assert (small.evaluations_per_epoch, small.skipped_evaluations) == (1, 0)
