"""make evaluate: which predictions are judged, against which truth, and when again."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

pytest.importorskip("plotly", reason="pages are made on Python 3.11 alone")
from blend import postprocess
from leapkit.climate.evaluation import Evaluation
from leapkit.climate.grid_files import find_grid
from leapkit.climate.results import plain
from leapkit.core.columns import LINEAR, TARGETS, kaggle_positions
from leapkit.core.files import read_json
from leapkit.core.layout import RawData, Results
from leapkit.data import kaggle_csv, submission
from tests.evaluation.conftest import (
    TWO,
    evaluate,
    figures,
    validation_steps,
    validation_values,
)
from tests.helpers.refusals import refused
from tests.helpers.small_blend import Maker

pytestmark = pytest.mark.process
BLEND = "blend_half+positivity"


def of_rows(raw: RawData, x: np.ndarray, y: np.ndarray, p: np.ndarray, months: Any) -> Any:
    """Return the figures of rows that are added at once."""
    evaluation = Evaluation(find_grid(raw))
    evaluation.add(x, y, p, np.arange(len(x)) % evaluation.grid.columns, months)
    return plain(evaluation.result())


def require_same(shown: Dict[str, Any], expected: Any) -> None:
    """Compare figures, which differ by the rounding of other blocks of rows."""
    for field in ("mae", "rmse", "r2_clipped", "kaggle_r2"):
        for table in ("variables", "targets"):
            one, other = (each[table][field] for each in (shown["result"], expected))
            np.testing.assert_allclose(
                np.array(one, float), np.array(other, float), rtol=1e-9, atol=1e-30
            )
    assert [each["month"] for each in shown["result"]["regions"]] == [
        each["month"] for each in expected["regions"]
    ]


def test_the_figures_of_test_rows_are_those_of_the_parquets_and_the_truth(
    maker: Maker, judged: Results
) -> None:
    ((_, x),) = kaggle_csv.read_test_csv(maker.raw.test_csv)
    months = [stamp[:7] for stamp in read_json(maker.raw.test_steps) for _ in range(48)]
    for name, parquet in (
        (TWO[0], judged.parquet(TWO[0])),
        (BLEND, judged.blend / "final_blend_half+positivity.parquet"),
    ):
        shown = figures(judged, name)
        ((_, values),) = submission.blocks(parquet)
        require_same(shown, of_rows(maker.raw, x, maker.truth, values, months))


def test_kaggle_s_score_is_the_one_that_the_blend_prints(judged: Results) -> None:
    scores = json.loads((judged.blend / "scores_half+positivity.json").read_text())
    by_name = {row["name"]: row for row in scores}
    for name, row in ((TWO[1], TWO[1]), (BLEND, "blend half+positivity")):
        result = figures(judged, name)["result"]
        assert result["kaggle"] == pytest.approx(by_name[row]["all_columns"], abs=1e-9)
        assert result["kaggle_predicted"] == pytest.approx(by_name[row]["predicted"], abs=1e-9)


def test_validation_rows_are_judged_by_networks_and_by_blends_of_their_weights(
    maker: Maker, judged: Results
) -> None:
    steps = validation_steps(maker.raw)
    x, y = (np.concatenate([step[k] for step in steps]) for k in (1, 2))
    months = [stamp[:7] for stamp, _, _ in steps for _ in range(48)]
    values = [validation_values(maker, judged, artifact) for artifact in TWO]
    require_same(
        figures(judged, f"{TWO[0]}.validation"), of_rows(maker.raw, x, y, values[0], months)
    )
    mixed = 0.75 * values[0] + 0.5 * values[1]
    linear = kaggle_positions(LINEAR)
    mixed[:, linear] = values[0][:, linear]  # the weights do not sum to 1: the formula stays
    postprocess.bound(mixed, x[:, postprocess.STATES], ("positivity",))
    require_same(figures(judged, f"{BLEND}.validation"), of_rows(maker.raw, x, y, mixed, months))
    assert figures(judged, f"{BLEND}.validation")["rows"] == "validation rows"


def test_the_tables_have_climsim_s_columns_and_read_back_to_the_same_numbers(
    judged: Results,
) -> None:
    shown = figures(judged, TWO[0])["result"]
    tables = {"": ("variable", "variables"), "_levels": ("output_idx", "targets")}
    for suffix, (index, field) in tables.items():
        with open(judged.evaluation / f"{TWO[0]}{suffix}.csv", newline="") as handle:
            rows = list(csv.DictReader(handle))
        assert list(rows[0])[:5] == [index, "MAE", "RMSE", "R2", "bias"]
        assert [float(row["RMSE"]) for row in rows] == shown[field]["rmse"]
        assert [float(row["bias"]) for row in rows] == shown[field]["bias"]
    assert len(rows) == 368 and [row["name"] for row in rows] == list(TARGETS)


def test_what_has_not_changed_is_skipped_and_only_what_has_is_made_again(
    maker: Maker, mine: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(maker.raw, mine) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 4 and all("is skipped: its receipt proves it" in x for x in printed)
    maker.write(mine, TWO[0], maker.values(7), seed=7)
    (mine.evaluation / f"{TWO[1]}_levels.csv").unlink()
    (mine.evaluation / f"{BLEND}.html").unlink()
    assert evaluate(maker.raw, mine) == 0
    printed = capsys.readouterr().out.splitlines()
    assert f"{TWO[0]} runs: prediction has changed" in printed
    assert f"{TWO[1]} runs: {TWO[1]}_levels.csv is missing" in printed
    assert f"{BLEND} is skipped: its receipt proves it" in printed
    assert (mine.evaluation / f"{BLEND}.html").exists()


def test_a_parquet_that_nothing_proves_is_left_out_with_the_reason_and_refused_by_name(
    maker: Maker, mine: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(mine.parquet(TWO[0]), "ab") as handle:
        handle.write(b"x")
    shutil.copy(str(mine.parquet(TWO[1])), str(mine.parquet("copied")))
    assert evaluate(maker.raw, mine) == 0
    printed = capsys.readouterr().out
    assert "left out: " in printed and "its bytes are not those of its receipt" in printed
    assert "copied.parquet: has no receipt" in printed
    with refused(mine.parquet(TWO[0]), "its bytes are not those of its receipt"):
        evaluate(maker.raw, mine, f"--artifacts={TWO[0]}")


def test_a_parquet_of_one_s_own_needs_no_receipt_but_the_ids_and_numbers(
    maker: Maker, mine: Results, tmp_path: Path
) -> None:
    path = tmp_path / "of_mine.parquet"
    submission.write(path, maker.ids, [maker.truth])
    assert evaluate(maker.raw, mine, f"--prediction={path}") == 0
    assert figures(mine, "of_mine")["result"]["kaggle"] == 1.0
    submission.write(path, maker.ids[::-1], [maker.truth])
    with refused(path, "row 1 has the sample_id"):
        evaluate(maker.raw, mine, f"--prediction={path}")
    values = maker.truth.copy()
    values[5, 7] = np.nan
    submission.write(path, maker.ids, [values])
    with refused(path, f"holds NaN or infinity for {maker.ids[5]}"):
        evaluate(maker.raw, mine, f"--prediction={path}")


@pytest.fixture
def world(maker: Maker, tmp_path: Path) -> RawData:
    """Return a copy of the tiny world to change."""
    shutil.copytree(str(maker.raw.root), str(tmp_path / "world"))
    return RawData(tmp_path / "world")


def test_a_world_that_does_not_say_which_steps_its_test_rows_are_has_no_months(
    world: RawData, mine: Results
) -> None:
    world.test_steps.unlink()
    assert evaluate(world, mine, f"--artifacts={TWO[0]}") == 0
    page = (mine.evaluation / f"{TWO[0]}.html").read_text()
    assert 'id="no-months"' in page and 'id="table-months"' not in page
    assert 'id="table-months"' in (mine.evaluation / f"{TWO[1]}.html").read_text()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('["0009-02-03-00000"]', "names 1 steps of 3"),
        ('["0009-02-30-00000", "", 3]', "is not a list of steps"),
        ("{", "is not valid JSON"),
    ],
)
def test_damaged_stamps_of_the_test_rows_are_refused(
    world: RawData, mine: Results, content: str, says: str
) -> None:
    world.test_steps.write_text(content)
    with refused(world.test_steps, says):
        evaluate(world, mine, f"--artifacts={TWO[0]}")


def test_without_a_withheld_truth_validation_rows_are_judged_and_test_rows_refused(
    world: RawData, mine: Results
) -> None:
    shutil.rmtree(str(world.root / "withheld"))
    with refused(world.root, "Kaggle never published it; use ROWS=validation"):
        evaluate(world, mine, "--rows=test")
    assert evaluate(world, mine, f"--artifacts={TWO[0]}") == 0
    assert figures(mine, f"{TWO[0]}.validation")["rows"] == "validation rows"


def test_results_without_any_prediction_are_refused_with_what_makes_one(
    maker: Maker, tmp_path: Path
) -> None:
    with refused(tmp_path / "none", "there is no prediction to evaluate; run `make reproduce`"):
        evaluate(maker.raw, Results(tmp_path / "none"))
