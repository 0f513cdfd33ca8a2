"""Every choice of a run, the user's or the kit's."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch import settings
from leapkit.core.errors import KitError
from leapkit.core.training_options import TrainingOptions
from tests.conftest import REPOSITORY


def test_profile_and_world_follow_from_what_lies_in_raw_data(tmp_path):
    chosen = settings.choose("reproduce", {}, needs_runtime=False)
    if not (REPOSITORY / "raw_data" / "kaggle-data" / "test.csv").exists():
        assert chosen["PROFILE"] == "sample" and chosen.is_sample_world
        assert [blend.table for blend in chosen.blends] == ["searched", "searched-zuiye"]
    (tmp_path / "kaggle-data").mkdir()
    (tmp_path / "kaggle-data" / "test.csv").touch()
    requested = {"RAW_DATA": str(tmp_path)}
    chosen = settings.choose("reproduce", requested, needs_runtime=False)
    assert (
        chosen["PROFILE"] == "full"
        and chosen["TABLE"] == "v10"
        and chosen.raw.root == tmp_path.resolve()
    )
    assert settings.choose("infer-only", requested, needs_runtime=False)["PROFILE"] == "full"
    requested["PROFILE"] = "sample"
    chosen = settings.choose("reproduce", requested, needs_runtime=False)
    assert [blend.table for blend in chosen.blends] == ["searched", "searched-zuiye"]
    assert not chosen.is_sample_world


def test_post_processing_is_off_unless_requested_and_its_names_are_checked_at_once() -> None:
    assert settings.choose("reproduce", {}).options == ()
    chosen = settings.choose("reproduce", {"POSTPROCESS": "fluxes,positivity"})
    assert chosen.options == ("positivity", "fluxes")
    with pytest.raises(KitError, match="choose from positivity, fluxes"):
        settings.choose("reproduce", {"POSTPROCESS": "clip"})


def test_the_precision_is_the_devices_own_unless_it_is_requested() -> None:
    assert settings.choose("reproduce", {})["PRECISION"] == "auto"
    assert settings.choose("reproduce", {"PRECISION": "bf16"})["PRECISION"] == "bf16"
    with pytest.raises(KitError, match="PRECISION=tf32: a CPU has no TF32; use PRECISION=float32"):
        settings.choose("reproduce", {"PRECISION": "tf32", "DEVICE": "cpu"})


def test_options_of_training_have_results_of_their_own(tmp_path: Path) -> None:
    own = {"SUBMISSION": str(tmp_path), "PROFILE": "sample"}
    plain = settings.choose("reproduce", own, needs_runtime=False)
    chosen = settings.choose("reproduce", {**own, "OPTIONS": "ema=0.9"}, needs_runtime=False)
    assert plain["OPTIONS"] == "" and any("ema=0.9" in line for line in chosen.lines())
    for member, experiments in chosen.experiments().items():
        for experiment, before in zip(experiments, plain.experiments()[member]):
            assert experiment.recipe_record("full")["options"] == {"ema": 0.9}
            assert experiment == before.with_options(TrainingOptions(ema=0.9))
    for mode, given, sentence in (
        ("reproduce", {"OPTIONS": "ema=0.9"}, "replace the results in submission; name a folder"),
        ("infer-only", {**own, "OPTIONS": "ema=0.9"}, "nothing is trained; leave it out"),
        (
            "reproduce",
            {**own, "OPTIONS": "emma=0.9"},
            "has no option emma; choose among confidence",
        ),
    ):
        with pytest.raises(KitError, match=sentence):
            settings.choose(mode, given, needs_runtime=False)
    assert settings.choose("infer-only", {"OPTIONS": "ema=0"}, needs_runtime=False)["OPTIONS"] == ""
