"""A world of `make split` has Kaggle's files to the bit and a truth apart; whole or absent."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import pytest

import leapkit
from leapkit.core.columns import INPUTS, LINEAR, LINEAR_INPUTS, SAMPLE_ID, TARGETS, ZERO
from leapkit.core.errors import KitError
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import WORLD_FILES, RawData, world_receipt
from leapkit.core.sample_world import judge_world, sample_inputs
from leapkit.core.splits import (
    PUBLISHED,
    Split,
    months_between,
    months_of,
    read_split,
    scaled_down,
    write_split,
)
from leapkit.core.step_files import StepPair, list_pairs
from leapkit.data import csv_stream, inference_set, kaggle_csv, submission
from leapkit.data.scaling import FAMILIES, load_scaling
from leapkit.data.step_reader import StepReader
from leapkit.worlds import make_world
from leapkit.worlds.make_world import PublishedScaling
from tests.helpers.refusals import refused

pytestmark = pytest.mark.process

MONTHS = {"0008-01": 3, "0008-02": 2, "0008-07": 3, "0008-08": 2}


def bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float64).view(np.int64)


def rows_of(pairs: List[StepPair]) -> Tuple[np.ndarray, np.ndarray]:
    reader = StepReader()
    parts = [reader.read(pair) for pair in pairs]
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def read_csv(path: Path, columns: Tuple[str, ...]) -> Tuple[List[str], np.ndarray]:
    parts = list(kaggle_csv.stream(path, columns))
    return [name for ids, _ in parts for name in ids], np.concatenate(
        [values for _, values in parts]
    )


def read_truth(path: Path) -> Tuple[List[str], np.ndarray]:
    parts = list(submission.blocks(path))
    return [name for ids, _ in parts for name in ids], np.concatenate(
        [values for _, values in parts]
    )


@pytest.fixture(scope="module")
def real_world(
    real_steps: Path, published: Path, tmp_path_factory: pytest.TempPathFactory
) -> Tuple[Path, Path]:
    """(steps, world): made by the command line from a few real steps and published statistics."""
    steps, to = tmp_path_factory.mktemp("real") / "steps", tmp_path_factory.mktemp("made") / "world"
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
                str(to),
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
    return steps, to


@pytest.fixture(params=["tiny", "real"])
def world(request: pytest.FixtureRequest) -> Tuple[RawData, List[StepPair], int]:
    """(world, pairs of the test months, stride of train.csv)."""
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
    ids, found = read_csv(raw.test_csv, INPUTS)
    truth_ids, truth = read_truth(raw.truth)
    assert (bits(found) == bits(x)).all() and (bits(truth) == bits(y)).all()
    assert ids == truth_ids == kaggle_csv.read_ids(raw.sample_submission)


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
    ids, found = read_csv(raw.root / "kaggle-data" / "train.csv", INPUTS + TARGETS)
    assert ids == [f"train_{k}" for k in range(len(x))]
    assert (bits(found) == bits(np.concatenate([x, y], axis=1))).all()


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
    steps, to = real_world
    placed = list_pairs(RawData(to).steps)
    assert [p.mli.name for p in placed] == [
        p.mli.name for p in list_pairs(steps, ["0008-01", "0008-02", "0008-07"])
    ]
    for pair in placed:
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
    validation, training = raw.validation_pairs(), raw.training_pairs()
    assert [p.mli.name for p in validation] == [
        p.mli.name for p in list_pairs(raw.steps, ["0008-07"])
    ][::2]
    assert len(validation) == 2 and len(training) == 6
    assert not {p.mli for p in validation} & {p.mli for p in training}
    assert "0008-07" in {p.month for p in training}  # the month serves both
    _, found = read_csv(raw.root / "kaggle-data" / "train.csv", INPUTS + TARGETS)
    known = {row.tobytes() for row in found[:, :556]}
    assert not [1 for row in rows_of(validation)[0] if row.tobytes() in known]


def test_the_split_is_recorded_and_read_back(real_world: Tuple[Path, Path]) -> None:
    assert RawData(real_world[1]).split() == Split(
        ("0008-01", "0008-02", "0008-07"), ("0008-07",), 2, ("0008-08",)
    )


def test_without_split_json_the_published_rule_takes_the_months_that_are_there(
    real_steps: Path, tmp_path: Path
) -> None:
    raw = RawData(tmp_path)
    raw.steps.parent.mkdir()
    raw.steps.symlink_to(real_steps)
    assert raw.split() == Split(months_between("0008-01", "0008-06"), ("0008-07", "0008-08"), 7)
    validation, training = raw.validation_pairs(), raw.training_pairs()
    assert validation == list_pairs(raw.steps, ["0008-07", "0008-08"])[::7]
    assert training == list_pairs(raw.steps, raw.split().train) and len(validation) == 2


def test_without_any_month_there_is_no_split(tmp_path: Path) -> None:
    raw = RawData(tmp_path)
    with refused(raw.steps, "the folder of step files is missing"):
        raw.split()
    raw.steps.mkdir(parents=True)
    with refused(raw.steps, "holds no month"):
        raw.split()


@pytest.mark.parametrize(
    "there, train, validation",
    [
        (
            PUBLISHED.train + PUBLISHED.validation + ("0009-02",),
            PUBLISHED.train,
            PUBLISHED.validation,
        ),
        (("0003-05", "0008-09"), ("0003-05",), ("0008-09",)),
        (
            ("0001-01", "0001-02", "0008-06"),
            ("0001-01", "0001-02", "0008-06"),
            ("0008-06",),
        ),  # nothing that validates
        (("0008-07", "0008-12"), ("0008-07", "0008-12"), ("0008-12",)),  # nothing to train on
        (("0009-05",), ("0009-05",), ("0009-05",)),
    ],
)
def test_the_published_rule_scales_down(
    there: Tuple[str, ...], train: Tuple[str, ...], validation: Tuple[str, ...]
) -> None:
    assert scaled_down(PUBLISHED, there) == Split(train, validation, 7)


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


# months and splits


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0008-01", ("0008-01",)),
        ("0008-11:0009-02", ("0008-11", "0008-12", "0009-01", "0009-02")),
        ("0008-01:0008-02,0008-07", ("0008-01", "0008-02", "0008-07")),
        ("0008-03:0008-03", ("0008-03",)),
    ],
)
def test_months_are_ranges_and_commas(text: str, expected: Tuple[str, ...]) -> None:
    assert months_of(text, "--train") == expected


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


def test_the_published_split_has_89_training_and_7_validation_months() -> None:
    assert (
        len(PUBLISHED.train) == 89
        and PUBLISHED.train[0] == "0001-02"
        and PUBLISHED.train[-1] == "0008-06"
    )
    assert (
        PUBLISHED.validation == months_between("0008-07", "0009-01")
        and len(PUBLISHED.validation) == 7
    )
    assert PUBLISHED.validation_stride == 7


@pytest.mark.parametrize(
    "options",
    [
        dict(train=()),
        dict(validation=()),
        dict(validation_stride=0),
        dict(train=("8-1",)),
        dict(test=("0008-01",)),
        dict(test=("0008-07",)),
        dict(train=("0008-01", "0008-01")),
        dict(train=("0008-13",)),
    ],
)
def test_an_impossible_split_is_refused(options: dict) -> None:
    with pytest.raises(ValueError):
        Split(
            **dict(
                dict(
                    train=("0008-01",),
                    validation=("0008-07",),
                    validation_stride=7,
                    test=("0009-02",),
                ),
                **options,
            )
        )


def test_a_split_reads_back_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    kind = Split(("0008-01",), ("0008-01",), 2, ("0008-02",))
    write_split(tmp_path / "split.json", kind)
    assert read_split(tmp_path / "split.json") == kind
    for content in (
        "[]",
        "{}",
        "{",
        '{"train": 7}',
        '{"train": [], "validation": [], "validation_stride": 1, "test": []}',
    ):
        (tmp_path / "split.json").write_text(content)
        with refused(tmp_path / "split.json", "make split"):
            read_split(tmp_path / "split.json")


# whole or absent


def command(steps: Path, to: Path, **options: str) -> List[str]:
    chosen = dict(
        steps=str(steps),
        to=str(to),
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
    "where", ["write_test", "write_scaling", "write_split", "write_world_receipt"]
)
@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt(), KitError("the disk is full", "x", "free some space")]
)
def test_a_world_that_fails_half_way_leaves_nothing(
    steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, failure: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(make_world, where, fail)
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


def test_statistics_are_found_as_the_team_lays_them_out(published: Path, tmp_path: Path) -> None:
    found = PublishedScaling.find(published)
    assert set(found.families) == {"adam", "fdzm"} and found.old_weights.exists()
    with refused(tmp_path, "old weights"):
        PublishedScaling.find(tmp_path)


# inference_set.prepare


@pytest.fixture
def raw(tiny_world: Path, tmp_path: Path) -> RawData:
    """A copy of the tiny world that a test may damage."""
    shutil.copytree(str(tiny_world), str(tmp_path / "raw"))
    return RawData(tmp_path / "raw")


def loaded(raw: RawData, family: str = "fdzm"):  # type: ignore[no-untyped-def]
    return load_scaling(raw.statistics(family), family, raw.old_weights)


@pytest.mark.parametrize("family", ["adam", "fdzm"])
def test_the_prepared_test_set_is_that_of_the_whole_file_at_once(
    raw: RawData, tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_stream, "_CHUNK", 50_000)  # a few rows
    ids, x = read_csv(raw.test_csv, INPUTS)
    found = inference_set.prepare(raw, loaded(raw, family), tmp_path / "cache", "k" * 64)
    inputs, q0002 = found.inputs[:], found.q0002[:]
    assert found.ids == ids and inputs.dtype == np.float32 and q0002.dtype == np.float64
    assert inputs.tobytes() == loaded(raw, family).scaled_test_inputs(x).tobytes()
    assert q0002.tobytes() == x[:, [INPUTS.index(n) for n in LINEAR_INPUTS]].tobytes()
    assert len(found.inputs) == 144 and found.inputs[30:50].tobytes() == inputs[30:50].tobytes()
    assert found.q0002[140:200].tobytes() == q0002[140:].tobytes() and found.inputs[144:].shape == (
        0,
        556,
    )


def test_both_families_share_one_parse(
    raw: RawData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inference_set.prepare(raw, loaded(raw, "adam"), tmp_path / "cache", "k" * 64)
    monkeypatch.setattr(kaggle_csv, "read_test_csv", lambda path: pytest.fail("parsed again"))
    found = inference_set.prepare(raw, loaded(raw, "fdzm"), tmp_path / "cache", "k" * 64)
    assert (
        found.inputs[:].tobytes()
        == loaded(raw, "fdzm").scaled_test_inputs(read_csv(raw.test_csv, INPUTS)[1]).tobytes()
    )


def test_the_second_time_test_csv_is_not_parsed_and_the_content_is_the_same(
    raw: RawData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    kept = first.inputs[:].tobytes(), first.q0002[:].tobytes(), list(first.ids)
    monkeypatch.setattr(kaggle_csv, "read_test_csv", lambda path: pytest.fail("parsed again"))
    again = inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    assert (again.inputs[:].tobytes(), again.q0002[:].tobytes(), list(again.ids)) == kept


def test_another_key_is_made_anew_and_the_old_one_removed(raw: RawData, tmp_path: Path) -> None:
    inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "a" * 64)
    inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "b" * 64)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["test-" + "b" * 16]


def swap_rows(path: Path, first: int, second: int) -> None:
    lines = path.read_text().split("\n")
    lines[first], lines[second] = lines[second], lines[first]
    path.write_text("\n".join(lines))


@pytest.mark.parametrize("block", [8 << 20, 50_000])
def test_rows_in_another_order_than_sample_submission_are_refused(
    raw: RawData, tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_stream, "_CHUNK", block)
    swap_rows(raw.test_csv, 100, 101)
    with refused(raw.test_csv, "row 100 has the sample_id", "same order"):
        inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    "file, words",
    [
        ("test_csv", "has 143 rows, sample_submission.csv has 144"),
        ("sample_submission", "has more rows than sample_submission.csv"),
    ],
)
def test_a_row_missing_from_either_file_is_refused(
    raw: RawData, tmp_path: Path, file: str, words: str
) -> None:
    path: Path = getattr(raw, file)
    path.write_text("\n".join(path.read_text().split("\n")[:-2]) + "\n")
    with refused(raw.test_csv, words):
        inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cut_test_csv_leaves_no_half_made_test_set(raw: RawData, tmp_path: Path) -> None:
    raw.test_csv.write_bytes(raw.test_csv.read_bytes()[:-9])
    with refused(raw.test_csv, "cut off"):
        inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("size", [-1, -8, 0, None])
def test_a_damaged_cache_is_refused_with_the_remedy(
    raw: RawData, tmp_path: Path, size: int
) -> None:
    inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)
    path = next((tmp_path / "cache").iterdir()) / "rows.f64"
    if size is None:
        path.unlink()
    else:
        os.truncate(str(path), path.stat().st_size + size if size else 0)
    with refused(path.parent, "remove this folder"):
        inference_set.prepare(raw, loaded(raw), tmp_path / "cache", "k" * 64)


def test_a_full_disk_while_preparing_is_one_sentence_and_leaves_nothing(
    raw: RawData, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refused(small_disk, "the test set needs", "free some space"):
        inference_set.prepare(raw, loaded(raw), small_disk / "cache", "k" * 64)
    monkeypatch.setattr(
        inference_set, "require_free", lambda *_: None
    )  # someone else fills the disk meanwhile
    with refused(small_disk, "the disk is full"):
        inference_set.prepare(raw, loaded(raw), small_disk / "cache", "k" * 64)
    assert [p.name for p in small_disk.iterdir()] == ["cache"] and list(
        (small_disk / "cache").iterdir()
    ) == []


# judge_world

INPUTS_OF_TINY = {"made for": "tests"}


def test_an_untouched_world_is_done_wherever_it_lies(raw: RawData) -> None:
    verdict = judge_world(raw.root, INPUTS_OF_TINY)
    assert verdict.done and verdict.reason == "its receipt proves it"


@pytest.mark.parametrize("name", WORLD_FILES)
def test_a_changed_file_of_a_world_is_named(raw: RawData, name: str) -> None:
    data = bytearray((raw.root / name).read_bytes())
    data[len(data) // 2] ^= 1
    (raw.root / name).write_bytes(bytes(data))
    verdict = judge_world(raw.root, INPUTS_OF_TINY, HashIndex())
    assert not verdict.done and verdict.reason == f"{name} has changed"


def test_a_changed_a_missing_and_an_added_step_are_noticed(raw: RawData) -> None:
    pair = list_pairs(raw.steps)[0]
    original = pair.mlo.read_bytes()
    pair.mlo.write_bytes(original[:-1] + b"\x01")
    assert judge_world(raw.root, INPUTS_OF_TINY).reason == "steps has changed"
    pair.mlo.unlink()
    assert "counterpart" in judge_world(raw.root, INPUTS_OF_TINY).reason
    pair.mli.unlink()
    assert judge_world(raw.root, INPUTS_OF_TINY).reason == "steps has changed"
    shutil.rmtree(str(raw.steps))
    assert "missing" in judge_world(raw.root, INPUTS_OF_TINY).reason


@pytest.mark.parametrize("name", WORLD_FILES)
def test_a_missing_file_of_a_world_is_named(raw: RawData, name: str) -> None:
    (raw.root / name).unlink()
    verdict = judge_world(raw.root, INPUTS_OF_TINY)
    assert (
        not verdict.done and name.split("/")[-1] in verdict.reason and "missing" in verdict.reason
    )


def test_a_world_of_another_seed_or_generator_is_made_again(raw: RawData) -> None:
    assert not judge_world(raw.root, sample_inputs(1)).done
    assert "another version or seed" in judge_world(raw.root, sample_inputs(1)).reason
    assert sample_inputs(0) != sample_inputs(1) and sample_inputs(0) == sample_inputs()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"7",
        b"\xff\xfe\x00",
        b'{"inputs": {"made for": "tests"}}',
        b'{"inputs": {"made for": "tests"}, "files": 7}',
    ],
)
def test_an_unreadable_receipt_of_a_world_is_no_proof(raw: RawData, content: bytes) -> None:
    world_receipt(raw.root).write_bytes(content)
    assert not judge_world(raw.root, INPUTS_OF_TINY).done
    world_receipt(raw.root).unlink()
    assert judge_world(raw.root, INPUTS_OF_TINY).reason == "not made yet"
