"""Every choice of a run, the user's or the kit's."""

from __future__ import annotations

import pytest

from launch import settings
from leapkit.core.errors import KitError
from tests.conftest import REPOSITORY
from tests.helpers.kit_members import KIT


def searches_of_the_kit(chosen):
    """Return the tables without those of members that came later."""
    known = ("", *KIT)
    return [blend.table for blend in chosen.blends if blend.search.member in known]


def test_profile_and_world_follow_from_what_lies_in_raw_data(tmp_path):
    chosen = settings.choose("reproduce", {}, needs_runtime=False)
    if not (REPOSITORY / "raw_data" / "kaggle-data" / "test.csv").exists():
        assert chosen["PROFILE"] == "sample" and chosen.is_sample_world
        assert searches_of_the_kit(chosen) == ["searched", "searched-zuiye"]
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
    assert searches_of_the_kit(chosen) == ["searched", "searched-zuiye"]
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
