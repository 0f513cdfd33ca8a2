"""One array of rows per month has the same bytes from local processes and a Dask cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from leapkit.core.columns import INPUTS
from leapkit.core.errors import KitError
from leapkit.core.files import read_json, sha256
from leapkit.core.step_files import list_months, list_pairs
from leapkit.data.classic_header import parse_header
from leapkit.data.step_reader import StepReader
from leapkit.worlds import cluster, month_arrays
from tests.helpers.refusals import refused
from tests.helpers.step_forms import Form

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def steps(tiny_world: Path, tmp_path: Path) -> Path:
    shutil.copytree(str(tiny_world / "ClimSim_low-res" / "train"), str(tmp_path / "steps"))
    return tmp_path / "steps"


def month_hashes(folder: Path) -> dict:
    assert not list(folder.glob(".partial-*"))
    return {path.name: sha256(path) for path in sorted(folder.glob("*.npy"))}


def run(steps: Path, target: Path, *more: str) -> int:
    return month_arrays.main(["--steps", str(steps), "--to", str(target), "--jobs", "2", *more])


def test_a_month_holds_every_row_of_its_steps_in_order(steps: Path, tmp_path: Path) -> None:
    assert run(steps, tmp_path / "rows") == 0
    assert list(month_hashes(tmp_path / "rows")) == [month + ".npy" for month in list_months(steps)]
    for month in list_months(steps):
        month_rows = np.load(str(tmp_path / "rows" / (month + ".npy")), mmap_mode="r")
        expected = [np.hstack(StepReader().read(pair)) for pair in list_pairs(steps, [month])]
        assert (
            month_rows.dtype == np.float64
            and month_rows.tobytes() == np.concatenate(expected).tobytes()
        )
    receipt = read_json(tmp_path / "rows" / "0008-01.receipt.json")
    assert (
        receipt["details"]["month"] == "0008-01: 6 of 2232 steps"
        and receipt["details"]["rows"] == 6 * 48
    )


def test_on_real_steps_a_row_is_what_the_reader_gives(real_steps: Path, tmp_path: Path) -> None:
    assert run(real_steps, tmp_path / "rows", "--months", "0008-02,0008-07") == 0
    for month in ("0008-02", "0008-07"):
        month_rows = np.load(str(tmp_path / "rows" / (month + ".npy")), mmap_mode="r")
        for step, pair in enumerate(list_pairs(real_steps, [month])):
            x, y = StepReader().read(pair)
            for column in (0, 200, 383):
                month_row = month_rows[384 * step + column]
                assert month_row[: len(INPUTS)].tobytes() == x[column].tobytes()
                assert month_row[len(INPUTS) :].tobytes() == y[column].tobytes()


def test_any_number_of_processes_and_a_dask_cluster_give_the_same_bytes(
    steps: Path, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    assert run(steps, tmp_path / "a", "--jobs", "1") == 0
    assert run(steps, tmp_path / "b", "--jobs", "3") == 0
    # Two real worker processes and a scheduler that is found by its address, as on a cluster.
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        assert run(steps, tmp_path / "c", "--scheduler", cluster.scheduler_address) == 0
        assert (
            run(steps, tmp_path / "c", "--scheduler", cluster.scheduler_address) == 0
        )  # nothing to do
    assert (
        month_hashes(tmp_path / "a") == month_hashes(tmp_path / "b") == month_hashes(tmp_path / "c")
    )
    receipts = [read_json(tmp_path / name / "0008-04.receipt.json") for name in "abc"]
    assert receipts[0]["inputs"] == receipts[1]["inputs"] == receipts[2]["inputs"]


def test_a_damaged_step_stops_its_month_and_no_other(
    steps: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    damaged_file = list_pairs(steps, ["0008-04"])[3].mlo
    content = damaged_file.read_bytes()
    damaged_file.write_bytes(content[:-8])
    with refused(tmp_path / "rows", "1 of 3 months were not made"):
        run(steps, tmp_path / "rows")
    assert f"{damaged_file}: is truncated" in capsys.readouterr().out
    assert list(month_hashes(tmp_path / "rows")) == ["0008-01.npy", "0008-07.npy"]
    before = (tmp_path / "rows" / "0008-01.npy").stat().st_mtime_ns
    damaged_file.write_bytes(content)
    assert run(steps, tmp_path / "rows") == 0
    assert (
        len(month_hashes(tmp_path / "rows")) == 3
        and (tmp_path / "rows" / "0008-01.npy").stat().st_mtime_ns == before
    )


def test_the_cluster_names_a_damaged_step_as_this_machine_does(
    steps: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    distributed = pytest.importorskip("distributed")
    damaged_file = list_pairs(steps, ["0008-04"])[3].mli
    damaged_file.write_bytes(damaged_file.read_bytes() + b"\0")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        with refused("1 of 3 months were not made"):
            run(steps, tmp_path / "rows", "--scheduler", cluster.scheduler_address)
    assert f"0008-04: {damaged_file}: has trailing bytes" in capsys.readouterr().out


def test_months_in_float32_are_made_where_that_is_said_and_their_receipts_say_it(
    steps: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for pair in list_pairs(steps, ["0008-07"]):
        for path in (pair.mli, pair.mlo):
            Form("NETCDF3_64BIT_OFFSET", kind="f4").write(path, tmp_path / "copy.nc")
            (tmp_path / "copy.nc").replace(path)
    with refused("1 of 3 months were not made"):
        run(steps, tmp_path / "rows")
    assert "is float32, which keeps 7 of 16 digits" in capsys.readouterr().out
    assert run(steps, tmp_path / "rows", "--step-precision", "float32") == 0
    details = [
        read_json(tmp_path / "rows" / f"{month}.receipt.json")["details"]["step precision"]
        for month in ("0008-01", "0008-07")
    ]
    assert details == ["float64", "float32"]


def test_a_step_that_changed_makes_its_month_anew(
    steps: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run(steps, tmp_path / "rows")
    first = list_pairs(steps, ["0008-04"])[0]
    header = parse_header(first.mli.read_bytes())
    content = bytearray(first.mli.read_bytes())
    position = header.variables["cam_in_SNOWHICE"].begin  # read by nobody
    content[position : position + 1] = bytes([content[position] ^ 1])
    first.mli.write_bytes(content)
    capsys.readouterr()
    run(steps, tmp_path / "rows")
    lines = sorted(capsys.readouterr().out.splitlines())
    assert [line.endswith("(made)") for line in lines] == [False, True, False]


def test_a_missing_counterpart_is_named(
    steps: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    unpaired = list_pairs(steps, ["0008-07"])[1]
    unpaired.mlo.unlink()
    with refused("1 of 3 months"):
        run(steps, tmp_path / "rows")
    assert (
        f"{unpaired.mli}: its counterpart {unpaired.mlo.name} is missing" in capsys.readouterr().out
    )


def test_a_full_disk_keeps_the_months_that_are_made(
    steps: Path, tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refused(small_disk, "of the rows of 0008-01", "free some space"):
        month_arrays.write_month(steps, small_disk, "0008-01")
    monkeypatch.setattr(
        month_arrays, "require_free", lambda *_: None
    )  # someone else fills it meanwhile
    with refused(small_disk, "the disk is full"):
        month_arrays.write_month(steps, small_disk, "0008-01")
    assert not month_hashes(small_disk)


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_one_sentence_for_each_month(
    steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(month_arrays, "write_month", killed)
    with refused(tmp_path, "months were not made"):
        run(steps, tmp_path)
    assert f"{list_months(steps)[0]}: its process was killed or lost" in capsys.readouterr().out


def test_what_dask_raises_for_a_lost_worker_is_known() -> None:
    distributed = pytest.importorskip("distributed")
    assert distributed.KilledWorker in cluster.lost()


@pytest.mark.parametrize(
    "months, words",
    [
        ("0008-13", "is not a month (YYYY-MM)"),
        ("0008-02:0008-01", "the earlier month of a range first"),
    ],
)
def test_months_that_are_none_are_refused(
    steps: Path, tmp_path: Path, months: str, words: str
) -> None:
    with refused("--months", words):
        run(steps, tmp_path / "rows", "--months", months)


def test_a_scheduler_that_does_not_answer_is_one_sentence(steps: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(KitError, match="no Dask scheduler answers"):
        run(steps, tmp_path / "rows", "--scheduler", "tcp://127.0.0.1:1")


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(steps: Path, tmp_path: Path) -> None:
    run(steps, tmp_path / "whole")
    env = dict(os.environ, PYTHONPATH=str(ROOT / "shared"))
    command = [
        sys.executable,
        "-m",
        "leapkit.worlds.month_arrays",
        "--steps",
        str(steps),
        "--to",
        str(tmp_path / "rows"),
        "--jobs",
        "1",
    ]
    for pause in (0.2, 0.05, 0.1):
        child = subprocess.Popen(
            command,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while (
            child.poll() is None
            and not (tmp_path / "rows").exists()
            and time.monotonic() < deadline
        ):
            time.sleep(0.001)
        time.sleep(pause)
        os.killpg(child.pid, signal.SIGKILL)  # its processes too
        child.wait()
    assert subprocess.run(command, env=env, capture_output=True).returncode == 0
    assert month_hashes(tmp_path / "rows") == month_hashes(tmp_path / "whole")
