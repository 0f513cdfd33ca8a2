"""Statistics of train.csv are the same bytes for any number of threads and any interruption."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import leapkit
from leapkit.core import receipts
from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.errors import EXIT_INTERRUPTED, KitError
from leapkit.core.layout import RawData
from leapkit.data import csv_stream, families, kaggle_csv, ordered_map, scaling
from leapkit.data.kaggle_csv import CsvWriter
from leapkit.data.moments import Moments, moments_of
from leapkit.data.scaling import ABLATED, FAMILIES, load_scaling
from leapkit.data.step_reader import StepReader
from leapkit.worlds import kaggle_files, statistics_pass, train_moments, train_statistics
from leapkit.worlds.train_moments import TrainMoments
from leapkit.worlds.train_statistics import SCRATCH, main
from tests.helpers.refusals import refused

pytestmark = pytest.mark.process

COLUMNS = INPUTS + TARGETS
FUZZ = dict(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EPS = 2.0**-53  # largest relative error of one rounding


def write_train(path: Path, values: np.ndarray) -> None:
    with CsvWriter(path, COLUMNS) as out:
        out.write([f"train_{k}" for k in range(len(values))], values)


def write_weights(path: Path, weight: np.ndarray) -> None:
    with CsvWriter(path, TARGETS) as out:
        out.write(["test_3", "test_1"], np.stack([weight, weight]))


def values_of(rows: int, seed: int = 0) -> np.ndarray:
    """Return (rows, 924) with means and spreads of all sizes, a constant and dead variables."""
    draw = np.random.RandomState(seed)
    values = draw.randn(rows, 924) * 10.0 ** draw.randint(-30, 6, 924) + draw.randn(
        924
    ) * 10.0 ** draw.randint(-20, 5, 924)
    values[:, 3], values[:, 5] = 1e5, 0.0
    return values


def weights_of(seed: int = 0) -> np.ndarray:
    weight = 10.0 ** np.random.RandomState(seed).randint(3, 15, 368).astype(np.float64)
    weight[[TARGETS.index(name) for name in ABLATED]] = 0.0
    return weight


@pytest.fixture(scope="module")
def train_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the kaggle-data of 61 rows: in chunks of 7 there are eight and one of 5 rows."""
    root = tmp_path_factory.mktemp("train") / "raw"
    write_train(root / "kaggle-data" / "train.csv", values_of(61))
    write_weights(root / "kaggle-data" / "sample_submission_old.csv", weights_of())
    return root


@pytest.fixture
def raw(train_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RawData:
    """Return a copy that a test may damage, read in chunks of 7; fdzm uses the first 35 rows."""
    shutil.copytree(str(train_world), str(tmp_path / "raw"))
    small_chunks(monkeypatch)
    return RawData(tmp_path / "raw")


def small_chunks(
    monkeypatch: pytest.MonkeyPatch, chunk_rows: int = 7, first_rows: Optional[int] = 35
) -> None:
    for module in (families, scaling, train_moments):
        monkeypatch.setattr(module, "CHUNK_ROWS", chunk_rows)
    monkeypatch.setitem(FAMILIES, "fdzm", replace(FAMILIES["fdzm"], first_rows=first_rows))


def run(raw: RawData, *options: str) -> None:
    assert main(["--raw-data", str(raw.root)] + list(options)) == 0


def results(raw: RawData) -> Dict[str, bytes]:
    """Return the four files, and what their receipts say of train.csv."""
    contents = {
        f"{family}/{name}": path.read_bytes()
        for family, name, path in train_statistics.products(raw)
    }
    for family, name, path in train_statistics.products(raw):
        receipt = json.loads(receipts.receipt_path(path).read_text())
        contents[f"content of train.csv, {family}/{name}"] = receipt["inputs"]["train.csv"].encode()
    return contents


def clear(raw: RawData) -> None:
    shutil.rmtree(str(raw.root / "statistics"), ignore_errors=True)


def statistics_files(raw: RawData) -> List[str]:
    """Return the names of all files below statistics/."""
    return sorted(
        str(p.relative_to(raw.root / "statistics"))
        for p in (raw.root / "statistics").rglob("*")
        if p.is_file()
    )


WHOLE = sorted(
    f"{f}/{n}{s}"
    for f in ("adam", "fdzm")
    for n in ("mean", "std")
    for s in (".json", ".receipt.json")
)


# the numbers


def test_the_statistics_of_a_split_s_train_csv_are_those_of_the_split_maker_byte_for_byte(
    tiny_world: Path, tmp_path: Path
) -> None:
    raw = RawData(tmp_path / "raw")
    shutil.copytree(str(tiny_world / "kaggle-data"), str(raw.root / "kaggle-data"))
    run(raw, "--jobs", "2")
    for family, name, path in train_statistics.products(raw):
        assert path.read_bytes() == (tiny_world / "statistics" / family / name).read_bytes(), path
        load_scaling(path.parent, family, raw.old_weights)
    assert statistics_files(raw) == WHOLE


@pytest.mark.parametrize("chunk_rows, first_rows", [(7, 35), (250, None), (1, 9), (13, 26)])
def test_the_statistics_are_correct_to_rounding(
    raw: RawData, monkeypatch: pytest.MonkeyPatch, chunk_rows: int, first_rows: Optional[int]
) -> None:
    # Against correctly rounded sums (math.fsum). With K merges of parts of P rows of n in all: a
    # mean takes P - 1 additions, a division, and three roundings per merge, each relative to the
    # largest value; m2 is a sum of squares, as long, of deviations that are good to (P + 3 K) eps
    # of the largest value.
    small_chunks(monkeypatch, chunk_rows, first_rows)
    run(raw)
    values = values_of(61)
    weight = np.concatenate([np.ones(556), weights_of()])
    for family in ("adam", "fdzm"):
        rows = values[:first_rows] if family == "fdzm" and first_rows else values
        mean, std = (
            json.loads((raw.statistics(family) / name).read_text())
            for name in ("mean.json", "std.json")
        )
        assert list(mean) == list(std) == sorted(COLUMNS)
        steps = min(chunk_rows, len(rows)) + 3 * math.ceil(len(rows) / chunk_rows) + 4
        for j, column in enumerate(COLUMNS):
            x = rows[:, j].tolist()
            largest = float(np.abs(rows[:, j]).max())
            true_mean = math.fsum(x) / len(x)
            true_std = math.sqrt(math.fsum((v - true_mean) ** 2 for v in x) / (len(x) - 1))
            assert abs(mean[column] - true_mean * weight[j]) <= steps * EPS * largest * weight[j], (
                column
            )
            expected = max(true_std * weight[j], FAMILIES[family].std_floor)
            assert abs(std[column] - expected) <= steps * EPS * (
                expected + 4 * largest * weight[j]
            ), column


def test_a_family_of_the_first_rows_does_not_hear_the_others(raw: RawData) -> None:
    run(raw)
    before = results(raw)
    clear(raw)
    values = values_of(61)
    values[35:] *= 3
    write_train(raw.root / "kaggle-data" / "train.csv", values)
    run(raw)
    after = results(raw)
    for name in ("mean.json", "std.json"):
        assert (
            after["fdzm/" + name] == before["fdzm/" + name]
            and after["adam/" + name] != before["adam/" + name]
        )


def test_one_family_s_files_and_receipts_in_the_folder_of_the_other_are_no_proof(
    raw: RawData,
) -> None:
    """Their names and inputs are the same."""
    run(raw)
    expected = results(raw)
    for path in raw.statistics("adam").iterdir():
        shutil.copyfile(str(path), str(raw.statistics("fdzm") / path.name))
    assert results(raw) != expected
    run(raw)
    assert results(raw) == expected


@pytest.mark.parametrize("rows", [1, 6, 7, 8, 34, 35, 36])
def test_a_file_that_ends_early_is_taken_whole(raw: RawData, rows: int) -> None:
    write_train(raw.root / "kaggle-data" / "train.csv", values_of(61)[:rows])
    run(raw)
    for family in ("adam", "fdzm"):
        receipt = json.loads((raw.statistics(family) / "mean.receipt.json").read_text())
        assert receipt["details"]["rows"] == min(rows, 35 if family == "fdzm" else rows)
        mean = json.loads((raw.statistics(family) / "mean.json").read_text())
        assert mean["state_t_3"] == 1e5


def test_dead_targets_have_mean_zero_and_std_at_the_floor(raw: RawData) -> None:
    run(raw)
    for family in ("adam", "fdzm"):
        mean, std = (
            json.loads((raw.statistics(family) / name).read_text())
            for name in ("mean.json", "std.json")
        )
        for name in ABLATED:
            assert str(mean[name]) == "0.0" and std[name] == FAMILIES[family].std_floor


def test_fdzm_s_rows_are_fifteen_whole_chunks_of_the_team_s_and_whole_parts() -> None:
    assert FAMILIES["adam"].first_rows is None and FAMILIES["fdzm"].first_rows == 9_375_000
    assert 625_000 % scaling.CHUNK_ROWS == 0
    with pytest.raises(ValueError, match="not a whole number of chunks"):
        replace(FAMILIES["fdzm"], first_rows=scaling.CHUNK_ROWS + 1)


# the grid


def bits(moments: Moments) -> List[Any]:
    return [moments.count, moments.mean.tobytes(), moments.m2.tobytes()]


def on_the_grid(blocks: Iterable[np.ndarray]) -> TrainMoments:
    moments = TrainMoments()
    for chunk in train_moments.iter_row_chunks(blocks):
        moments = moments.updated_with(train_moments.chunk_moments(chunk))
    return moments


@given(cuts=st.lists(st.integers(0, 61), max_size=12), chunk_rows=st.sampled_from([1, 5, 7, 35]))
@settings(max_examples=50, **FUZZ)
def test_moments_on_the_grid_are_the_same_bits_however_the_rows_arrive(
    monkeypatch: pytest.MonkeyPatch, cuts: List[int], chunk_rows: int
) -> None:
    small_chunks(monkeypatch, chunk_rows)
    values = values_of(61)
    moments_of_all = on_the_grid([values])
    for blocks in (
        np.split(values, sorted(cuts)),
        np.split(np.asfortranarray(values), sorted(cuts)),
    ):
        moments = on_the_grid(blocks)
        for family in FAMILIES:
            assert bits(moments.families[family]) == bits(moments_of_all.families[family])
    assert [moments_of_all.families[family].count for family in ("adam", "fdzm")] == [61, 35]


@given(cuts=st.lists(st.integers(1, 60), max_size=12, unique=True))
@settings(max_examples=50, **FUZZ)
def test_moments_of_any_parts_equal_the_grid_s_to_rounding(cuts: List[int]) -> None:
    # Each of at most 61 merges rounds the mean three times, m2 four times, and deviations by eps of
    # the largest value.
    values = values_of(61)
    grid, other = on_the_grid([values]).families["adam"], TrainMoments().families["adam"]
    for block in np.split(values, sorted(cuts)):
        other.add(block)
    largest = np.abs(values).max(axis=0)
    assert (np.abs(other.mean - grid.mean) <= 260 * EPS * largest).all()
    assert (
        np.abs(other.m2 - grid.m2)
        <= 260 * EPS * (grid.m2 + largest * np.sqrt(61 * grid.m2) + 260 * EPS * 61 * largest**2)
    ).all()


def test_an_interrupted_merge_leaves_what_was_there() -> None:
    first = on_the_grid([values_of(9)])
    before = bits(first.families["adam"])
    second = first.updated_with(train_moments.chunk_moments(values_of(5, 1)))
    assert bits(first.families["adam"]) == before != bits(second.families["adam"])


# any number of threads, any interruption, any order


class Killed(BaseException):
    """An exception that no code of the kit catches."""


def stopping_after(
    chunks: int, monkeypatch: pytest.MonkeyPatch, interruption: BaseException
) -> None:
    original = ordered_map.ordered_map

    def in_order(*arguments: Any) -> Iterator[Any]:
        for k, chunk in enumerate(original(*arguments)):
            if k == chunks:
                raise interruption
            yield chunk

    monkeypatch.setattr(ordered_map, "ordered_map", in_order)


def delayed(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Parse chunks so that they are ready in another order than the file's."""
    original = csv_stream.Parser.__call__

    def parse(parser: csv_stream.Parser, chunk: csv_stream.CsvChunk) -> csv_stream.ParsedRows:
        time.sleep(random.Random(seed * 1000 + chunk.rows_before).random() / 100)
        return original(parser, chunk)

    monkeypatch.setattr(csv_stream.Parser, "__call__", parse)


@pytest.fixture(scope="module")
def expected(train_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, bytes]:
    """Return the results of one uninterrupted run with one thread."""
    raw = RawData(tmp_path_factory.mktemp("expected") / "raw")
    shutil.copytree(str(train_world), str(raw.root))
    with pytest.MonkeyPatch.context() as monkeypatch:
        small_chunks(monkeypatch)
        run(raw, "--jobs", "1")
        return results(raw)


@given(
    jobs=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    stops=st.lists(st.integers(0, 9), max_size=3),
    seed=st.integers(0, 10**6),
    save_every=st.sampled_from([0.0, 5.0]),
)
@example(jobs=[3], stops=[8], seed=0, save_every=5.0)
@settings(max_examples=30, **FUZZ)
def test_any_threads_any_interruptions_and_any_order_give_the_same_bytes(
    raw: RawData,
    expected: Dict[str, bytes],
    jobs: List[int],
    stops: List[int],
    seed: int,
    save_every: float,
) -> None:
    clear(raw)
    with pytest.MonkeyPatch.context() as monkeypatch:
        delayed(monkeypatch, seed)
        monkeypatch.setattr(statistics_pass, "_SAVE_EVERY", save_every)
        for k, stop in enumerate(stops):
            with pytest.MonkeyPatch.context() as patch:
                stopping_after(stop, patch, Killed())
                try:
                    run(raw, "--jobs", str(jobs[k % len(jobs)]))
                except Killed:
                    assert statistics_files(raw) == [SCRATCH]
        run(raw, "--jobs", str(jobs[-1]))
    assert results(raw) == expected and statistics_files(raw) == WHOLE


def test_what_was_measured_before_an_interruption_is_not_read_again(
    raw: RawData, expected: Dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stopping_after(4, patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run(raw)
    original = csv_stream.iter_chunks
    begun = []

    def cut(path: Path, columns: Any, rows: int, after: Any) -> Any:
        begun.append(after)
        return original(path, columns, rows, after)

    monkeypatch.setattr(csv_stream, "iter_chunks", cut)
    run(raw)
    lines = (raw.root / "kaggle-data" / "train.csv").read_bytes().split(b"\n")
    assert begun == [(28, sum(len(line) + 1 for line in lines[:29]))]
    assert results(raw) == expected


SLOW = """
import sys, time
sys.path[:0] = [{shared!r}]
from dataclasses import replace
from leapkit.data import csv_stream
from leapkit.data import kaggle_csv
from leapkit.data import families
from leapkit.data import scaling
from leapkit.worlds import statistics_pass, train_statistics
from leapkit.core.errors import run_cli
scaling.CHUNK_ROWS = 7
families.CHUNK_ROWS = 7
scaling.FAMILIES["fdzm"] = replace(scaling.FAMILIES["fdzm"], first_rows=35)
statistics_pass._SAVE_EVERY = 0.0
parse = csv_stream.Parser.__call__
def slow(parser, part):
    time.sleep({seconds})
    return parse(parser, part)
csv_stream.Parser.__call__ = slow
run_cli(train_statistics.main, ["--raw-data", {raw!r}, "--jobs", "{jobs}"])
"""


def process(
    raw: RawData, seconds: float, jobs: int, python: str = sys.executable
) -> subprocess.Popen:
    script = SLOW.format(
        shared=str(Path(leapkit.__file__).parent.parent),
        seconds=seconds,
        raw=str(raw.root),
        jobs=jobs,
    )
    return subprocess.Popen(
        [python, "-c", script], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    "signal_number, jobs", [(signal.SIGKILL, 1), (signal.SIGKILL, 3), (signal.SIGTERM, 2)]
)
def test_a_killed_process_is_taken_up_again_with_the_same_bytes(
    raw: RawData, expected: Dict[str, bytes], signal_number: int, jobs: int
) -> None:
    scratch = raw.root / "statistics" / SCRATCH
    rows = 0
    started = process(raw, 0.2, jobs)
    while rows < 14 and started.poll() is None:
        time.sleep(0.01)
        if scratch.exists():
            rows = json.loads(scratch.read_text())["state"]["rows"]
    started.send_signal(signal_number)
    _, output = started.communicate()
    assert started.returncode == (
        -signal_number if signal_number == signal.SIGKILL else EXIT_INTERRUPTED
    ), output
    assert [name for name in statistics_files(raw) if ".partial-" not in name] == [SCRATCH]
    state = json.loads(scratch.read_text())["state"]
    assert state["rows"] >= 14 and state["rows"] % 7 == 0
    run(raw)
    assert results(raw) == expected and statistics_files(raw) == WHOLE


@pytest.mark.skipif(
    not os.environ.get("OTHER_PYTHON"),
    reason="OTHER_PYTHON names no interpreter with another numpy",
)
def test_another_python_numpy_and_pyarrow_give_the_same_bytes(
    raw: RawData, expected: Dict[str, bytes]
) -> None:
    done = process(raw, 0.0, 2, os.environ["OTHER_PYTHON"])
    output = done.communicate()
    assert done.returncode == 0, output
    assert results(raw) == expected


def test_two_at_a_time_do_not_meet(raw: RawData) -> None:
    with train_statistics.exclusive(raw.root / "statistics"):
        with refused(raw.root / "statistics", "already running here"):
            run(raw)
    run(raw)


# the scratch file


def interrupted(raw: RawData, monkeypatch: pytest.MonkeyPatch) -> Path:
    with monkeypatch.context() as patch:
        stopping_after(4, patch, Killed())
        with pytest.raises(Killed):
            run(raw)
    return raw.root / "statistics" / SCRATCH


def interrupt(*_: Any) -> None:
    raise Killed


def rewrite(raw: RawData, change: Callable[[bytes], bytes]) -> None:
    path = raw.root / "kaggle-data" / "train.csv"
    path.write_bytes(change(path.read_bytes()))


def test_the_scratch_of_another_train_csv_is_not_used(
    raw: RawData, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(raw, monkeypatch)
    path = raw.root / "kaggle-data" / "train.csv"
    before = path.stat()
    data = path.read_bytes()
    position = data.index(b"train_0,") + len(b"train_0,")
    with open(
        path, "r+b"
    ) as handle:  # in place, of the same size and with the same time, as rsync can leave it
        handle.seek(position + (data[position : position + 1] == b"-"))
        handle.write(b"7" if data[handle.tell() : handle.tell() + 1] != b"7" else b"8")
    os.utime(str(path), ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_ino, after.st_mtime_ns) == (
        before.st_size,
        before.st_ino,
        before.st_mtime_ns,
    )
    run(raw)
    statistics = results(raw)
    clear(raw)
    run(raw)
    assert results(raw) == statistics


def test_a_scratch_of_other_parts_is_not_used(
    raw: RawData, expected: Dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        small_chunks(patch, 5)
        interrupted(raw, patch)
    run(raw)
    assert results(raw) == expected


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: "",
        lambda t: "{}",
        lambda t: t[:-200],
        lambda t: "[]",
        lambda t: "\x00",
        lambda t: t.replace('"mean"', '"men"'),
        lambda t: t.replace('"m2": [', '"m2": [7,'),
        lambda t: t.replace('"count": 28', '"count": "x"'),
        lambda t: t.replace("fdzm", "z"),
    ],
)
def test_a_damaged_scratch_file_costs_time_and_nothing_else(
    raw: RawData,
    expected: Dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[str], str],
) -> None:
    scratch = interrupted(raw, monkeypatch)
    text = scratch.read_text()
    assert damage(text) != text
    scratch.write_text(damage(text))
    run(raw)
    assert results(raw) == expected


# what is there already


@pytest.mark.parametrize(
    "name", ["adam/mean.json", "adam/std.json", "fdzm/mean.json", "fdzm/std.json"]
)
def test_statistics_of_the_user_s_are_never_overwritten(raw: RawData, name: str) -> None:
    path = raw.root / "statistics" / name
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with refused(path, "was not made by this command", "move it away"):
        run(raw)
    assert path.read_text() == "{}" and statistics_files(raw) == [name]


def test_statistics_that_the_user_put_there_meanwhile_are_not_overwritten(
    raw: RawData, expected: Dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(raw, monkeypatch)
    path = raw.statistics("fdzm") / "std.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with monkeypatch.context() as patch:  # after the first check
        patch.setattr(
            train_statistics,
            "refuse_foreign",
            lambda path, content=None, real=train_statistics.refuse_foreign: (
                real(path, content) if content is not None else None
            ),
        )
        with refused(path, "was not made by this command"):
            run(raw)
    assert path.read_text() == "{}" and statistics_files(raw) == ["fdzm/std.json", SCRATCH]
    path.unlink()
    monkeypatch.setattr(train_statistics, "measure", lambda *_: pytest.fail("measured again"))
    run(raw)
    assert results(raw) == expected


def test_statistics_of_its_own_that_the_user_edited_are_not_overwritten(raw: RawData) -> None:
    run(raw)
    rewrite(raw, lambda data: data + data.split(b"\n")[-2] + b"\n")
    path = raw.statistics("adam") / "std.json"
    path.write_text(path.read_text().replace("1e-10", "1e-09"))
    edited = path.read_bytes()
    with refused(path, "was not made by this command"):
        run(raw)
    assert path.read_bytes() == edited


def test_the_second_run_reads_receipts_and_no_rows(
    raw: RawData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run(raw)
    before = results(raw)
    monkeypatch.setattr(train_statistics, "measure", lambda *_: pytest.fail("measured again"))
    run(raw)
    assert "their receipts prove them" in capsys.readouterr().out and results(raw) == before


def test_its_own_statistics_are_made_again_when_train_csv_or_the_weights_change(
    raw: RawData,
) -> None:
    run(raw)
    first = results(raw)
    os.utime(str(raw.root / "kaggle-data" / "train.csv"))  # another time, the same content
    run(raw)
    assert results(raw) == first
    rewrite(raw, lambda data: data + data.split(b"\n")[-2] + b"\n")
    run(raw)
    second = results(raw)
    assert all(
        second[name] != first[name] for name in first if name.startswith(("adam", "content"))
    )
    write_weights(raw.old_weights, weights_of() * 2)
    run(raw)
    third = results(raw)
    assert (
        third["adam/mean.json"] != second["adam/mean.json"]
        and third["content of train.csv, adam/mean.json"]
        == second["content of train.csv, adam/mean.json"]
    )


@pytest.mark.parametrize("write_number", range(8))
def test_a_run_killed_while_it_writes_its_results_is_taken_up_again(
    raw: RawData, expected: Dict[str, bytes], monkeypatch: pytest.MonkeyPatch, write_number: int
) -> None:
    writes: List[Path] = []

    def write(
        path: Path, value: Any, original: Callable[[Path, Any], None] = train_statistics.write_json
    ) -> None:
        if path.name != SCRATCH:
            if len(writes) == write_number:
                raise Killed
            writes.append(path)
        original(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(train_statistics, "write_json", write)
        patch.setattr(receipts, "write_json", write)
        with pytest.raises(Killed):
            run(raw)
    monkeypatch.setattr(train_statistics, "measure", lambda *_: pytest.fail("measured again"))
    run(raw)
    assert results(raw) == expected and statistics_files(raw) == WHOLE


# refusals


@pytest.mark.parametrize(
    "line, words",
    [
        ("train_40,1,2", "row 41 has 3 fields instead of 925"),
        ("", "row 41 is an empty line"),
        (
            ",".join(["train_40"] + ["0"] * 923 + ["x"]),
            "row 41, column cam_out_SOLLD holds 'x', which is not a number",
        ),
        (
            ",".join(["train_40", "nan"] + ["0"] * 923),
            "row 41, column state_t_0 is NaN or infinite",
        ),
        (
            ",".join(["train_40", "1e200"] + ["0"] * 923),
            "rows 36 to 42, variable state_t_0 hold a number whose square is not finite",
        ),
    ],
)
@pytest.mark.parametrize("jobs", ["1", "4"])
def test_a_damaged_row_is_refused_by_its_number_and_what_was_before_it_is_kept(
    raw: RawData, line: str, words: str, jobs: str
) -> None:
    path = raw.root / "kaggle-data" / "train.csv"
    lines = path.read_text().split("\n")
    lines[41] = line
    path.write_text("\n".join(lines))
    for _ in range(2):  # the second time from where the first one stopped
        with refused(path, words, kaggle_csv.REMEDY):
            run(raw, "--jobs", jobs)
        assert statistics_files(raw) == [SCRATCH]
        assert json.loads((raw.root / "statistics" / SCRATCH).read_text())["state"]["rows"] == 35


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda data: data[:-5], "cut off in the middle of its last line"),
        (lambda data: b"", "sample_id is missing"),
        (
            lambda data: data.replace(b"state_t_3,", b"state_t_4,", 1),
            "the column state_t_3 is missing",
        ),
        (lambda data: data[: data.index(b"\n") + 1], "holds no rows"),
    ],
)
def test_a_damaged_train_csv_is_refused_before_the_pass(
    raw: RawData, damage: Callable[[bytes], bytes], words: str
) -> None:
    rewrite(raw, damage)
    with refused(raw.root / "kaggle-data" / "train.csv", words, kaggle_csv.REMEDY):
        run(raw)
    assert statistics_files(raw) in ([], [SCRATCH])


def test_missing_files_and_odd_options_are_refused(raw: RawData, tmp_path: Path) -> None:
    with refused("--jobs", "not negative"):
        run(raw, "--jobs", "-1")
    (raw.root / "kaggle-data" / "train.csv").unlink()
    with refused(raw.root / "kaggle-data" / "train.csv", "missing", kaggle_csv.REMEDY):
        run(raw)
    raw.old_weights.unlink()
    with refused(raw.old_weights, "missing", kaggle_csv.REMEDY):
        run(raw)
    assert not (raw.root / "statistics").exists()


def test_a_disk_that_fills_up_half_way_is_one_sentence_and_the_pass_goes_on_elsewhere(
    raw: RawData, expected: Dict[str, bytes], small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = raw.root / "statistics"
    folder.symlink_to(small_disk)
    monkeypatch.setattr(statistics_pass, "_SAVE_EVERY", 0.0)
    with refused(
        folder, "the disk is full", "free some space"
    ):  # zeros fit, the moments of the first part do not
        run(raw)
    assert [p.name for p in small_disk.iterdir()] == [SCRATCH]
    assert json.loads((small_disk / SCRATCH).read_text())["state"]["rows"] == 0
    folder.unlink()
    folder.mkdir()
    shutil.copyfile(str(small_disk / SCRATCH), str(folder / SCRATCH))
    run(raw)
    assert results(raw) == expected


def test_a_disk_that_fills_up_while_the_results_are_written_leaves_no_half_file(
    raw: RawData, expected: Dict[str, bytes], small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(train_statistics, "publish", interrupt)
        with pytest.raises(Killed):
            run(raw)
    (raw.root / "statistics" / "fdzm").symlink_to(small_disk)  # adam's files fit, fdzm's do not
    (small_disk / "ballast").write_bytes(b"x" * 24 * 1024)
    with refused(raw.root / "statistics" / "fdzm", "the disk is full", "free some space"):
        run(raw)
    for name in ("mean.json", "std.json"):
        path = small_disk / name
        assert not path.exists() or path.read_bytes() == expected["fdzm/" + name]
    assert not list(small_disk.glob(".partial-*"))
    (small_disk / "ballast").unlink()
    (raw.root / "statistics" / "fdzm").unlink()
    monkeypatch.setattr(train_statistics, "measure", lambda *_: pytest.fail("measured again"))
    run(raw)
    assert results(raw) == expected


def test_the_split_maker_s_worlds_are_made_on_the_same_grid(
    tiny_world: Path, tmp_path: Path
) -> None:
    """The rows fill more than one chunk, so that another order of sums would show."""
    pairs = RawData(tiny_world).training_pairs()[::2]
    world_moments = kaggle_files.write_train_csv(tmp_path / "train.csv", pairs, StepReader())
    assert world_moments.families["adam"].count == 288 > scaling.CHUNK_ROWS
    values = [values for _, values in csv_stream.stream(tmp_path / "train.csv", INPUTS + TARGETS)]
    assert bits(on_the_grid(values).families["adam"]) == bits(world_moments.families["adam"])
    assert bits(moments_of(values, 924)) != bits(world_moments.families["adam"])


def test_a_failure_is_a_kit_error_through_threads(
    raw: RawData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(*_: Any) -> None:
        raise KitError("is broken", "here", "mend it")

    monkeypatch.setattr(csv_stream.Parser, "__call__", parse)
    with refused("here", "is broken"):
        run(raw)
