"""A member runs end to end: what runs and why, refusals without a trace, kills at any moment."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Dict, List

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.helpers import crafted as craft
from tests.helpers import small_run

torch = pytest.importorskip("torch")

from leapkit.core import errors, receipts  # noqa: E402
from leapkit.core.columns import INPUTS, LINEAR, NETWORK_INPUTS, NETWORK_TARGETS, TARGETS, ZERO  # noqa: E402
from leapkit.core.errors import KitError  # noqa: E402
from leapkit.core.hash_index import HashIndex  # noqa: E402
from leapkit.data import checkpoints  # noqa: E402
from members.adam.experiments import EXPERIMENTS  # noqa: E402
from members.adam.networks import build  # noqa: E402

pytestmark = [pytest.mark.process, pytest.mark.stack]

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[2]
PARQUET = small_run.PARQUET
RECEIPT = small_run.EXPERIMENT.artifact + ".receipt.json"


@pytest.fixture
def world(tiny_world, tmp_path) -> Path:
    """Return a copy of the tiny world that a test may damage."""
    shutil.copytree(str(tiny_world), str(tmp_path / "raw_data"))
    return tmp_path / "raw_data"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Return stand-ins for the small experiment's published checkpoints, as the team saved them."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(8)
    for profile in ("sample", "full"):
        network = build(small_run.EXPERIMENT.network[profile])
        (folder / profile).mkdir()
        torch.save(
            OrderedDict(("module." + k, v) for k, v in network.state_dict().items()),
            str(folder / profile / "200.pt"),
        )
    return folder


@pytest.fixture(scope="module")
def reproduced_once(tiny_world, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reproduced") / "submission"
    assert small_run.run(small_run.arguments("reproduce", tiny_world, folder)) == 0
    return folder


@pytest.fixture
def reproduced(reproduced_once, tmp_path) -> Path:
    """Return a copy of a submission folder in which the small experiment was reproduced."""
    shutil.copytree(str(reproduced_once), str(tmp_path / "reproduced"))
    return tmp_path / "reproduced"


def infer_only(raw: Path, submission: Path, weights: Path, *more: str) -> List[str]:
    return small_run.arguments("infer-only", raw, submission, "--weights", str(weights), *more)


def state_of(folder: Path) -> Dict[str, tuple]:
    """Return all files but locks and the index of hashes: a run that does nothing leaves them."""
    return {
        str(p.relative_to(folder)): (
            p.stat().st_ino,
            p.stat().st_mtime_ns,
            hashlib.sha256(p.read_bytes()).hexdigest(),
        )
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in (".lock", "hashes.json")
    }


def sentence(argv: List[str], capsys) -> str:
    """Run the command as from a terminal; return the one error line that it must fail with."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        errors.run_cli(small_run.run, argv)
    output = capsys.readouterr()
    assert ended.value.code == errors.EXIT_REFUSED
    lines = [line for line in output.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and output.err.rstrip().splitlines()[-1] == lines[0], output.err
    assert "Traceback" not in output.err + output.out and "error: " not in output.out
    return lines[0]


def visible(folder):
    """Return the names of what a folder holds, without the cache."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".cache")


def nothing_made(submission: Path) -> bool:
    return not (submission / "subs").exists() or not visible(submission / "subs")


@pytest.fixture(autouse=True)
def handlers():
    """Restore the handler of SIGTERM, which run_cli replaces."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


# ---- what is made --------------------------------------------------------------------------------


def test_the_real_command_line_predicts_with_a_checkpoint(tiny_world: Path, tmp_path: Path) -> None:
    """Run python -m members.adam with the shipped experiment at sample width as a process."""
    experiment = next(experiment for experiment in EXPERIMENTS if experiment.id == "200")
    (tmp_path / "weights").mkdir()
    checkpoints.save(build(experiment.network["sample"]), tmp_path / "weights" / "200.pt")
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(["shared", "."]))
    done = subprocess.run(
        [sys.executable, "-m", "members.adam"]
        + infer_only(tiny_world, tmp_path / "s", tmp_path / "weights"),
        cwd=str(ROOT),
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert visible(tmp_path / "s" / "subs") == [PARQUET, RECEIPT]
    assert "infer runs: not made yet" in done.stdout and "144 rows" in done.stdout


def test_reproducing_leaves_the_checkpoint_its_predictions_and_receipts(reproduced):
    folder = reproduced / "outputs" / "adam" / "200"
    assert sorted(p.name for p in folder.iterdir() if p.name != ".lock") == [
        "200.pt",
        "200.receipt.json",
        "exp200_new.parquet",
        "history.json",
        "log.txt",
        "oof.npy",
    ]
    assert visible(reproduced / "subs") == sorted(
        [small_run.EXPERIMENT.artifact + ".npy", PARQUET, RECEIPT]
    )
    assert (folder / "exp200_new.parquet").read_bytes() == (
        reproduced / "subs" / PARQUET
    ).read_bytes()
    receipt = json.loads((reproduced / "subs" / RECEIPT).read_text())
    assert (
        receipt["sha256"]
        == hashlib.sha256((reproduced / "subs" / PARQUET).read_bytes()).hexdigest()
    )
    assert (
        receipt["details"]["oof"]["sha256"]
        == hashlib.sha256((folder / "oof.npy").read_bytes()).hexdigest()
    )
    assert receipt["details"]["profile"] == "sample" and receipt["details"]["rows"] == 144
    assert {
        "test.csv",
        "sample_submission.csv",
        "mean.json",
        "std.json",
        "old weights",
        "network",
        "checkpoint 200",
    } == set(receipt["inputs"])


def test_the_parquet_holds_what_the_formulas_say(tiny_world, reproduced):
    """Recompute from test.csv, statistics and checkpoint without the kit's readers."""

    def table(name):
        with open(str(tiny_world / "kaggle-data" / name), newline="") as handle:
            header, *lines = csv.reader(handle)
        return {
            column: np.array(values if column == "sample_id" else list(map(float, values)))
            for column, values in zip(header, zip(*lines))
        }

    test, old_weights = table("test.csv"), table("sample_submission_old.csv")
    mean, std = (
        json.loads((tiny_world / "statistics" / "adam" / name).read_text())
        for name in ("mean.json", "std.json")
    )
    x = np.empty((len(test["sample_id"]), len(INPUTS)))
    for k, name in enumerate(NETWORK_INPUTS):
        values = test[name]
        if name not in {f"state_q0002_{level}" for level in range(12, 29)}:
            values = values.astype(np.float32).astype(np.float64)
        x[:, k] = (values - mean[name]) / std[name]
    network = build(small_run.NETWORK).eval()
    checkpoints.load_into(
        network, checkpoints.read_tensors(reproduced / "outputs" / "adam" / "200" / "200.pt"), ""
    )
    with torch.no_grad():
        z = network(torch.from_numpy(x.astype(np.float32))).numpy()
    submission_table = pq.read_table(str(reproduced / "subs" / PARQUET))
    assert submission_table.schema.names == ["sample_id"] + list(TARGETS)
    assert submission_table.column("sample_id").to_pylist() == test["sample_id"].tolist()
    for name in TARGETS:
        values = submission_table.column(name).to_numpy()
        if name in ZERO:
            assert not values.any()
        elif name in LINEAR:
            assert np.array_equal(values, -test[name.replace("ptend", "state")] / 1200)
        else:
            expected = (
                z[:, NETWORK_TARGETS.index(name)].astype(np.float64) * std[name] + mean[name]
            ) / old_weights[name][0]
            np.testing.assert_allclose(
                values, expected, rtol=1e-4, atol=1e-5 * float(np.abs(expected).max())
            )


def test_infer_only_at_full_profile_takes_the_published_file(tiny_world, tmp_path, weights, capsys):
    argv = infer_only(tiny_world, tmp_path / "s", weights / "full", "--profile", "full")
    assert small_run.run(argv) == 0
    receipt = json.loads((tmp_path / "s" / "subs" / RECEIPT).read_text())
    assert receipt["details"]["profile"] == "full" and "oof" not in receipt["details"]
    assert receipt["details"]["network"]["hidden"] == small_run.FULL.hidden
    assert "train" not in capsys.readouterr().out


def test_another_batch_size_changes_nothing_but_rounding(
    tiny_world, tmp_path, weights, monkeypatch
):
    assert small_run.run(infer_only(tiny_world, tmp_path / "a", weights / "sample")) == 0
    monkeypatch.setattr(small_run, "EXPERIMENTS", (replace(small_run.EXPERIMENT, batch=1000),))
    assert small_run.run(infer_only(tiny_world, tmp_path / "b", weights / "sample")) == 0
    predictions, predictions_again = (
        pq.read_table(str(tmp_path / k / "subs" / PARQUET)).to_pandas().iloc[:, 1:].to_numpy()
        for k in "ab"
    )
    np.testing.assert_allclose(
        predictions, predictions_again, rtol=1e-4, atol=1e-5 * np.abs(predictions).max()
    )


# ---- what runs again, and why --------------------------------------------------------------------


def test_a_second_run_does_nothing_and_says_so(tiny_world, reproduced, capsys):
    before = state_of(reproduced)
    assert small_run.run(small_run.arguments("reproduce", tiny_world, reproduced)) == 0
    assert [line.split(None, 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "train is skipped: its receipt proves it",
        "infer is skipped: its receipt proves it",
    ]
    assert state_of(reproduced) == before


def test_touched_files_are_not_changed_files(world, tmp_path, weights, capsys):
    argv = infer_only(world, tmp_path / "s", weights / "sample")
    assert small_run.run(argv) == 0
    for path in world.rglob("*"):
        os.utime(str(path), (1, 1))
    capsys.readouterr()
    assert small_run.run(argv) == 0
    assert "infer is skipped" in capsys.readouterr().out


def _edit_json(path: Path) -> None:
    table = json.loads(path.read_text())
    table["state_t_30"] *= 1.001
    path.write_text(json.dumps(table))


def _edit_csv(path: Path) -> None:
    lines = path.read_text().splitlines(True)
    name, first, other_cells = lines[1].split(",", 2)
    lines[1] = ",".join((name, repr(float(first) + 1.0), other_cells))
    path.write_text("".join(lines))


def _edit_step(world):
    from leapkit.data.classic_header import parse_header

    first = sorted((world / "ClimSim_low-res" / "train" / "0008-01").glob("*mli*"))[0]
    header = parse_header(first.read_bytes())
    content = bytearray(first.read_bytes())
    content[header.variables["state_ps"].begin + 4] ^= 1  # a digit far behind the point
    first.write_bytes(content)


_CHANGES = {
    "mean.json": (
        lambda world: _edit_json(world / "statistics" / "adam" / "mean.json"),
        "mean.json has changed",
        True,
    ),
    "std.json": (
        lambda world: _edit_json(world / "statistics" / "adam" / "std.json"),
        "std.json has changed",
        True,
    ),
    "test.csv": (
        lambda world: _edit_csv(world / "kaggle-data" / "test.csv"),
        "test.csv has changed",
        False,
    ),
    "a training step": (_edit_step, "training steps has changed", True),
}


@pytest.mark.modern  # receipts decide, which know no torch
@pytest.mark.parametrize("change_name", sorted(_CHANGES))
def test_a_changed_input_runs_what_depends_on_it_again_and_says_which(
    change_name, world, tmp_path, capsys
):
    change, reason, trains = _CHANGES[change_name]
    argv = small_run.arguments("reproduce", world, tmp_path / "s")
    assert small_run.run(argv) == 0
    before = hashlib.sha256((tmp_path / "s" / "subs" / PARQUET).read_bytes()).hexdigest()
    change(world)
    capsys.readouterr()
    assert small_run.run(argv) == 0
    output = capsys.readouterr().out
    if trains:
        assert (
            "train runs: " + reason in output
            and "infer runs: its checkpoint is about to be trained" in output
        )
    else:
        assert "train is skipped" in output and "infer runs: " + reason in output
    assert hashlib.sha256((tmp_path / "s" / "subs" / PARQUET).read_bytes()).hexdigest() != before
    assert small_run.run(argv) == 0
    assert "runs" not in capsys.readouterr().out.replace(output, "").split("rows ->")[-1]


def test_the_other_familys_statistics_do_not_matter(world, reproduced, tiny_world, capsys):
    _edit_json(world / "statistics" / "fdzm" / "mean.json")
    assert small_run.run(small_run.arguments("reproduce", world, reproduced)) == 0
    assert " runs" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "field, changed, reason",
    [
        ("recipe", replace(small_run.RECIPE, epochs=1), "recipe has changed"),
        ("network", replace(small_run.NETWORK, silu=False), "network has changed"),
    ],
)
def test_a_changed_experiment_trains_again_and_says_why(
    field, changed, reason, tiny_world, reproduced, capsys, monkeypatch
):
    by_profile = {"sample": changed, "full": changed}
    monkeypatch.setattr(
        small_run, "EXPERIMENTS", (replace(small_run.EXPERIMENT, **{field: by_profile}),)
    )
    assert small_run.run(small_run.arguments("reproduce", tiny_world, reproduced)) == 0
    assert "train runs: " + reason in capsys.readouterr().out


def test_a_changed_checkpoint_predicts_again(tiny_world, tmp_path, weights, capsys):
    user_weights = tmp_path / "weights"
    shutil.copytree(str(weights / "sample"), str(user_weights))
    argv = infer_only(tiny_world, tmp_path / "s", user_weights)
    assert small_run.run(argv) == 0
    checkpoints.save(build(small_run.NETWORK), user_weights / "200.pt")
    capsys.readouterr()
    assert small_run.run(argv) == 0
    assert "infer runs: checkpoint 200 has changed" in capsys.readouterr().out


def test_a_damaged_parquet_is_made_again_with_the_same_bytes(tiny_world, reproduced, capsys):
    path = reproduced / "subs" / PARQUET
    content = path.read_bytes()
    path.unlink()  # it shares its bytes with exp200_new.parquet
    path.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    assert small_run.run(small_run.arguments("reproduce", tiny_world, reproduced)) == 0
    assert "infer runs: its bytes are not those of its receipt" in capsys.readouterr().out
    assert path.read_bytes() == content


def test_a_removed_product_is_made_again(tiny_world, reproduced, capsys):
    (reproduced / "outputs" / "adam" / "200" / "oof.npy").unlink()
    assert small_run.run(small_run.arguments("reproduce", tiny_world, reproduced)) == 0
    assert "train runs: its oof.npy is missing" in capsys.readouterr().out
    assert (reproduced / "outputs" / "adam" / "200" / "oof.npy").exists()


# ---- what is refused -----------------------------------------------------------------------------


def _swap_ids(world: Path) -> None:
    path = world / "kaggle-data" / "test.csv"
    lines = path.read_text().splitlines(True)
    cells = lines[5].split(",", 1)
    other_cells = lines[9].split(",", 1)
    lines[5] = other_cells[0] + "," + cells[1]
    lines[9] = cells[0] + "," + other_cells[1]
    path.write_text("".join(lines))


def _replace_value(world: Path, text: str) -> None:
    path = world / "kaggle-data" / "test.csv"
    lines = path.read_text().splitlines(True)
    cells = lines[100].split(",")
    cells[1 + INPUTS.index("state_u_7")] = text
    lines[100] = ",".join(cells)
    path.write_text("".join(lines))


def _drop_column(world: Path) -> None:
    path = world / "kaggle-data" / "test.csv"
    position = 1 + INPUTS.index("state_q0001_33")
    lines = [line.rstrip("\n").split(",") for line in path.read_text().splitlines()]
    path.write_text(
        "".join(",".join(line[:position] + line[position + 1 :]) + "\n" for line in lines)
    )


def _cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


_BAD_WORLDS = {
    "reordered ids": (_swap_ids, "infer-only", "row 5 has the sample_id"),
    "a NaN": (lambda w: _replace_value(w, "nan"), "infer-only", "row 100, column state_u_7"),
    "an empty value": (
        lambda w: _replace_value(w, ""),
        "infer-only",
        "test.csv: row 100, column state_u_7",
    ),
    "a word": (
        lambda w: _replace_value(w, "warm"),
        "infer-only",
        "test.csv: row 100, column state_u_7",
    ),
    "a missing column": (_drop_column, "infer-only", "state_q0001_33 is missing"),
    "a cut test.csv": (
        lambda w: _cut(w / "kaggle-data" / "test.csv", 0.7),
        "infer-only",
        "test.csv",
    ),
    "no test.csv": (
        lambda w: (w / "kaggle-data" / "test.csv").unlink(),
        "infer-only",
        "test.csv: the file is missing",
    ),
    "no statistics": (
        lambda w: shutil.rmtree(str(w / "statistics" / "adam")),
        "infer-only",
        "mean.json: the file is missing",
    ),
    "statistics with a NaN": (
        lambda w: (w / "statistics" / "adam" / "std.json").write_text(
            json.dumps(dict.fromkeys(INPUTS + TARGETS, float("nan")))
        ),
        "infer-only",
        "std.json",
    ),
    "one row fewer in sample_submission.csv": (
        lambda w: (w / "kaggle-data" / "sample_submission.csv").write_text(
            "".join((w / "kaggle-data" / "sample_submission.csv").read_text().splitlines(True)[:-1])
        ),
        "infer-only",
        "more rows than sample_submission.csv",
    ),
    "a cut step file": (
        lambda w: _cut(
            sorted((w / "ClimSim_low-res" / "train" / "0008-04").glob("*.mlo.*"))[2], 0.5
        ),
        "reproduce",
        "E3SM-MMF.mlo.0008-04",
    ),
    "an empty step file": (
        lambda w: _cut(sorted((w / "ClimSim_low-res" / "train" / "0008-07").glob("*.mli.*"))[0], 0),
        "reproduce",
        "E3SM-MMF.mli.0008-07",
    ),
    "a step without its twin": (
        lambda w: sorted((w / "ClimSim_low-res" / "train" / "0008-04").glob("*.mlo.*"))[0].unlink(),
        "reproduce",
        "0008-04",
    ),
    "no steps": (
        lambda w: shutil.rmtree(str(w / "ClimSim_low-res")),
        "reproduce",
        "ClimSim_low-res",
    ),
}


@pytest.mark.parametrize("damage_name", sorted(_BAD_WORLDS))
def test_a_damaged_world_is_one_error_line_and_leaves_no_result(
    damage_name, world, tmp_path, weights, capsys
):
    damage, command, words = _BAD_WORLDS[damage_name]
    damage(world)
    argv = small_run.arguments(command, world, tmp_path / "s", "--weights", str(weights / "sample"))
    assert words in sentence(argv, capsys)
    assert nothing_made(tmp_path / "s")
    assert not [p for p in (tmp_path / "s").rglob("*") if p.name.startswith(".partial-")]


def _hostile(path: Path, marker: Path) -> None:
    craft.write(
        path,
        craft.program(
            {"a": craft.call(craft.name("os", "system"), craft.text(f"touch '{marker}'"))}
        ),
    )


_BAD_CHECKPOINTS = {
    "a missing one": (lambda p, m: p.unlink(), "the checkpoint is missing"),
    "a hostile one": (_hostile, "nothing was executed"),
    "a cut one": (lambda p, m: _cut(p, 0.6), "truncated"),
    "one of another width": (
        lambda p, m: checkpoints.save(build(small_run.FULL), p),
        "another network or width",
    ),
    "one with a NaN": (lambda p, m: _with_nan(p), "holds a NaN"),
    "a text": (lambda p, m: p.write_text("not found"), "not a checkpoint of tensors"),
}


def _with_nan(path: Path) -> None:
    network = build(small_run.NETWORK)
    with torch.no_grad():
        network.fc1.bias[0] = float("nan")
    checkpoints.save(network, path)


@pytest.mark.parametrize("damage_name", sorted(_BAD_CHECKPOINTS))
def test_a_bad_checkpoint_is_one_error_line_and_leaves_no_result(
    damage_name, tiny_world, tmp_path, weights, capsys
):
    damage, words = _BAD_CHECKPOINTS[damage_name]
    user_weights = tmp_path / "weights"
    shutil.copytree(str(weights / "sample"), str(user_weights))
    damage(user_weights / "200.pt", tmp_path / "marker")
    line = sentence(infer_only(tiny_world, tmp_path / "s", user_weights), capsys)
    assert words in line and "200.pt" in line
    assert nothing_made(tmp_path / "s") and not (tmp_path / "marker").exists()


def test_a_network_whose_output_is_not_finite_leaves_no_result(
    tiny_world, tmp_path, weights, capsys
):
    user_weights = tmp_path / "weights"
    user_weights.mkdir()
    network = build(small_run.NETWORK)
    with torch.no_grad():
        network.fc1.bias.fill_(10.0)
        network.fc2.weight.fill_(3e38)
    checkpoints.save(network, user_weights / "200.pt")
    assert "NaN or infinite" in sentence(
        infer_only(tiny_world, tmp_path / "s", user_weights), capsys
    )
    assert nothing_made(tmp_path / "s")


def test_an_unknown_experiment_is_one_error_line(
    tiny_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = small_run.arguments("infer-only", tiny_world, tmp_path)
    argv[argv.index("200")] = "999"
    assert "choose from adam/195, adam/200" in sentence(argv, capsys)


def test_a_full_disk_is_one_error_line(tiny_world, small_disk, weights, capsys):
    line = sentence(infer_only(tiny_world, small_disk / "s", weights / "sample"), capsys)
    assert "free" in line and "the same command" in line
    assert nothing_made(small_disk / "s")


def test_a_disk_that_fills_up_while_the_parquet_is_written_leaves_no_result(
    tiny_world, small_disk, tmp_path, weights, capsys
):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "subs").symlink_to(small_disk)
    (tmp_path / "cache").mkdir()
    (small_disk / ".cache").symlink_to(tmp_path / "cache")  # the test set has room
    argv = infer_only(tiny_world, tmp_path / "s", weights / "sample")
    assert "the disk is full" in sentence(argv, capsys)
    assert not visible(small_disk)
    (tmp_path / "s" / "subs").unlink()
    assert small_run.run(argv) == 0, "with room again the same command goes on"


def test_a_parquet_without_receipt_is_the_users_and_is_not_written_over(
    tiny_world, tmp_path, weights, capsys
):
    path = tmp_path / "s" / "subs" / PARQUET
    path.parent.mkdir(parents=True)
    path.write_bytes(b"my own download")
    line = sentence(infer_only(tiny_world, tmp_path / "s", weights / "sample"), capsys)
    assert "make verify" in line
    assert path.read_bytes() == b"my own download" and visible(path.parent) == [PARQUET]


def test_the_sample_profile_does_not_write_over_a_full_size_result(
    tiny_world, tmp_path, weights, capsys
):
    assert (
        small_run.run(infer_only(tiny_world, tmp_path / "s", weights / "full", "--profile", "full"))
        == 0
    )
    before = state_of(tmp_path / "s" / "subs")
    for command in ("infer-only", "reproduce"):
        argv = small_run.arguments(
            command, tiny_world, tmp_path / "s", "--weights", str(weights / "sample")
        )
        assert "full size" in sentence(argv, capsys)
    assert state_of(tmp_path / "s" / "subs") == before


def test_of_two_runs_at_once_the_second_is_refused(tiny_world, tmp_path, weights, capsys):
    folder = tmp_path / "s" / "outputs" / "adam" / "200"
    folder.mkdir(parents=True)
    argv = infer_only(tiny_world, tmp_path / "s", weights / "sample")
    with open(str(folder / ".lock"), "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "another run is at work here" in sentence(argv, capsys)
    assert small_run.run(argv) == 0


def test_a_lock_file_that_a_killed_run_left_stops_nobody(tiny_world, tmp_path, weights):
    folder = tmp_path / "s" / "outputs" / "adam" / "200"
    folder.mkdir(parents=True)
    (folder / ".lock").write_text("")
    assert small_run.run(infer_only(tiny_world, tmp_path / "s", weights / "sample")) == 0


# ---- killed --------------------------------------------------------------------------------------

_MOMENTS = (
    "leapkit.data.id_checker.require_ids:1",  # test.csv half prepared
    "leapkit.run.inference.predict:1",  # nothing predicted
    "leapkit.run.inference.predict:3",  # two of five batches predicted
    "leapkit.data.submission.write:1",  # all predicted, no parquet
    "leapkit.data.submission.verify:1",  # a parquet under its temporary name
    "leapkit.run.prediction.publish_copy:1",  # a parquet without a receipt
    "leapkit.core.receipts.write:1",  # the same, a moment before the receipt
)


# docker stop asks politely; one moment in each kind of work will do.
_ENDED = [(moment, "SIGKILL") for moment in _MOMENTS] + [
    (_MOMENTS[k], "SIGTERM") for k in (0, 2, 4)
]
_TRAINING = (
    "leapkit.run.training._keep:3",  # inside training
    "leapkit.core.receipts.write:1",  # between training and its receipt
    "leapkit.core.receipts.write:2",  # between prediction and its receipt
)


@pytest.fixture(scope="module")
def ended(tiny_world, tmp_path_factory, weights):
    """Return {(moment, signal): (exit code, output, submission folder)} of ended runs."""
    jobs, keys = [], []
    for moment, name in _ENDED:
        folder = tmp_path_factory.mktemp("ended") / "submission"
        keys.append((moment, name, folder))
        jobs.append((f"{moment}:{name}", infer_only(tiny_world, folder, weights / "sample")))
    for moment in _TRAINING:
        folder = tmp_path_factory.mktemp("ended") / "submission"
        keys.append((moment, "reproduce", folder))
        jobs.append((moment + ":SIGKILL", small_run.arguments("reproduce", tiny_world, folder)))
    return {
        (moment, name): (code, output, folder)
        for (moment, name, folder), (code, output) in zip(keys, small_run.in_children(jobs))
    }


def copy_of(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(str(folder), str(tmp_path / "copy"))
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def undisturbed(tiny_world, tmp_path_factory, weights) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert small_run.run(infer_only(tiny_world, folder, weights / "sample")) == 0
    return (folder / "subs" / PARQUET).read_bytes()


@pytest.mark.modern  # files and processes; test_training ends runs on every stack
@pytest.mark.parametrize("moment, name", _ENDED)
def test_an_inference_that_was_ended_goes_on_to_the_same_bytes(
    moment, name, ended, tiny_world, weights, undisturbed, tmp_path
):
    code, output, folder = ended[moment, name]
    folder = copy_of(folder, tmp_path)
    assert not (folder / "subs" / RECEIPT).exists(), "a receipt is the last thing written"
    if name == "SIGKILL":
        assert code == -signal.SIGKILL
    else:  # docker stop
        assert code == errors.EXIT_INTERRUPTED and "the same command continues from there" in output
        assert "Traceback" not in output and "error: " not in output
        assert not [p for p in folder.rglob("*") if p.name.startswith(".partial-")]
    assert small_run.run(infer_only(tiny_world, folder, weights / "sample")) == 0
    assert (folder / "subs" / PARQUET).read_bytes() == undisturbed
    assert visible(folder / "subs") == [PARQUET, RECEIPT]
    assert sorted(p.name for p in (folder / "outputs" / "adam" / "200").iterdir()) == [
        ".lock",
        "exp200_new.parquet",
    ]
    assert not [p for p in folder.rglob("*") if p.name.startswith(".partial-")]


@pytest.mark.modern
def test_a_killed_inference_does_not_predict_again_what_it_had(
    ended, tiny_world, weights, tmp_path, capsys, monkeypatch
):
    import leapkit.run.inference

    _, _, folder = ended["leapkit.data.submission.verify:1", "SIGKILL"]
    copy = copy_of(folder, tmp_path)
    assert list((copy / "outputs" / "adam" / "200").glob("predictions-*.f32"))

    def never(*_):
        raise AssertionError("it predicted again")
        yield

    monkeypatch.setattr(
        leapkit.run.inference,
        "predict",
        lambda net, inputs, *_: never() if len(inputs) else iter(()),
    )
    assert small_run.run(infer_only(tiny_world, copy, weights / "sample")) == 0


@pytest.mark.parametrize(
    "rows, extra, expected",
    [
        (0, 0, 0),
        (70, 100, 64),
        (64, 0, 64),
        (31, 0, 0),
        (144, 0, 144),
        (144, 7, 144),
        (150, 0, 144),
    ],
)
def test_half_a_batch_of_predictions_is_done_again_as_a_whole_batch(
    rows: int, extra: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network's rounding may depend on the size of its batch."""
    from leapkit.data.inference_set import InferenceSet
    from leapkit.run import inference

    block_sizes = []

    def predict(network, inputs, batch, device):
        for start in range(0, len(inputs), batch):
            block = np.asarray(inputs[start : start + batch])[:, :368]
            block_sizes.append(len(block))
            yield block

    monkeypatch.setattr(inference, "predict", predict)
    inputs = np.arange(144 * 556, dtype=np.float32).reshape(144, 556)
    test = InferenceSet([f"test_{k}" for k in range(144)], inputs, np.zeros((144, 16)))
    expected_bytes = np.ascontiguousarray(inputs[:, :368]).tobytes()
    (tmp_path / "scratch").write_bytes(
        (expected_bytes + bytes(6 * 1472))[: rows * 1472] + bytes(extra)
    )
    monkeypatch.setattr(inference, "load", lambda *_: "")
    checkpoint = inference.GroupCheckpoint(tmp_path / "x.pt", slice(0, 368))
    z = inference.predictions(
        None, [checkpoint], test, 32, tmp_path / "scratch", torch.device("cpu")
    )
    assert (
        z.shape == (144, 368)
        and z.tobytes() == expected_bytes
        and (tmp_path / "scratch").stat().st_size == len(expected_bytes)
    )
    assert sum(block_sizes) == 144 - expected and all(size == 32 for size in block_sizes[:-1])


def test_predictions_of_other_inputs_are_not_gone_on_with(
    tiny_world, tmp_path, weights, undisturbed
):
    folder = tmp_path / "s" / "outputs" / "adam" / "200"
    folder.mkdir(parents=True)
    stale = folder / "predictions-0123456789abcdef.f32"
    stale.write_bytes(bytes(4 * 368 * 64))
    assert small_run.run(infer_only(tiny_world, tmp_path / "s", weights / "sample")) == 0
    assert (tmp_path / "s" / "subs" / PARQUET).read_bytes() == undisturbed and not stale.exists()


@pytest.mark.modern
@pytest.mark.parametrize("moment", _TRAINING)
def test_a_reproduction_that_was_killed_goes_on_to_the_same_bytes(
    moment, ended, tiny_world, tmp_path, reproduced
):
    code, output, folder = ended[moment, "reproduce"]
    assert code == -signal.SIGKILL, output
    copy = copy_of(folder, tmp_path)
    assert small_run.run(small_run.arguments("reproduce", tiny_world, copy)) == 0
    for name in (
        "subs/" + PARQUET,
        "outputs/adam/200/200.pt",
        "outputs/adam/200/oof.npy",
        "outputs/adam/200/log.txt",
        "outputs/adam/200/history.json",
    ):
        assert (copy / name).read_bytes() == (reproduced / name).read_bytes(), name
    assert not list(copy.rglob("*.state.pt"))


def test_a_receipt_names_the_stack_and_never_decides_by_it(tiny_world, reproduced, capsys):
    path = reproduced / "subs" / RECEIPT
    receipt = json.loads(path.read_text())
    receipt["environment"] = {"python": "2.7"}
    receipt["started"] = "long ago"
    path.write_text(json.dumps(receipt))
    assert small_run.run(small_run.arguments("reproduce", tiny_world, reproduced)) == 0
    assert " runs" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        "3",
        '{"details": []}',
        '{"inputs": 3}',
        "\x00",
        '{"inputs"',
        '{"sha256": 4}',
    ],
)
def test_a_parquet_whose_receipt_cannot_be_read_is_not_written_over(
    content, tiny_world, tmp_path, weights, capsys
):
    argv = infer_only(tiny_world, tmp_path / "s", weights / "sample")
    assert small_run.run(argv) == 0
    (tmp_path / "s" / "subs" / RECEIPT).write_text(content)
    before = (tmp_path / "s" / "subs" / PARQUET).read_bytes()
    assert "receipt that cannot be read" in sentence(argv, capsys)
    assert (tmp_path / "s" / "subs" / PARQUET).read_bytes() == before


def test_a_receipt_that_lacks_its_inputs_runs_the_step_again(tiny_world, tmp_path, weights, capsys):
    argv = infer_only(tiny_world, tmp_path / "s", weights / "sample")
    assert small_run.run(argv) == 0
    path = tmp_path / "s" / "subs" / RECEIPT
    receipt = json.loads(path.read_text())
    del receipt["inputs"]
    path.write_text(json.dumps(receipt))
    capsys.readouterr()
    assert small_run.run(argv) == 0
    assert "infer runs: its receipt cannot be read" in capsys.readouterr().out
    assert receipts.require_valid(tmp_path / "s" / "subs" / PARQUET, HashIndex(), "")


def test_main_raises_for_a_caller_what_the_command_line_prints(
    tiny_world: Path, tmp_path: Path
) -> None:
    with pytest.raises(KitError, match="the checkpoint is missing"):
        small_run.run(infer_only(tiny_world, tmp_path / "s", tmp_path / "none"))
