"""make predict's own command: from step files to NetCDF, Zarr or step files, with a receipt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, List, Tuple

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("netCDF4")

import torch

from leapkit.core import pauses, receipts
from leapkit.core.columns import INPUTS, LINEAR_INPUTS, OUTPUT_SCALARS, TENDENCY_PROFILES
from leapkit.core.prediction_inputs import find
from leapkit.core.step_files import list_pairs
from leapkit.data import checkpoints, kaggle_csv
from leapkit.data.step_reader import StepReader
from leapkit.emulators import __main__ as command_line
from leapkit.emulators import parts, prediction
from leapkit.emulators.step_source import StepSource
from leapkit.run import devices, inference
from tests.conftest import REPOSITORY
from tests.helpers.refusals import refused

pytestmark = pytest.mark.stack

# As the command does, before the first product of matrices: its processes and this one then round
# alike.
devices.tune_libraries()

BATCH = 256  # rows of adam/195 on a CPU


@pytest.fixture(scope="module")
def steps(tiny_world: Path) -> Path:
    """Return the folder of the tiny world's step files: 17 steps of 48 columns."""
    return tiny_world.parent / "steps"


@pytest.fixture
def arguments(submission: Path, tiny_world: Path) -> List[str]:
    return [
        *("predict", "--network=adam/195", f"--weights={submission}"),
        *(f"--raw-data={tiny_world}", "--device=cpu"),
    ]


@pytest.fixture(scope="module")
def once(
    submission: Path, tiny_world: Path, steps: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the predictions of all steps, made without a stop."""
    to = tmp_path_factory.mktemp("once") / "predictions.nc"
    words = ["--network=adam/195", f"--weights={submission}", f"--raw-data={tiny_world}"]
    command_line.main(["predict", *words, f"--inputs={steps}", f"--to={to}"])
    return to


def values(path: Path) -> np.ndarray:
    """Return predictions (N, 368), Kaggle order, of a product with the dimension time."""
    xarray = pytest.importorskip("xarray")
    engine = "zarr" if path.is_dir() else "netcdf4"
    with xarray.open_dataset(str(path), engine=engine) as dataset:
        profiles = [dataset[name].transpose("time", "ncol", "lev") for name, _ in TENDENCY_PROFILES]
        scalars = [dataset[name] for name, _ in OUTPUT_SCALARS]
        rows = [profile.values.reshape(-1, 60) for profile in profiles]
        rows += [scalar.values.reshape(-1, 1) for scalar in scalars]
    return np.concatenate(rows, axis=1)


def test_the_numbers_are_those_of_the_kits_inference_bit_for_bit(
    once: Path, submission: Path, tiny_world: Path, steps: Path
) -> None:
    x = np.concatenate([StepReader().read(pair)[0] for pair in list_pairs(steps)])
    assert len(x) > 2 * BATCH and BATCH % 48, "batches have to cross the borders of steps"
    [part] = parts.find("adam/195", submission, tiny_world).networks
    inputs = part.scaling.scaled_test_inputs(x)
    cpu = torch.device("cpu")
    with devices.repeatable("float32"):
        chunks = inference.predict_chunks(part.build(), part.checkpoints, inputs, BATCH, cpu)
        z = np.concatenate(list(chunks))
    expected = part.scaling.raw(z, x[:, [INPUTS.index(name) for name in LINEAR_INPUTS]])
    assert np.array_equal(values(once), expected)


def test_rows_go_through_the_network_in_whole_batches_across_the_borders_of_files(
    arguments: List[str], steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: List[Tuple[int, int]] = []
    predict = inference.predict

    def noted(network: Any, rows: np.ndarray, batch: int, device: Any) -> Any:
        given.append((len(rows), batch))
        return predict(network, rows, batch, device)

    monkeypatch.setattr(inference, "predict", noted)
    monkeypatch.setattr(prediction, "_CPU_CHUNK", 2 * BATCH + 1)
    command_line.main([*arguments, f"--inputs={steps}", f"--to={tmp_path / 'a.nc'}"])
    assert given == [(2 * BATCH, BATCH), (17 * 48 - 2 * BATCH, BATCH)]


def test_the_rows_of_test_csv_are_those_of_its_step_files(tiny_world: Path, steps: Path) -> None:
    test_csv = tiny_world / "kaggle-data" / "test.csv"
    text = np.concatenate([x for _, x in kaggle_csv.read_test_csv(test_csv)])
    source = StepSource(find([str(steps / "0009-02")]).steps)
    assert np.array_equal(source.rows.read(0, len(source.rows)), text)


def test_netcdf_says_what_its_numbers_are_and_what_made_them(once: Path) -> None:
    xarray = pytest.importorskip("xarray")
    with xarray.open_dataset(str(once)) as dataset:
        assert dict(dataset.sizes) == {"time": 17, "lev": 60, "ncol": 48}
        heating = dataset["ptend_t"]
        assert heating.dims == ("time", "lev", "ncol") and heating.dtype == np.float64
        assert heating.attrs["units"] == "K/s" and "standard_name" in heating.attrs
        assert set(heating.coords) == {"time", "lev", "ncol", "ymd", "tod"}
        first = dataset["time"].values[0]
        assert (first.calendar, first.year, first.month, first.day) == ("noleap", 8, 1, 3)
        assert int(dataset["ymd"][0]) == 80103
        assert dataset.attrs["emulator"] == "adam/195" and "CF-" in dataset.attrs["Conventions"]
        assert len(json.loads(dataset.attrs["checkpoints_sha256"])) == 1


def test_other_forms_hold_the_same_numbers(
    once: Path, arguments: List[str], steps: Path, tmp_path: Path
) -> None:
    """Zarr is written, and read again as a source: what a data set gives equals its step files."""
    pytest.importorskip("zarr")
    command_line.main([*arguments, f"--inputs={steps}", f"--to={tmp_path / 'a.zarr'}"])
    assert np.array_equal(values(tmp_path / "a.zarr"), values(once))
    source = StepSource(find([str(steps)]).steps)
    xarray = pytest.importorskip("xarray")
    inputs = xarray.concat(list(source.blocks()), "time")
    inputs.to_netcdf(str(tmp_path / "inputs.nc"))
    inputs.to_zarr(str(tmp_path / "inputs.zarr"))
    for name in ("inputs.nc", "inputs.zarr"):
        to = tmp_path / f"of_{name}.nc"
        command_line.main([*arguments, f"--inputs={tmp_path / name}", f"--to={to}"])
        assert np.array_equal(values(to), values(once))


def test_step_files_hold_the_state_that_the_predictions_lead_to(
    once: Path, arguments: List[str], steps: Path, tmp_path: Path
) -> None:
    to = tmp_path / "teacher"
    command_line.main([*arguments, f"--inputs={steps}/0008-01", f"--to={to}"])
    pairs, teachers = list_pairs(to), list_pairs(steps, ["0008-01"])
    assert [pair.stamp for pair in pairs] == [pair.stamp for pair in teachers]
    assert pairs[0].mli.read_bytes() == teachers[0].mli.read_bytes()
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(str(pairs[0].mlo)) as after, netcdf.Dataset(str(pairs[0].mli)) as before:
        assert after.data_model == "NETCDF3_64BIT_DATA" and after["ymd"][...] == before["ymd"][...]
        heated = (after["state_t"][...] - before["state_t"][...]).T / 1200
        assert np.allclose(heated, values(once)[:48, :60], rtol=1e-9, atol=1e-16)
        assert after["state_q0001"][...].min() >= 1e-12 and after["cam_out_PRECC"][...].min() >= 0


# Again, and after a stop


def test_a_second_run_has_nothing_to_do_until_an_input_or_a_checkpoint_changes(
    arguments: List[str],
    submission: Path,
    tiny_world: Path,
    steps: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(str(submission / "outputs/adam/195"), str(weights))
    months = tmp_path / "steps"
    shutil.copytree(str(steps / "0008-07"), str(months / "0008-07"))
    to = tmp_path / "a.nc"
    words = [*arguments, f"--weights={weights}", f"--inputs={months}", f"--to={to}"]

    def said() -> str:
        command_line.main(words)
        return capfd.readouterr().out

    assert "predicts, as not made yet" in said() and to.exists()
    assert said() == f"nothing to do: {to}: its receipt proves it\n"
    [step, _] = sorted((months / "0008-07").glob("*.mli.*"))
    assert step.name in receipts.read(to)["inputs"]
    other = sorted((steps / "0008-01").glob("*.mli.*"))[0]
    shutil.copy(str(other), str(step.with_name(other.name)))
    assert f"predicts, as {other.name} is new" in said()
    torch.manual_seed(9)
    [part] = parts.find("adam/195", weights, tiny_world).networks
    checkpoints.save(part.build(), weights / "195.pt")
    assert "195.pt has changed" in said()
    left = {path.name for path in tmp_path.glob(".*")}
    assert left <= {".a.nc.hashes.json", ".partial-a.nc.lock"}


CODE = """
import sys
sys.path[:0] = [{shared!r}, {root!r}]
from leapkit.core.errors import run_cli
from leapkit.emulators import __main__ as command_line
from leapkit.emulators import prediction
from tests.helpers import small_run
prediction._CPU_CHUNK = 1  # a chunk is a batch
small_run.end_at(sys.argv.pop(1))
run_cli(command_line.main)
"""
MOMENTS = {
    "leapkit.emulators.streaming._require_finite:2": 2 * BATCH,  # before its second chunk
    "leapkit.emulators.dataset_form._define:1": 17 * 48,  # while the product is written
}


@pytest.mark.process
def test_a_run_that_is_paused_and_killed_ends_in_the_same_bytes(
    once: Path, arguments: List[str], steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / once.name
    words = [*arguments, f"--inputs={steps}", f"--to={to}"]

    def predicted() -> int:
        [scratch] = (tmp_path / f".partial-{to.name}").glob("predictions-*.f64")
        assert not to.exists()
        return scratch.stat().st_size // (368 * 8)

    with monkeypatch.context() as patched, pytest.raises(pauses.Paused):
        patched.setattr(prediction, "_CPU_CHUNK", 1)
        patched.setattr(pauses, "requested", lambda: True)
        command_line.main(words)
    assert predicted() == BATCH
    code = CODE.format(shared=str(REPOSITORY / "shared"), root=str(REPOSITORY))
    for moment, rows in MOMENTS.items():
        command = [sys.executable, "-c", code, f"{moment}:SIGKILL", *words]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert (done.returncode, predicted()) == (-9, rows), done.stderr
    command_line.main(words)
    assert to.read_bytes() == once.read_bytes()
    assert not (tmp_path / f".partial-{to.name}").exists()


# Refusals


def test_what_cannot_be_predicted_is_refused_in_one_sentence_and_nothing_is_left(
    arguments: List[str],
    steps: Path,
    tmp_path: Path,
    once: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [good, cut] = sorted((steps / "0008-07").glob("*.mli.*"))
    bad = tmp_path / cut.name
    bad.write_bytes(cut.read_bytes()[:-5000])
    to = tmp_path / "out" / "a.nc"

    def predict(*words: object, to: Path = to) -> None:
        inputs = [f"--inputs={word}" for word in words]
        command_line.main([*arguments, *inputs, f"--to={to}"])

    with refused(tmp_path / "none", "does not exist"):
        predict(tmp_path / "none")
    with refused(bad, "is truncated"):
        predict(good, bad)
    with refused(bad.rename(tmp_path / "cut.nc"), "is truncated"):
        predict(tmp_path / "cut.nc")
    (tmp_path / "text.nc").write_text("no data")
    with refused(tmp_path / "text.nc", "cannot be read as NetCDF or Zarr"):
        predict(tmp_path / "text.nc")
    monkeypatch.setattr(pytest.importorskip("zarr"), "__version__", "2.16.1")
    (tmp_path / "v3.zarr").mkdir()
    (tmp_path / "v3.zarr" / "zarr.json").write_text("{}")
    with refused(tmp_path / "v3.zarr", "Zarr's version 3", "STACK=modern"):
        predict(tmp_path / "v3.zarr")
    mlo = shutil.copy(str(sorted((steps / "0008-07").glob("*.mlo.*"))[0]), str(tmp_path / "o.nc"))
    with refused(mlo, "lacks", "state_ps"):
        predict(mlo)
    with refused(tmp_path / "folder", "step files are made of step files"):
        predict(shutil.copy(str(good), str(tmp_path / "i.nc")), to=tmp_path / "folder")
    assert not to.exists() and not list(to.parent.glob("[!.]*"))
    mine = tmp_path / "mine.nc"
    mine.write_text("precious")
    with refused(mine, "exists, and no receipt says"):
        predict(good, to=mine)
    assert mine.read_text() == "precious"


def test_a_network_that_is_unknown_or_has_no_checkpoint_is_refused(
    arguments: List[str], steps: Path, tmp_path: Path
) -> None:
    words = [*arguments, f"--inputs={steps}", f"--to={tmp_path / 'a.nc'}"]
    with refused("nobody/1", "neither a network"):
        command_line.main([*words, "--network=nobody/1"])
    with refused("joseph/907", "holds no checkpoint"):
        command_line.main([*words, "--network=joseph/907"])


def test_a_full_disk_is_said_before_the_networks_run(
    arguments: List[str], steps: Path, small_disk: Path
) -> None:
    with refused(small_disk, "of the predictions"):
        command_line.main([*arguments, f"--inputs={steps}", f"--to={small_disk / 'a.nc'}"])
    assert not (small_disk / "a.nc").exists()
