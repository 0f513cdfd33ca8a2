"""A run that ends well has a proven parquet, and the next run clears what an ended one left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import numpy as np
import pytest

from tests.helpers import small_run

torch = pytest.importorskip("torch")

from leapkit.core import errors, pauses, receipts, run_progress  # noqa: E402
from leapkit.core.layout import RawData, Results  # noqa: E402
from leapkit.core.run_progress import Progress, Recorder  # noqa: E402
from leapkit.run import inference, prediction  # noqa: E402
from leapkit.run.checkpoint_training import CheckpointTrainer  # noqa: E402

pytestmark = pytest.mark.process

torch.set_num_threads(1)
PARQUET = small_run.PARQUET


@pytest.fixture
def world(tiny_world: Path, tmp_path: Path) -> RawData:
    """Return a copy of the tiny world that a test may damage."""
    shutil.copytree(str(tiny_world), str(tmp_path / "raw_data"))
    return RawData(tmp_path / "raw_data")


def reproduce(raw: RawData, submission: Path) -> int:
    """Run the command as from a terminal; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        errors.run_cli(small_run.run, small_run.arguments("reproduce", raw.root, submission))
    return int(ended.value.code or 0)


def remove(path: Path) -> None:
    path.unlink()


def put_a_folder_there(path: Path) -> None:
    path.unlink()
    path.mkdir()


def let_the_disk_fail(path: Path) -> None:
    """Put a file there that opens, and whose reading fails with EIO."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


@pytest.mark.parametrize(
    "spoil, words",
    [
        (remove, "the file is missing"),
        (put_a_folder_there, "Is a directory"),
        (let_the_disk_fail, "Input/output error"),
    ],
)
def test_a_test_csv_that_is_lost_during_training_is_one_sentence_and_no_success(
    world: RawData,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make = CheckpointTrainer.make

    def make_and_spoil(trainer: CheckpointTrainer, planned: object) -> None:
        make(trainer, planned)  # type: ignore[arg-type]
        shutil.copyfile(str(world.test_csv), str(tmp_path / "test.csv"))
        spoil(world.test_csv)

    monkeypatch.setattr(CheckpointTrainer, "make", make_and_spoil)
    assert reproduce(world, tmp_path / "s") == errors.EXIT_REFUSED
    [line] = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert str(world.test_csv) in line and words in line
    assert not list((tmp_path / "s" / "subs").glob("*.parquet"))
    monkeypatch.undo()
    if world.test_csv.is_dir():
        world.test_csv.rmdir()
    elif world.test_csv.is_symlink():
        world.test_csv.unlink()
    shutil.copyfile(str(tmp_path / "test.csv"), str(world.test_csv))
    assert reproduce(world, tmp_path / "s") == 0  # nothing was lost
    output = capsys.readouterr().out
    assert "train is skipped" in output and (tmp_path / "s" / "subs" / PARQUET).exists()


def test_inputs_that_change_during_training_are_told(
    world: RawData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make = CheckpointTrainer.make

    def make_and_change(trainer: CheckpointTrainer, planned: object) -> None:
        make(trainer, planned)  # type: ignore[arg-type]
        with open(world.statistics("adam") / "mean.json", "a") as table:
            table.write("\n")

    monkeypatch.setattr(CheckpointTrainer, "make", make_and_change)
    assert reproduce(world, tmp_path / "s") == errors.EXIT_REFUSED
    assert "did not stay the same meanwhile (mean.json has changed" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["parquet", "receipt"])
def test_a_result_that_vanishes_before_the_end_is_told(
    tiny_world: Path,
    tmp_path: Path,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def write_and_lose(product: Path, *record: object, **named: object) -> Dict[str, object]:
        receipt = write(product, *record, **named)  # type: ignore[arg-type]
        if product.suffix == ".parquet":
            (product if what == "parquet" else receipts.receipt_path(product)).unlink()
        return receipt

    write = receipts.write
    monkeypatch.setattr(prediction.receipts, "write", write_and_lose)
    assert reproduce(RawData(tiny_world), tmp_path / "s") == errors.EXIT_REFUSED
    words = {"parquet": "not made yet", "receipt": "has no receipt"}
    assert words[what] in capsys.readouterr().err


# ---- leftovers -----------------------------------------------------------------------------------


def hidden(folder: Path) -> List[str]:
    """Return the files of a submission folder that are no results."""
    names = (".state.pt", ".progress.json", ".f32", "predictions-", ".partial-")
    files = [path for path in folder.rglob("*") if any(part in path.name for part in names)]
    return sorted(path.name for path in files)


def test_predictions_that_stayed_after_their_receipt_are_removed_by_the_next_run(
    tiny_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = small_run.arguments("reproduce", tiny_world, tmp_path / "s")
    [(code, output)] = small_run.in_children(
        [("leapkit.run.unfinished_predictions.remove:1:SIGKILL", argv)]
    )
    assert code == -9, output
    assert len(hidden(tmp_path / "s")) == 2
    assert reproduce(RawData(tiny_world), tmp_path / "s") == 0
    assert "infer is skipped: its receipt proves it" in capsys.readouterr().out
    assert hidden(tmp_path / "s") == []


def test_only_what_a_proven_experiment_left_is_removed(tiny_world: Path, tmp_path: Path) -> None:
    argv = small_run.arguments("reproduce", tiny_world, tmp_path / "s")
    assert small_run.run(argv) == 0
    results = Results(tmp_path / "s")
    folder = results.experiment("adam", "200")
    left = [
        folder / "200.state.pt",
        folder / "200_g3.state.pt",
        folder / "200.progress.json",
        folder / "predictions-0123456789abcdef.f32",
        folder / ".partial-oof.npy",
        results.subs / f".partial-{PARQUET}",
    ]
    others = [
        results.subs / ".partial-adam_200gf.parquet",
        results.experiment("adam", "195") / "195.state.pt",
    ]
    for path in left + others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert small_run.run(argv) == 0
    assert hidden(tmp_path / "s") == sorted(path.name for path in others)


def test_a_run_says_how_far_it_is_until_it_ends(
    tiny_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training, then six groups together, as the seventh keeps its parent, then predictions."""
    seen: Dict[str, Progress] = {}

    def add_and_read(recorder: Recorder, done: int) -> None:
        add(recorder, done)
        progress = run_progress.read(recorder._path)
        assert progress
        seen[recorder._path.name.split("-")[0]] = progress

    add = Recorder.add
    monkeypatch.setattr(run_progress, "WRITE_EVERY", 0.0)
    monkeypatch.setattr(Recorder, "add", add_and_read)
    for name in ("200", "200gf"):
        argv = small_run.arguments("reproduce", tiny_world, tmp_path / "s")
        assert small_run.run([*argv, "--alone", "--experiments", name]) == 0
        assert seen["predictions"].fraction == 1 and seen["predictions"].total == 144
        assert hidden(tmp_path / "s") == []
    alone, together = seen["200.progress.json"], seen["200gf_g1.progress.json"]
    assert (alone.parts, alone.total) == (1, 3 * 6) and alone.done >= 6
    assert (together.parts, together.total, together.fraction) == (6, 6 * 6, 1)


def test_infer_only_leaves_an_unfinished_training_alone(tiny_world: Path, tmp_path: Path) -> None:
    assert small_run.run(small_run.arguments("reproduce", tiny_world, tmp_path / "s")) == 0
    folder = Results(tmp_path / "s").experiment("adam", "200")
    argv = small_run.arguments("infer-only", tiny_world, tmp_path / "s2", "--weights", str(folder))
    state = Results(tmp_path / "s2").experiment("adam", "200") / "200.state.pt"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"x")
    assert small_run.run(argv) == 0 and small_run.run(argv) == 0
    assert state.exists()


def test_an_inference_that_is_paused_after_any_chunk_goes_on_to_the_same_parquet(
    tiny_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = small_run.arguments("reproduce", tiny_world, tmp_path)
    assert small_run.run(argv) == 0
    parquet = Results(tmp_path).subs / PARQUET
    whole = parquet.read_bytes()
    parquet.unlink()
    original = inference.predict_chunks

    def chunks(*arguments: Any) -> Iterator[np.ndarray]:
        for chunk in original(*arguments):
            os.kill(os.getpid(), pauses.SIGNAL)
            yield chunk

    monkeypatch.setattr(inference, "_CPU_CHUNK", 32)  # rows; the test set has 144
    monkeypatch.setattr(inference, "predict_chunks", chunks)
    for _ in range(5):
        with pytest.raises(pauses.Paused):
            small_run.run(argv)
        assert not parquet.exists()
    assert small_run.run(argv) == 0 and parquet.read_bytes() == whole
