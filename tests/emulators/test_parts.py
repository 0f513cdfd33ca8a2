"""The parts of an emulator are found by name, wherever the weights lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from leapkit.core.columns import GROUPS
from leapkit.core.errors import KitError
from leapkit.emulators import parts
from tests.helpers.refusals import refused

pytestmark = pytest.mark.stack

TABLE = """artifact,weight
max_022_deeper_gf_cv7908_lbUnknown,0.75
adam_195_78569.oof,0.5
"""


@pytest.mark.parametrize("name", ["max2020/022", "022", "max_022_deeper_gf_cv7908_lbUnknown"])
def test_a_network_is_found_by_each_of_its_names(
    submission: Path, tiny_world: Path, name: str
) -> None:
    found = parts.find(name, submission, tiny_world)
    (network,) = found.networks
    assert (found.name, network.profile) == ("max2020/022", "sample")
    assert network.scaling.family.name == "fdzm" and np.array_equal(
        found.weights, np.ones((1, 368))
    )
    names = [(checkpoint.path.name, checkpoint.targets) for checkpoint in network.checkpoints]
    assert names == [(f"022_g{g}.pt", group) for g, group in enumerate(GROUPS)]
    assert not any(module.training for module in [network.build(), *network.modules()])


@pytest.mark.parametrize(
    "place", ["{id}", "", "{member}/weights", "{member}", "outputs/{member}/{id}"]
)
@pytest.mark.parametrize("name", ["adam/195", "max2020/022"])
def test_checkpoints_are_found_in_every_folder_that_may_hold_them(
    submission: Path, tiny_world: Path, tmp_path: Path, name: str, place: str
) -> None:
    member, number = name.split("/")
    folder = tmp_path / place.format(member=member, id=number)
    shutil.copytree(submission / "outputs" / name, folder, dirs_exist_ok=True)
    (network,) = parts.find(name, tmp_path, tiny_world).networks
    assert all(checkpoint.path.parent == folder for checkpoint in network.checkpoints)


def test_a_checkpoint_may_be_named_itself_unless_there_are_seven(
    submission: Path, tiny_world: Path
) -> None:
    file = submission / "outputs/adam/195/195.pt"
    assert parts.find("195", file, tiny_world).networks[0].checkpoints[0].path == file
    seventh = submission / "outputs/max2020/022/022_g6.pt"
    with refused(seventh, "is one file", "give the folder"):
        parts.find("022", seventh, tiny_world)


def test_a_table_gives_its_networks_in_its_order(
    submission: Path, tiny_world: Path, tmp_path: Path
) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(TABLE)
    found = parts.find(str(table), submission, tiny_world)
    assert found.name == "mine"
    assert [part.experiment.name for part in found.networks] == ["max2020/022", "adam/195"]
    assert (found.weights == [[0.75], [0.5]]).all() and found.weights.shape == (2, 368)


def test_searched_weights_lie_in_the_submission_folder(
    submission: Path, tiny_world: Path, tmp_path: Path
) -> None:
    shutil.copytree(submission, tmp_path / "s")
    (tmp_path / "s/blend").mkdir()
    (tmp_path / "s/blend/weights_searched.csv").write_text(TABLE)
    assert parts.find("searched", tmp_path / "s", tiny_world).name == "searched"
    with refused(submission / "blend/weights_searched.csv", "missing"):
        parts.find("searched", submission, tiny_world)


def test_what_cannot_be_found_is_named(submission: Path, tiny_world: Path, tmp_path: Path) -> None:
    with refused("max2020/999", "neither a network", "max2020/022"):
        parts.find("max2020/999", submission, tiny_world)
    with refused(
        submission, "no checkpoint of adam/197", "make fetch", "make adam EXPERIMENTS=197"
    ):
        parts.find("adam/197", submission, tiny_world)
    with pytest.raises(
        KitError, match="submission folder; `make student EXPERIMENTS=stack` trains"
    ):
        parts.find("student/stack", submission, tiny_world)  # nobody published one
    with refused(tmp_path / "none", "missing"):
        parts.find("adam/195", tmp_path / "none", tiny_world)
    (tmp_path / "mine.csv").write_text("artifact,weight\nfrom_elsewhere,1\n")
    with refused(tmp_path / "mine.csv", "from_elsewhere"):
        parts.find(str(tmp_path / "mine.csv"), submission, tiny_world)


def test_another_networks_checkpoint_is_refused(
    submission: Path, tiny_world: Path, tmp_path: Path
) -> None:
    shutil.copy(submission / "outputs/max2020/022/022_g0.pt", tmp_path / "195.pt")
    (network,) = parts.find("195", tmp_path, tiny_world, profile="sample").networks
    with refused(tmp_path / "195.pt", "tensor"):
        network.modules()
