"""The report's records and their JSON file hold the same figures under the same keys."""

from __future__ import annotations

import json

import pytest

from blend import payload, scores_text
from blend.payload import FormScore, Loss, Quality, Report, Sides, ValidationFigures, VariableLevels

QUALITY = Quality(0.5, 0.25, [0.125] * 7)
CHOSEN = FormScore("half", "half", "all", QUALITY, QUALITY, None, 1.0, 0, True)
BEST = FormScore("best artifact", "best artifact", "all", QUALITY, None, None, None, None)
FIGURES = ValidationFigures(
    rows=96,
    folds=["part 1 of 1"],
    forms=[CHOSEN, BEST],
    artifacts=["a.b"],
    alone=[Sides(QUALITY, None)],
    blend=Sides(QUALITY, QUALITY),
    leave_one_out=[Loss(None, 0.5)],
    correlation=[[1.0]],
    levels=[VariableLevels("ptend_t", "K/s", [0], [[0.5]], [0.75], [0.25], [0], 1, 0)],
    path=[("a.b", 1.0, 0.5)],
    not_counted=[("ptend_q0002_27", "its truth is constant")],
)


@pytest.mark.parametrize("figures", [None, FIGURES])
def test_a_report_is_read_back_equal(figures):
    report = Report("half", ["weight"], ["a.b"], [[1.0]], False, {"a.b": "0" * 64}, figures)
    assert payload.from_json(json.loads(json.dumps(payload.to_json(report)))) == report


def test_the_json_file_keeps_its_keys() -> None:
    """Other programs may read the file."""
    content = payload.to_json(
        Report("half", ["weight"], ["a.b"], [[1.0]], False, {"in_sample": "0" * 64}, FIGURES)
    )
    assert content["columns"] == ["weight"] and content["provenance"] == {"in_sample": "0" * 64}
    validation = content["validation"]
    assert set(validation["forms"][0]) == {
        "name",
        "form",
        "scope",
        "in fold",
        "out of fold",
        "test",
        "sum",
        "negative",
        "chosen",
    }
    assert validation["leave one out"] == [{"in fold": None, "out of fold": 0.5}]
    assert validation["not counted"] == [["ptend_q0002_27", "its truth is constant"]]


def test_a_report_without_validation_predictions_has_no_such_key() -> None:
    report = Report("v10", ["weight"], ["a"], [[1.0]], True, {})
    assert "validation" not in payload.to_json(report)


def test_the_table_of_forms_has_a_column_for_the_test_rows_only_if_they_were_scored() -> None:
    lines = scores_text.forms_table(FIGURES.forms).splitlines()
    assert "withheld test" not in lines[0] and len(lines) == 3
    assert lines[1].endswith("0.00000  <- this blend") and "0.25000 (0.50000)" in lines[1]
    tested = FormScore("half", "half", "all", QUALITY, QUALITY, QUALITY, 1.0, 0, True)
    head, line = scores_text.forms_table([tested]).splitlines()
    assert head.index("withheld test") < head.index("overfit") and line.count("(0.50000)") == 3
