"""The report's figures equal those from the rows, and the page is safe in a browser."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
from blend import figures, forms, gram, naming, payload, report, tables
from leapkit.core import receipts
from leapkit.core.columns import GROUP_NAMES, PREDICTED, TARGETS, kaggle_positions
from leapkit.core.layout import Results
from leapkit.data.score import R2
from tests.helpers.browser import Tables, in_browser
from tests.helpers.small_blend import SEARCH, THREE, TRAINED, V10, Maker, blend, files

pytestmark = pytest.mark.process

COLUMNS = kaggle_positions(PREDICTED)


@pytest.fixture(scope="module")
def reported(maker: Maker, sixteen_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return a folder after a search among three artifacts and the blends of two given tables."""
    root = tmp_path_factory.mktemp("reported")
    shutil.copytree(str(sixteen_once), str(root / "submission"))
    (root / "half.csv").write_text(f"artifact,weight\n{TRAINED[0]},0.75\n{TRAINED[3]},0.25\n")
    results = Results(root / "submission")
    for table in ("searched", str(root / "half.csv"), "v10"):
        assert blend(maker, results, "--table", table, *SEARCH[2:]) == 0
    return results


def figures_of(results: Results, table: str) -> Dict[str, Any]:
    return json.loads(files(table).report(results).with_suffix(".json").read_text())


def r2_of(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return (292,) scores computed from the rows, never below the score of raw 0."""
    sums, zero = R2(), R2()
    sums.add(truth, prediction)
    zero.add(truth, np.zeros_like(truth))
    return np.maximum(sums.per_column(), zero.per_column())[COLUMNS]


def all_columns(r2: np.ndarray) -> float:
    return (76 + float(r2.sum())) / 368


# ---- figures -------------------------------------------------------------------------------------


def test_scores_of_artifacts_and_of_the_blend_are_those_of_their_rows(maker, reported):
    validation = figures_of(reported, "half")["validation"]
    rows = {
        name: maker.validation_predictions_raw(reported, name) for name in (TRAINED[0], TRAINED[3])
    }
    expected = [r2_of(maker.validation_raw, rows[name]) for name in validation["artifacts"]]
    for side, r2 in zip(validation["alone"], expected):
        assert side["validation"]["all"] == pytest.approx(all_columns(r2), abs=1e-9)
        assert side["validation"]["predicted"] == pytest.approx(np.maximum(r2, 0).mean(), abs=1e-9)
    mixed = r2_of(maker.validation_raw, 0.75 * rows[TRAINED[0]] + 0.25 * rows[TRAINED[3]])
    assert validation["blend"]["validation"]["all"] == pytest.approx(all_columns(mixed), abs=1e-9)
    chosen = [row for row in validation["forms"] if row["chosen"]]
    assert (
        len(chosen) == 1
        and chosen[0]["name"] == "half"
        and chosen[0]["in fold"] == chosen[0]["out of fold"]
    )
    # Of a given table, what is left keeps its proportions: without one of two, the other alone.
    for k in (0, 1):
        assert validation["leave one out"][k]["in fold"] == pytest.approx(
            all_columns(mixed) - all_columns(expected[1 - k])
        )
    for variable in validation["levels"]:
        columns = [
            PREDICTED.index(f"{variable['variable']}_{level}") for level in variable["levels"]
        ]
        np.testing.assert_allclose(variable["blend"], mixed[columns], atol=1e-9)
        np.testing.assert_allclose(
            variable["margin"], mixed[columns] - np.max(expected, axis=0)[columns], atol=1e-9
        )
        assert variable["wins"] + variable["losses"] <= len(columns)
        assert np.array(expected)[variable["best"], columns] == pytest.approx(
            np.max(expected, axis=0)[columns], abs=1e-9
        )
    assert [len(variable["levels"]) for variable in validation["levels"]] == [
        60,
        48,
        32,
        48,
        48,
        48,
    ]


def test_the_correlation_of_errors_is_that_of_their_rows(maker, reported):
    validation = figures_of(reported, "half")["validation"]
    errors = [
        maker.validation_predictions_raw(reported, name) - maker.validation_raw
        for name in validation["artifacts"]
    ]
    counted = [
        k
        for k, name in zip(COLUMNS, PREDICTED)
        if name not in {name for name, _ in validation["not counted"]}
    ]
    expected = np.mean(
        [
            (errors[0][:, k] * errors[1][:, k]).sum()
            / np.sqrt((errors[0][:, k] ** 2).sum() * (errors[1][:, k] ** 2).sum())
            for k in counted
        ]
    )
    assert (
        validation["correlation"][0][1]
        == pytest.approx(expected, abs=1e-9)
        == validation["correlation"][1][0]
    )
    assert validation["correlation"][0][0] == pytest.approx(1)


def test_the_forms_side_by_side_are_those_that_a_search_would_find(maker, reported):
    validation = figures_of(reported, "searched")["validation"]
    saved_gram = gram.load(files("searched").errors(reported))
    assert [entry["name"] for entry in validation["forms"]][:2] == [
        "best artifact",
        "equal weights",
    ]
    assert {entry["name"] for entry in validation["forms"][2:]} == {
        naming.Search("searched", form, scope).name
        for form in naming.FORMS
        for scope in naming.SCOPES
    }
    for entry in validation["forms"][2:]:
        search = naming.parse_search(entry["name"])
        fitted = forms.Fits(saved_gram).fitted(search)
        assert entry["in fold"]["all"] == pytest.approx(
            gram.score(saved_gram.whole.metric(fitted.in_sample)).all_columns
        )
        assert entry["out of fold"]["all"] == pytest.approx(
            gram.score(saved_gram.whole.metric(fitted.held_out)).all_columns
        )
    by_name = {entry["name"]: entry for entry in validation["forms"]}
    assert (
        by_name["searched.sum-one"]["in fold"]["all"]
        >= by_name["searched"]["in fold"]["all"] - 1e-11
    )
    assert by_name["searched"]["chosen"] and validation["path"][-1][2] == pytest.approx(
        by_name["searched"]["in fold"]["all"]
    )


def test_the_test_column_is_the_score_of_the_parquet_that_was_written(maker, reported):
    """Scores of the final parquet equal those that the artifacts' errors predict."""
    for table in ("searched", "half"):
        chosen_form = next(
            row for row in figures_of(reported, table)["validation"]["forms"] if row["chosen"]
        )
        scores = json.loads(files(table).scores(reported).read_text())
        scored = next(row for row in scores if row["name"] == "blend " + table)
        assert chosen_form["test"]["predicted"] == pytest.approx(scored["predicted"], abs=1e-9)


def test_searched_weights_are_searched_again_without_each_artifact(reported):
    validation = figures_of(reported, "searched")["validation"]
    saved_gram = gram.load(files("searched").errors(reported))
    score_of_all = gram.score(
        saved_gram.whole.metric(saved_gram.whole.errors(forms.fit(saved_gram, "climb")[0]))
    ).all_columns
    for k in range(3):
        other_artifacts = saved_gram.choosing([m for m in range(3) if m != k])
        score_without = gram.score(
            other_artifacts.whole.metric(
                other_artifacts.whole.errors(forms.fit(other_artifacts, "climb")[0])
            )
        ).all_columns
        assert validation["leave one out"][k]["in fold"] == pytest.approx(
            score_of_all - score_without, abs=1e-12
        )
        assert validation["leave one out"][k]["out of fold"] is not None


# ---- the page ------------------------------------------------------------------------------------


def test_the_published_weights_are_said_to_come_without_their_validation_predictions(reported):
    page = files("v10").report(reported).read_text()
    assert (
        "validation" not in figures_of(reported, "v10") and figures_of(reported, "v10")["published"]
    )
    assert (
        "The team never published the validation" in page
        and 'id="table-weights"' in page
        and "table-forms" not in page
    )


def test_published_weights_on_networks_trained_here_say_that_too(
    maker: Maker, sixteen: Results
) -> None:
    maker.all(sixteen, V10, V10)
    assert blend(maker, sixteen) == 0
    page = files("v10").report(sixteen).read_text()
    assert (
        "The team never published the validation" in page
        and "networks that were trained here" in page
    )
    assert any(
        form["name"] == "v10" and form["chosen"]
        for form in figures_of(sixteen, "v10")["validation"]["forms"]
    )


def test_the_page_needs_nothing_from_elsewhere_and_the_same_figures_give_the_same_bytes(reported):
    blend_figures = figures_of(reported, "searched")
    page = report.page(payload.from_json(blend_figures))
    assert (
        page
        == files("searched").report(reported).read_text()
        == report.page(payload.from_json(blend_figures))
    )
    assert "default-src 'none'" in page
    head = page[: page.index("<script>")] + page[page.index("</script>") :]
    assert not re.search(r"""(?:src|href|action)=["']?(?:https?:)?//""", head)


def test_a_report_is_made_again_when_what_it_shows_has_changed(
    maker: Maker,
    sixteen: Results,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert blend(maker, sixteen, *SEARCH) == 0
    page = files("searched").report(sixteen)
    page.with_suffix(".json").unlink()
    capsys.readouterr()
    assert blend(maker, sixteen, *SEARCH) == 0
    assert (
        "report       runs: report_searched.json is missing" in capsys.readouterr().out
        and page.with_suffix(".json").exists()
    )
    monkeypatch.setattr(report, "version", lambda: "0" * 64)
    assert blend(maker, sixteen, *SEARCH) == 0
    assert "report       runs: page has changed" in capsys.readouterr().out
    assert receipts.judge(
        page, json.loads(receipts.receipt_path(page).read_text())["inputs"], _index()
    ).done


def _index():
    from leapkit.core.hash_index import HashIndex

    return HashIndex()


def test_a_browser_shows_every_figure_and_draws_every_plot(maker, reported):
    blend_figures = figures_of(reported, "searched")
    document, console = in_browser(files("searched").report(reported))
    assert not console
    page = Tables(document)
    v = blend_figures["validation"]
    rows = page.tables["table-forms"]
    assert len(rows) == 1 + len(v["forms"])
    for cells, row in zip(rows[1:], v["forms"]):
        assert cells[:4] == [row["name"]] + [
            f"{row[side]['predicted']:.5f}" for side in ("in fold", "out of fold", "test")
        ]
    # The first artifact's group scores in the browser are those of its rows.
    r2 = dict(
        zip(
            PREDICTED,
            r2_of(maker.validation_raw, maker.validation_predictions_raw(reported, THREE[0])),
        )
    )
    by_group = [
        np.mean(
            [
                r2.get(name, 1.0)
                for name in TARGETS
                if name.startswith("cam_out" if group == "scalars" else group + "_")
            ]
        )
        for group in GROUP_NAMES
    ]
    cells = next(row for row in page.tables["table-groups"] if row[0] == THREE[0])
    np.testing.assert_allclose([float(cell) for cell in cells[1:]], by_group, atol=6e-6)
    weights = {row[0]: float(row[1]) for row in page.tables["table-weights"][1:]}
    table = dict(tables.read(files("searched").weights(reported)).rows)
    assert weights == pytest.approx(table, abs=6e-7)
    assert len(page.tables["table-levels"]) == 1 + 60 + 48 * 4 + 32
    assert len(page.tables["table-adds"]) == len(page.tables["table-made-of"]) == 4
    plots = (
        6 + 2 * 6
    )  # weights, forms, adds, correlation, groups, path; two for each of six variables
    assert document.count('class="main-svg"') >= plots and document.count('id="plot-') == plots
    assert page.drawn["js-line"] >= 6 * 4  # three artifacts and the blend at each variable
    assert page.drawn["point"] >= len(table) + 284  # bars of weights and of margins


def test_names_from_a_table_of_a_stranger_are_text_in_the_page(
    maker: Maker, sixteen: Results
) -> None:
    name = '<img src=x onerror=document.title="owned"><script>document.title="owned"</script>'
    table = tables.WeightTable("t", (("a", 1.0),))  # no table may hold the name itself
    blend_figures = dataclasses.replace(
        figures.of_blend(table, None, None, {name: "0" * 64}), artifacts=[name]
    )
    path = sixteen.root / "page.html"
    path.write_text(report.page(blend_figures))
    assert name not in path.read_text()
    document, _ = in_browser(path)
    assert "owned</title>" not in document and "<title>Blend t</title>" in document


def test_a_page_of_weights_for_every_target_is_drawn_too(maker: Maker, sixteen: Results) -> None:
    assert blend(maker, sixteen, "--table", "searched.ridge.target", *SEARCH[2:]) == 0
    document, console = in_browser(files("searched.ridge.target").report(sixteen))
    assert not console
    assert len(Tables(document).tables["table-weights"][0]) == 1 + 368
    assert 'id="plot-weights"' in document and 'id="plot-path"' not in document
