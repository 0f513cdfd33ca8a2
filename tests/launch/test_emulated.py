"""What NETWORK names, and where its checkpoints are taken from."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest

from launch import emulated, registry
from leapkit.core.layout import Results
from tests.helpers.refusals import refused

ADAM = "submission/outputs/adam/195/195.pt"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "submission")


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize("name", ["adam/195", "195", "adam_195_78569.oof"])
def test_a_network_has_its_id_its_name_and_that_of_its_parquet(name: str) -> None:
    target = emulated.named(name, "predict")
    assert (target.name, target.file_name, target.is_table) == ("adam/195", "adam_195", False)


def test_a_shipped_table_a_search_and_a_file_name_blends(tmp_path: Path) -> None:
    assert emulated.named("v10", "predict").is_table
    assert emulated.named("searched.ridge", "predict").is_search
    table = touched(tmp_path / "my table.csv")
    assert emulated.named(str(table), "predict").file_name == "my_table"


def test_a_name_that_is_nothing_or_missing_is_refused_with_those_that_there_are() -> None:
    with refused("make export", "lacks NETWORK", "NETWORK=max2020/022"):
        emulated.named("", "export")
    with refused("NETWORK=nobody", "neither a network", "adam/195", "v10 or searched"):
        emulated.named("nobody", "predict")


def chosen(results: Results, name: str, requested: Dict[str, str]) -> str:
    return emulated.weights(requested, emulated.named(name, "predict"), results).value


def test_checkpoints_are_those_that_are_named_then_those_trained_here(
    tmp_path: Path, results: Results
) -> None:
    with refused("NETWORK=adam/195", "no checkpoint", "make adam EXPERIMENTS=195", "WHAT=weights"):
        chosen(results, "adam/195", {})
    with refused("NETWORK=student/stack", "`make student EXPERIMENTS=stack`, or name a folder"):
        chosen(results, "student/stack", {})
    file = touched(tmp_path / ADAM)
    assert chosen(results, "adam/195", {}) == str(results.root)
    assert chosen(results, "adam/195", {"WEIGHTS": str(file)}) == str(file)
    with refused("WEIGHTS=/none", "does not exist"):
        chosen(results, "adam/195", {"WEIGHTS": "/none"})


def test_a_blend_takes_what_was_trained_here_only_if_all_of_it_was(
    tmp_path: Path, results: Results
) -> None:
    published = str(registry.REPOSITORY / "members")
    touched(tmp_path / ADAM)
    assert chosen(results, "v10", {}) == published
    for experiment in registry.flat(registry.members()):
        folder = results.experiment(experiment.member, experiment.id)
        for group in experiment.checkpoint_groups:
            touched(folder / f"{experiment.stem(group)}.pt")
    assert chosen(results, "v10", {}) == str(results.root)


def test_a_search_needs_weights_that_were_searched(results: Results) -> None:
    with refused(results.blend / "weights_searched.csv", "not searched yet", "make reproduce"):
        chosen(results, "searched", {})
    touched(results.blend / "weights_searched.csv")
    assert chosen(results, "searched", {}) == str(results.root)


def test_a_container_sees_the_folder_that_all_inputs_share(tmp_path: Path) -> None:
    step = touched(tmp_path / "a/0008-07/E3SM-MMF.mli.0008-07-01-00000.nc")
    zarr = touched(tmp_path / "b.zarr/zarr.json").parent
    assert emulated.common_folder([tmp_path / "a"]) == tmp_path / "a"
    assert emulated.common_folder([step]) == step.parent
    assert emulated.common_folder([zarr]) == tmp_path
    assert emulated.common_folder([tmp_path / "a/0008-0[78]/*.nc"]) == tmp_path / "a"
    assert emulated.common_folder([step, tmp_path / "*.zarr"]) == tmp_path
    with refused("INPUTS", "only / in common"):
        emulated.common_folder([step, Path("/proc/version")])
