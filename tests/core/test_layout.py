"""The names of files on disk, which other people's files and receipts rely on."""

from __future__ import annotations

from pathlib import Path

from leapkit.core.layout import RawData, Results, RunFiles, scratch_path
from tests.helpers.refusals import refused


def test_raw_data_lies_as_in_the_teams_repository(tmp_path: Path) -> None:
    raw = RawData(Path("raw_data"))
    assert raw.test_csv == Path("raw_data/kaggle-data/test.csv")
    assert raw.sample_submission == Path("raw_data/kaggle-data/sample_submission.csv")
    assert raw.old_weights == Path("raw_data/kaggle-data/sample_submission_old.csv")
    assert raw.steps == Path("raw_data/ClimSim_low-res/train")
    assert list(raw.scaling_files("adam")) == ["mean.json", "std.json", "old weights"]


def test_a_world_without_a_month_is_refused_with_the_command_that_fetches_one(
    tmp_path: Path,
) -> None:
    raw = RawData(tmp_path)
    raw.steps.mkdir(parents=True)
    with refused(raw.steps, "holds no month", "make fetch WHAT=steps"):
        raw.split()


def test_results_lie_as_in_the_teams_repository_and_keep_every_dot() -> None:
    results = Results(Path("submission"))
    assert results.parquet("cv0.790_lb0.785") == Path("submission/subs/cv0.790_lb0.785.parquet")
    predictions = results.validation_predictions("a.oof")
    assert predictions == Path("submission/subs/a.oof.npy")
    assert results.experiment("adam", "195") == Path("submission/outputs/adam/195")
    assert results.hashes == Path("submission/subs/.cache/hashes.json")


def test_a_run_of_all_targets_and_a_run_of_a_group_leave_files_of_different_names() -> None:
    all_targets, group = RunFiles(Path("f"), "195"), RunFiles(Path("f"), "32", 0)
    assert all_targets.checkpoint == Path("f/195.pt") and group.checkpoint == Path("f/32_g0.pt")
    assert all_targets.state == Path("f/195.state.pt") and group.state == Path("f/32_g0.state.pt")
    assert all_targets.lock == Path("f/.lock") and group.lock == Path("f/.g0.lock")
    assert all_targets.log == Path("f/log.txt") and group.log == Path("f/log_g0.txt")
    assert all_targets.validation_predictions == Path("f/oof.npy")
    assert group.validation_predictions == Path("f/oof_g0.npy")


def test_unfinished_predictions_are_named_after_all_that_decides_them() -> None:
    first = scratch_path(Path("f"), {"network": "a", "test.csv": "b"})
    assert first == scratch_path(Path("f"), {"test.csv": "b", "network": "a"})
    assert first != scratch_path(Path("f"), {"network": "a", "test.csv": "c"})
    assert first.name.startswith("predictions-") and first.suffix == ".f32"
