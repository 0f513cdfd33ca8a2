"""A teacher's world holds its predictions where it trains, and the truth where it validates."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Callable, Sequence

import numpy as np
import pytest

from leapkit.core import receipts
from leapkit.core.errors import KitError
from leapkit.core.files import read_json
from leapkit.core.layout import RawData, world_receipt
from leapkit.core.splits import Split, write_split
from leapkit.core.step_files import StepPair, list_pairs
from leapkit.data.step_reader import StepReader
from leapkit.worlds import teacher_world
from tests.helpers.refusals import refused

pytestmark = [pytest.mark.process, pytest.mark.stack]

Teacher = Callable[[np.ndarray], np.ndarray]


def halved(y: np.ndarray) -> np.ndarray:
    return y / 2


def label(pairs: Sequence[StepPair], folder: Path, teacher: Teacher, checkpoint: str = "c") -> Path:
    """Write what `make predict` does: the steps of a teacher who knows the truth, a receipt."""
    pytest.importorskip("torch")
    pytest.importorskip("netCDF4")
    from leapkit.emulators import step_form
    from leapkit.emulators.products import KIND, TreeIndex

    reader = StepReader()
    for pair in pairs:
        x, y = reader.read(pair)
        step_form.write_step(folder, pair, x, teacher(y), {})
    made_of = {"checkpoints t/1.pt": checkpoint, **{pair.mli.name: "x" for pair in pairs}}
    digest = TreeIndex().of(folder)
    receipts.write(folder, KIND, made_of, receipts.now(), digest=digest)
    return folder


@pytest.fixture(scope="module")
def source(tiny_world: Path) -> RawData:
    return RawData(tiny_world)


@pytest.fixture(scope="module")
def labels(source: RawData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return label(source.training_pairs(), tmp_path_factory.mktemp("taught") / "labels", halved)


@pytest.fixture(scope="module")
def world(source: RawData, labels: Path) -> RawData:
    to = labels.parent / "world"
    teacher_world.make(source, [labels], to)
    return RawData(to)


def targets(pairs: Sequence[StepPair]) -> np.ndarray:
    return np.concatenate([StepReader().read(pair)[1] for pair in pairs])


def test_the_loop_reads_the_teachers_tendencies_where_it_trains(
    source: RawData, world: RawData
) -> None:
    taught, truth = targets(world.training_pairs()), targets(source.training_pairs())
    assert [pair.stamp for pair in world.training_pairs()] == [
        pair.stamp for pair in source.training_pairs()
    ]
    # A state after the step is rounded to float64, and a tendency is a difference of two.
    spread = truth.std(axis=0)
    assert (np.abs(taught - truth / 2) <= 1e-6 * spread + 1e-18).all()
    inputs = [StepReader().read(world_.training_pairs()[0])[0] for world_ in (source, world)]
    assert np.array_equal(*inputs)


def test_validation_and_the_test_see_the_truth_and_no_byte_is_copied(
    source: RawData, world: RawData
) -> None:
    assert np.array_equal(targets(world.validation_pairs()), targets(source.validation_pairs()))
    for family in ("adam", "fdzm"):
        for role, path in world.scaling_files(family).items():
            assert os.path.samefile(path, source.scaling_files(family)[role]), role
    for name in ("test_csv", "sample_submission", "truth"):
        assert os.path.samefile(getattr(world, name), getattr(source, name))


def test_the_receipt_names_the_teachers_checkpoints_and_every_file(world: RawData) -> None:
    receipt = read_json(world_receipt(world.root))
    assert receipt["inputs"]["checkpoints t/1.pt"] == "c"
    assert not [role for role in receipt["inputs"] if role.endswith(".nc")]
    assert receipt["files"]["steps"] and len(receipt["files"]) == 12
    assert receipt["details"]["predicted steps"] == 12


def test_a_second_command_does_nothing_and_another_teacher_or_damage_makes_it_again(
    source: RawData, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "world"
    teacher_world.make(source, [labels], to)
    before = world_receipt(to).read_bytes()
    teacher_world.make(source, [labels], to)
    assert "its receipt proves it" in capsys.readouterr().out
    assert world_receipt(to).read_bytes() == before
    (to / "split.json").write_text((to / "split.json").read_text() + " ")
    teacher_world.make(source, [labels], to)
    other = label(source.training_pairs(), tmp_path / "other", lambda y: y / 4, "d")
    teacher_world.make(source, [other], to)
    assert read_json(world_receipt(to))["inputs"]["checkpoints t/1.pt"] == "d"
    assert np.array_equal(targets(RawData(to).training_pairs()), targets(list_pairs(other)))


def test_months_that_validate_and_train_keep_their_rule_and_further_months_train(
    source: RawData, tmp_path: Path
) -> None:
    """Every third step of the months validates: those are counted over all steps of a month."""
    copy = RawData(tmp_path / "source")
    shutil.copytree(str(source.root), str(copy.root))
    months = ("0008-01", "0008-04")
    write_split(copy.root / "split.json", Split(months[:1], months[:1], 3, ("0009-02",)))
    every = list_pairs(copy.steps, months)  # `make predict` takes months as they are
    to = RawData(tmp_path / "world")
    teacher_world.make(copy, [label(every, tmp_path / "labels", halved)], to.root)
    held_out, learned = copy.validation_pairs(), copy.training_pairs() + every[6:]
    assert len(held_out) == 2 and len(learned) == 10
    assert [pair.stamp for pair in to.validation_pairs()] == [pair.stamp for pair in held_out]
    assert [pair.stamp for pair in to.training_pairs()] == [pair.stamp for pair in learned]
    assert np.array_equal(targets(to.validation_pairs()), targets(held_out))
    assert to.split() == replace(copy.split(), train=months)
    details = read_json(world_receipt(to.root))["details"]
    assert details == {"predicted steps": len(learned)}


def damage(labels: Path) -> None:
    next(labels.rglob("*.mlo.*")).unlink()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (damage, "is no whole prediction"),
        (lambda labels: (labels.parent / "labels.receipt.json").unlink(), "is no whole prediction"),
        (lambda labels: shutil.rmtree(str(labels / "0008-04")), "was not predicted"),
    ],
    ids=["damaged", "without receipt", "a month less"],
)
def test_predictions_that_are_not_whole_are_refused_with_the_command_that_makes_them(
    source: RawData, labels: Path, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    shutil.copytree(str(labels), str(tmp_path / "labels"))
    shutil.copy(str(receipts.receipt_path(labels)), str(tmp_path))
    spoil(tmp_path / "labels")
    with pytest.raises(KitError) as caught:
        teacher_world.make(source, [tmp_path / "labels"], tmp_path / "world")
    assert words in str(caught.value) or "counterpart" in str(caught.value)
    assert not (tmp_path / "world").exists()


def test_what_a_student_may_not_learn_from_and_what_is_no_state_are_refused(
    source: RawData, tmp_path: Path
) -> None:
    [month] = source.split().test
    label(source.training_pairs(), tmp_path / "labels", halved)
    held_out = label(list_pairs(source.steps)[:1], tmp_path / "held", halved)
    (held_out / "0008-01").rename(held_out / month)
    for file in (held_out / month).iterdir():
        file.rename(file.with_name(file.name.replace("0008-01", month)))
    from leapkit.emulators.products import KIND, TreeIndex

    receipts.write(held_out, KIND, {}, receipts.now(), digest=TreeIndex().of(held_out))
    with refused("INPUTS", f"{month} validates or tests"):
        teacher_world.make(source, [tmp_path / "labels", held_out], tmp_path / "world")
    absurd = label(source.training_pairs(), tmp_path / "absurd", lambda y: y + 1.0)
    with refused(absurd, "the teacher predicts no state of an atmosphere", "another TEACHER="):
        teacher_world.make(source, [absurd], tmp_path / "world")
    assert sorted(path.name for path in tmp_path.iterdir() if "world" in path.name) == []


def test_a_folder_of_the_users_is_left_alone(source: RawData, labels: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with refused(tmp_path, "something that is not a teacher's world", "TO="):
        teacher_world.make(source, [labels], tmp_path)
    with refused(source.root, "something that is not a teacher's world"):
        teacher_world.make(source, [labels], source.root)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
