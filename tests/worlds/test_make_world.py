"""A world of `make split` has Kaggle's files to the bit and a truth apart, and is never partial."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import pytest

import leapkit
from leapkit.core.columns import INPUTS, LINEAR, LINEAR_INPUTS, SAMPLE_ID, TARGETS, ZERO
from leapkit.core.errors import KitError
from leapkit.core.files import read_json, sha256
from leapkit.core.layout import (
    GRID_FILE,
    WORLD_FILES,
    RawData,
    grid_file_places,
    world_receipt,
)
from leapkit.core.splits import (
    Split,
    months_of,
)
from leapkit.core.step_files import StepPair, list_pairs
from leapkit.data import kaggle_csv, submission
from leapkit.data.scaling import FAMILIES
from leapkit.data.step_reader import StepReader
from leapkit.worlds import make_world
from tests.helpers.refusals import refused

pytestmark = pytest.mark.process

MONTHS = {"0008-01": 3, "0008-02": 2, "0008-07": 3, "0008-08": 2}


def bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float64).view(np.int64)


def rows_of(pairs: List[StepPair]) -> Tuple[np.ndarray, np.ndarray]:
    reader = StepReader()
    rows = [reader.read(pair) for pair in pairs]
    return np.concatenate([x for x, _ in rows]), np.concatenate([y for _, y in rows])


def read_csv(path: Path, columns: Tuple[str, ...]) -> Tuple[List[str], np.ndarray]:
    blocks = list(kaggle_csv.stream(path, columns))
    return [name for ids, _ in blocks for name in ids], np.concatenate(
        [values for _, values in blocks]
    )


def read_truth(path: Path) -> Tuple[List[str], np.ndarray]:
    blocks = list(submission.blocks(path))
    return [name for ids, _ in blocks for name in ids], np.concatenate(
        [values for _, values in blocks]
    )


@pytest.fixture(scope="module")
def real_world(
    real_steps: Path, published: Path, tmp_path_factory: pytest.TempPathFactory
) -> Tuple[Path, Path]:
    """Return (steps, world), made by the command from a few real steps and published statistics."""
    steps = tmp_path_factory.mktemp("real") / "steps"
    target = tmp_path_factory.mktemp("made") / "world"
    for month, count in MONTHS.items():
        (steps / month).mkdir(parents=True)
        for pair in list_pairs(real_steps, [month])[:count]:
            for path in (pair.mli, pair.mlo):
                (steps / month / path.name).symlink_to(path)
    assert (
        make_world.main(
            [
                "--steps",
                str(steps),
                "--to",
                str(target),
                "--train",
                "0008-01:0008-02,0008-07",
                "--validation",
                "0008-07",
                "--validation-stride",
                "2",
                "--test",
                "0008-08",
                "--statistics",
                str(published),
                "--csv-stride",
                "3",
                "--seed",
                "5",
            ]
        )
        == 0
    )
    return steps, target


@pytest.fixture(params=["tiny", "real"])
def world(request: pytest.FixtureRequest) -> Tuple[RawData, List[StepPair], int]:
    """Return (world, pairs of the test months, stride of train.csv)."""
    if request.param == "tiny":
        root = request.getfixturevalue("tiny_world")
        # conftest makes the test steps elsewhere and does not keep them below the world: make them
        # again
        from leapkit.sampleworld.steptime import StepTime
        from leapkit.sampleworld.write import write_steps

        steps = request.getfixturevalue("tmp_path") / "steps"
        write_steps(
            steps,
            [StepTime(9, 2, 3 + 2 * k, (k * 17 % 72) * 1200) for k in range(3)],
            seed=7,
            columns=48,
        )
        return RawData(root), list_pairs(steps), 2
    steps, root = request.getfixturevalue("real_world")
    return RawData(root), list_pairs(steps, ["0008-08"]), 3


# the files are Kaggle's


def test_test_csv_and_the_withheld_truth_are_the_step_files_bit_for_bit(world: tuple) -> None:
    raw, pairs, _ = world
    x, y = rows_of(pairs)
    ids, values = read_csv(raw.test_csv, INPUTS)
    truth_ids, truth = read_truth(raw.truth)
    assert (bits(values) == bits(x)).all() and (bits(truth) == bits(y)).all()
    assert ids == truth_ids == kaggle_csv.read_ids(raw.sample_submission)


def test_the_steps_of_the_test_rows_are_kept_beside_their_truth_in_order(world: tuple) -> None:
    raw, pairs, _ = world
    assert read_json(raw.test_steps) == [pair.stamp for pair in pairs]


@pytest.mark.parametrize("place", ["elsewhere/train", ".", "elsewhere"])
def test_the_grid_file_of_the_steps_comes_into_the_world(tmp_path: Path, place: str) -> None:
    """It lies in their folder, beside it, or beside the folder that theirs is a link to."""
    (tmp_path / "elsewhere" / "train").mkdir(parents=True)
    steps = tmp_path / "train"
    steps.symlink_to(tmp_path / "elsewhere" / "train")
    (tmp_path / place / GRID_FILE).write_bytes(b"grid")
    raw = RawData(tmp_path / "world")
    make_world.place_grid(raw, grid_file_places(steps))
    assert raw.grid_files[0].read_bytes() == b"grid"


def test_the_withheld_truth_s_linear_columns_are_the_formula_of_test_csv(world: tuple) -> None:
    x, truth = read_csv(world[0].test_csv, INPUTS)[1], read_truth(world[0].truth)[1]
    formula = -x[:, [INPUTS.index(name) for name in LINEAR_INPUTS]] / 1200
    assert (truth[:, [TARGETS.index(name) for name in LINEAR]] == formula).all()


def test_ids_are_a_permutation_and_not_in_order(world: tuple) -> None:
    ids = kaggle_csv.read_ids(world[0].sample_submission)
    assert sorted(int(name[len("test_") :]) for name in ids) == list(range(len(ids)))
    assert ids != [f"test_{k}" for k in range(len(ids))]


def test_train_csv_is_every_nth_training_step_with_ids_in_order(world: tuple) -> None:
    raw, _, stride = world
    x, y = rows_of(raw.training_pairs()[::stride])
    ids, values = read_csv(raw.root / "kaggle-data" / "train.csv", INPUTS + TARGETS)
    assert ids == [f"train_{k}" for k in range(len(x))]
    assert (bits(values) == bits(np.concatenate([x, y], axis=1))).all()


@pytest.mark.parametrize(
    "name, columns",
    [
        ("train", INPUTS + TARGETS),
        ("test", INPUTS),
        ("sample_submission", TARGETS),
        ("sample_submission_old", TARGETS),
    ],
)
def test_headers_are_kaggle_s(world: tuple, name: str, columns: Tuple[str, ...]) -> None:
    with open(world[0].root / "kaggle-data" / (name + ".csv"), newline="") as handle:
        assert next(csv.reader(handle)) == [SAMPLE_ID] + list(columns)


def test_sample_submission_holds_the_integers_1_and_0_as_kaggle_s(world: tuple) -> None:
    expected = ["0" if name in ZERO else "1" for name in TARGETS]
    ids = kaggle_csv.read_ids(world[0].test_csv.with_name("sample_submission.csv"))
    text = world[0].sample_submission.read_text()
    assert text.endswith("\n") and "\r" not in text
    lines = text.split("\n")[1:-1]
    assert [line.split(",") for line in lines] == [[name] + expected for name in ids]
    assert expected.count("0") == 60


def test_every_row_of_old_weights_is_the_same_and_its_ids_are_the_test_s(world: tuple) -> None:
    ids, weights = read_csv(world[0].old_weights, TARGETS)
    assert ids == kaggle_csv.read_ids(world[0].sample_submission)
    assert (weights == weights[0]).all() and (
        weights[0] == kaggle_csv.read_old_weights(world[0].old_weights)
    ).all()


def test_given_statistics_are_taken_byte_for_byte(
    real_world: Tuple[Path, Path], published: Path
) -> None:
    raw = RawData(real_world[1])
    for family in FAMILIES:
        for name in ("mean.json", "std.json"):
            assert sha256(raw.statistics(family) / name) == sha256(published / family / name)
    assert (
        bits(kaggle_csv.read_old_weights(raw.old_weights))
        == bits(
            kaggle_csv.read_old_weights(published / "kaggle-data" / "sample_submission_old.csv")
        )
    ).all()


def test_the_world_holds_the_steps_themselves_and_no_links_to_elsewhere(
    real_world: Tuple[Path, Path],
) -> None:
    steps, target = real_world
    world_pairs = list_pairs(RawData(target).steps)
    assert [p.mli.name for p in world_pairs] == [
        p.mli.name for p in list_pairs(steps, ["0008-01", "0008-02", "0008-07"])
    ]
    for pair in world_pairs:
        for path in (pair.mli, pair.mlo):
            assert not path.is_symlink()
            assert sha256(path) == sha256(steps / pair.month / path.name)


def test_the_test_months_are_not_in_the_world(world: tuple) -> None:
    raw = world[0]
    assert not set(raw.split().test) & {p.name for p in raw.steps.iterdir()}


def test_validation_steps_are_not_trained_on_and_not_in_train_csv(
    real_world: Tuple[Path, Path],
) -> None:
    raw = RawData(real_world[1])
    validation = raw.validation_pairs()
    training = raw.training_pairs()
    assert [p.mli.name for p in validation] == [
        p.mli.name for p in list_pairs(raw.steps, ["0008-07"])
    ][::2]
    assert len(validation) == 2 and len(training) == 6
    assert not {p.mli for p in validation} & {p.mli for p in training}
    assert "0008-07" in {p.month for p in training}  # the month serves both
    _, values = read_csv(raw.root / "kaggle-data" / "train.csv", INPUTS + TARGETS)
    training_rows = {row.tobytes() for row in values[:, :556]}
    assert not [1 for row in rows_of(validation)[0] if row.tobytes() in training_rows]


def test_the_split_is_recorded_and_read_back(real_world: Tuple[Path, Path]) -> None:
    assert RawData(real_world[1]).split() == Split(
        ("0008-01", "0008-02", "0008-07"), ("0008-07",), 2, ("0008-08",)
    )


def test_the_same_seed_gives_the_same_bytes_and_another_other_ids(
    tiny_world: Path, tmp_path: Path
) -> None:
    steps = tiny_world / "ClimSim_low-res" / "train"
    kind = Split(("0008-01",), ("0008-04",), 3, ("0008-07",))
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_world.make_world(steps, steps, tmp_path / name, kind, None, seed, 3)
    for name in WORLD_FILES:
        assert sha256(tmp_path / "a" / name) == sha256(tmp_path / "b" / name), name
    ids = [kaggle_csv.read_ids(RawData(tmp_path / name).sample_submission) for name in "ac"]
    assert ids[0] != ids[1] and sorted(ids[0]) == sorted(ids[1])


# months of the command line


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8-1",
        "0008-1",
        "0008_01",
        "0008-01:",
        "0008-01:0008",
        "0008-01,,0008-02",
        "abcd-ef",
        "0008-13",
        "0008-00",
        "0008-01:0008-13",
        "0008-05:0008-03",
        "0008-01:0008-02:0008-03",
    ],
)
def test_what_is_no_month_is_refused(text: str, tmp_path: Path) -> None:
    with refused("--train", "earlier month of a range first"):
        months_of(text, "--train")
    with refused("--train", "earlier month of a range first"):
        make_world.main(
            [
                "--steps",
                str(tmp_path),
                "--to",
                str(tmp_path / "w"),
                "--train",
                text,
                "--validation",
                "0008-01",
                "--test",
                "0008-02",
            ]
        )


# whole or absent


def command(steps: Path, target: Path, **options: str) -> List[str]:
    chosen = dict(
        steps=str(steps),
        to=str(target),
        train="0008-01",
        validation="0008-04",
        test="0008-07",
        **options,
    )
    return [
        word for name, value in chosen.items() for word in ("--" + name.replace("_", "-"), value)
    ]


@pytest.fixture
def steps(tiny_world: Path) -> Path:
    return tiny_world / "ClimSim_low-res" / "train"


def test_an_occupied_folder_is_refused_and_stays_as_it_was(steps: Path, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "mine.txt").write_text("mine")
    with refused(tmp_path / "w", "already holds something"):
        make_world.main(command(steps, tmp_path / "w"))
    assert [p.name for p in (tmp_path / "w").iterdir()] == ["mine.txt"]


def test_a_file_in_the_place_of_the_world_is_refused(steps: Path, tmp_path: Path) -> None:
    (tmp_path / "w").write_text("mine")
    with refused(tmp_path / "w"):
        make_world.main(command(steps, tmp_path / "w"))
    assert (tmp_path / "w").read_text() == "mine"


def test_an_empty_folder_is_filled(steps: Path, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    make_world.main(command(steps, tmp_path / "w"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w"]
    receipt = json.loads(world_receipt(tmp_path / "w").read_text())
    assert set(WORLD_FILES) < set(receipt["files"])
    assert all(receipt["files"][name] == sha256(tmp_path / "w" / name) for name in WORLD_FILES)


@pytest.mark.parametrize(
    "function", ["write_test", "write_scaling", "write_split", "write_world_receipt"]
)
@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt(), KitError("the disk is full", "x", "free some space")]
)
def test_a_world_that_fails_half_way_leaves_nothing(
    steps: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    failure: BaseException,
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(make_world, function, fail)
    with pytest.raises(type(failure)):
        make_world.main(command(steps, tmp_path / "w"))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_split_leaves_nothing_under_the_final_name_and_the_next_one_succeeds(
    steps: Path, tmp_path: Path
) -> None:
    code = (
        "import os, sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from leapkit.worlds import make_world as split\n"
        "split.write_scaling = lambda *_: os.kill(os.getpid(), 9)\nsplit.main(sys.argv[1:])"
    )
    shared = str(Path(leapkit.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code, shared] + command(steps, tmp_path / "w"), capture_output=True
    )
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "w").exists()
    make_world.main(command(steps, tmp_path / "w"))
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(steps: Path, small_disk: Path) -> None:
    with refused(small_disk, "the disk is full"):
        make_world.main(command(steps, small_disk / "w"))
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize(
    "options, words",
    [
        ({"csv_stride": "0"}, "stride"),
        ({"validation_stride": "0"}, "stride"),
        ({"csv_stride": "-1"}, "stride"),
    ],
)
def test_an_impossible_stride_is_refused(
    steps: Path, tmp_path: Path, options: Dict[str, str], words: str
) -> None:
    with refused("--", words):
        make_world.main(command(steps, tmp_path / "w", **options))
    assert list(tmp_path.iterdir()) == []


def test_months_that_are_not_there_are_refused(steps: Path, tmp_path: Path) -> None:
    options = command(steps, tmp_path / "w")
    options[options.index("0008-07")] = "0011-01"
    with refused(steps / "0011-01", "the month is missing"):
        make_world.main(options)
    assert list(tmp_path.iterdir()) == []
