"""Experiment rows: what is impossible is refused when it is written down, and every shipped row works."""
from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, fields, replace

import pytest

from leapkit.columns import TARGETS
from leapkit.errors import KitError
from leapkit.experiments import PROFILES, Experiment, PlateauSchedule, Recipe, TrainingRows, by_id, select
from members.adam.experiments import EXPERIMENTS

RECIPE = Recipe(lr=1e-3, epochs=1, batch=2, validation_batch=2, seed=0, rows=TrainingRows())
ROW = EXPERIMENTS[0]


@pytest.mark.parametrize("wrong", [
    {"first_month": "1-2"}, {"first_month": ""}, {"first_month": "0001-2"}, {"first_month": "0001-02-03"},
    {"first_month": "x0001-02"}, {"fraction": 0.0}, {"fraction": -0.5}, {"fraction": 1.5}, {"fraction": float("nan")}])
def test_impossible_training_rows_are_refused(wrong):
    with pytest.raises(ValueError):
        TrainingRows(**wrong)


@pytest.mark.parametrize("wrong", [{"factor": 0.0}, {"factor": 1.0}, {"factor": -0.1}, {"patience": -1}, {"min_lr": -1e-9}])
def test_an_impossible_schedule_is_refused(wrong):
    with pytest.raises(ValueError):
        PlateauSchedule(**wrong)


@pytest.mark.parametrize("wrong", [
    {"lr": 0.0}, {"lr": -1.0}, {"clip": 0.0}, {"smooth_l1_beta": 0.0}, {"epochs": 0}, {"batch": 0},
    {"validation_batch": 0}, {"evaluations_per_epoch": 0}, {"lr": float("nan")}])
def test_an_impossible_recipe_is_refused(wrong):
    with pytest.raises(ValueError):
        replace(RECIPE, **wrong)


@pytest.mark.parametrize("wrong", [
    {"family": "zuiye"}, {"artifact": "a/b"}, {"artifact": ""}, {"artifact": "a b"}, {"artifact": "x.parquet"},
    {"artifact": "x.npy"}, {"artifact": "../x"}, {"batch": 0}, {"network": {"full": ROW.network["full"]}},
    {"recipe": {"sample": ROW.recipe["sample"]}}, {"recipe": {}}])
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


@pytest.mark.parametrize("wanted, expected", [
    ("", ["195", "197", "200"]), ("197", ["197"]), ("adam/200", ["200"]), ("200,195", ["195", "200"]),
    (" 195, adam/195 ,", ["195"]), ("195 200", ["195", "200"])])
def test_experiments_are_chosen_by_id_or_name_in_the_rows_order(wanted, expected):
    assert [row.id for row in select(EXPERIMENTS, wanted)] == expected


@pytest.mark.parametrize("wanted", ["196", "195,19", "max2020/195", "adam", "adam_195_78569.oof"])
def test_an_unknown_experiment_is_named_with_those_that_there_are(wanted):
    with pytest.raises(KitError, match=r"unknown experiment .*adam/195, adam/197, adam/200"):
        select(EXPERIMENTS, wanted)


def test_what_a_receipt_records_is_plain_data_of_all_fields():
    import json
    for row in EXPERIMENTS:
        for profile in PROFILES:
            for recorded in (row.network_row(profile), row.recipe_row(profile)):
                assert json.loads(json.dumps(recorded)) is not None
            assert row.network_row(profile)["class"] == "AdamNetwork"
            assert set(row.recipe_row(profile)) == {field.name for field in fields(Recipe)}


def test_the_published_recipes_are_the_teams():
    """models.md section 4."""
    for row, seed, first, share in zip(EXPERIMENTS, (47, 1103, 9), ("0001-02", "0001-02", "0004-01"), (0.65, 0.65, 1.0)):
        recipe = row.recipe["full"]
        assert (recipe.lr, recipe.epochs, recipe.batch, recipe.validation_batch) == (1e-3, 25, 2048, 4096)
        assert (recipe.clip, recipe.betas, recipe.weight_decay) == (1000.0, (0.9, 0.999), 0.0)
        assert (recipe.evaluations_per_epoch, recipe.smooth_l1_beta) == (4, 1.0)
        assert asdict(recipe.schedule) == {"factor": 0.1, "patience": 2, "min_lr": 1e-5}
        assert (recipe.seed, recipe.rows.first_month, recipe.rows.fraction) == (seed, first, share)
        assert (row.family, row.batch) == ("adam", 4096)


def test_artifacts_are_those_of_the_blend_table():
    from blend import tables
    known = {artifact for artifact, _ in tables.find("v10").rows}
    assert len(known) == 16
    assert {row.artifact for row in EXPERIMENTS} == {name for name in known if name.startswith("adam_")}
    for row in EXPERIMENTS:
        assert row.parquet == row.artifact + ".parquet" and row.checkpoint == row.id + ".pt"


@pytest.mark.parametrize("row", EXPERIMENTS, ids=lambda row: row.name)
def test_every_row_builds_and_predicts_at_sample_width(row):
    torch = pytest.importorskip("torch")
    from members.adam.networks import build
    torch.set_num_threads(1)
    network = build(row.network["sample"]).eval()
    with torch.no_grad():
        found = network(torch.randn(2, 556))
    assert found.shape == (2, len(TARGETS)) and bool(torch.isfinite(found).all())
    full, sample = row.network["full"], row.network["sample"]
    assert (full.tail, full.activation, full.silu, full.dropout) == (
        sample.tail, sample.activation, sample.silu, sample.dropout), "a sample network is the same architecture"


def test_rows_are_read_without_torch():
    """The launcher plans with them on machines that have none."""
    import subprocess
    import sys
    from pathlib import Path
    root = Path(__file__).resolve().parent.parent
    script = ("import sys; sys.path[:0] = %r; sys.modules['torch'] = None; sys.modules['numpy'] = None\n"
              "import members.adam.experiments, leapkit.plan, blend.plan" % [str(root / "shared"), str(root)])
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_experiment_is_made_of_its_fields_alone():
    assert [field.name for field in fields(Experiment)] == [
        "member", "id", "artifact", "family", "network", "recipe", "batch"]
