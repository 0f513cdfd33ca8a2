"""The pages show every number, draw every plot, need nothing from elsewhere, and are safe."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

pytest.importorskip("plotly", reason="pages are made on Python 3.11 alone")
from evaluation import figures, maps, pages
from leapkit.core.layout import Results
from tests.evaluation.conftest import TWO
from tests.helpers.browser import Tables, in_browser
from tests.helpers.refusals import refused

pytestmark = pytest.mark.process
PLOTS = 1 + 6 + 2 * 3 + 3 * 4 + 2 + 2 + 2  # as the page has them, with months


@pytest.fixture(scope="module")
def folder(judged: Results) -> Path:
    """Return the pages of the test rows and of the validation rows."""
    return judged.evaluation


@pytest.fixture(scope="module")
def shown(folder: Path) -> Dict[str, Any]:
    return json.loads((folder / f"{TWO[0]}.json").read_text())


def test_a_browser_draws_every_plot_and_shows_every_number(
    folder: Path, shown: Dict[str, Any]
) -> None:
    document, console = in_browser(folder / f"{TWO[0]}.html")
    assert not console
    page = Tables(document)
    assert document.count('id="plot-') == PLOTS
    assert page.drawn["main-svg"] >= PLOTS
    assert ">0009-02<" in document  # a month, as text at an axis too
    assert " 48 grid columns in 1" in " ".join(document.split())
    assert document.count(">latitude</text>") == 2 * 3 == document.count(">pressure, hPa</text>")
    assert page.drawn["contour"] == 4 * 3 + 2  # filled, 0.7 and 0.9 of each R2; two of bias
    result = shown["result"]
    rows = page.tables["table-variables"][1:]
    assert [row[0] for row in rows] == result["variables"]["names"]
    for k, row in enumerate(rows):
        assert float(row[5]) == pytest.approx(result["variables"]["rmse"][k], rel=1e-3)
        assert row[7] == result["variables"]["units"][k]
    lengths = {name: len(page.tables[name]) for name in page.tables if name}
    assert lengths == {
        "table-variables": 15,
        "table-levels": 61,
        "table-maps": 1 + 48,
        "table-dry": 3,
        "table-rain": 61,
        "table-budgets": 8,
        "table-months": 2,
        "table-regions": 1 + len({each["region"] for each in result["regions"]}),
        "table-made-of": 1 + len(shown["inputs"]),
    }


def test_the_first_page_compares_all_and_links_to_each(folder: Path) -> None:
    document = (folder / "index.html").read_text()
    names = {path.stem for path in folder.glob("*.html")} - {"index"}
    tables = Tables(document).tables
    rows, of_validation = tables["table-group-0"][1:], tables["table-group-1"][1:]
    assert {row[0] for row in rows + of_validation} == names and len(names) == 6
    assert {row[0] + ".validation" for row in rows} == {row[0] for row in of_validation}
    assert {f'href="{pages._link(name)}"' in document for name in names} == {True}
    scores = [float(row[1]) for row in rows]
    assert scores == sorted(scores, reverse=True)


def test_the_pages_need_nothing_from_elsewhere_and_the_same_figures_give_the_same_bytes(
    folder: Path, shown: Dict[str, Any]
) -> None:
    others = [
        figures.read(path)
        for path in sorted(folder.glob("*.json"))
        if not path.name.endswith((".validation.json", "receipt.json")) and path.stem != TWO[0]
    ]
    page = (folder / f"{TWO[0]}.html").read_text()
    assert page == pages.of_prediction(shown, others)
    assert "default-src 'none'" in page
    outside = page[: page.index("<script>")] + page[page.index("</script>") :]
    assert not re.search(r"""(?:src|href|action)=["']?(?:https?:)?//""", outside)


def test_names_and_origins_of_strangers_are_text(shown: Dict[str, Any], tmp_path: Path) -> None:
    hostile = '<img src=x onerror=document.title="owned"><script>document.title="owned"</script>'
    stranger = copy.deepcopy(shown)
    stranger["name"] = stranger["origin"] = stranger["rows"] = hostile
    stranger["result"]["grid_source"] = hostile
    stranger["inputs"] = {**shown["inputs"], hostile: hostile}
    for name, page in (
        ("one", pages.of_prediction(stranger, [stranger])),
        ("all", pages.comparison([shown, stranger])),
    ):
        assert hostile not in page and "<img src=x" not in page
        path = tmp_path / f"{name}.html"
        path.write_text(page)
        document, console = in_browser(path)
        assert "owned</title>" not in document and not console


def test_predictions_of_other_rows_are_not_beside_each_other(shown: Dict[str, Any]) -> None:
    other = copy.deepcopy(shown)
    other["name"] = "of_other_rows"
    other["inputs"]["truth"] = "0" * 64
    page = pages.comparison([shown, other])
    assert 'id="table-group-1"' in page
    assert not pages._same_rows(shown, other) and pages._same_rows(shown, copy.deepcopy(shown))


def test_undefined_numbers_are_drawn_and_shown_as_such(shown: Dict[str, Any]) -> None:
    without = json.loads(
        re.sub(r"-?\d+\.\d+(e[-+]\d+)?", "null", json.dumps(shown["result"]["maps"]))
    )
    broken = copy.deepcopy(shown)
    broken["result"]["maps"] = without
    broken["result"]["kaggle"] = None
    page = pages.of_prediction(broken, [])
    assert "<td>–</td>" in page and "NaN" not in page[page.index("</script>") :]


def test_a_map_gives_each_point_its_nearest_column() -> None:
    random = np.random.RandomState(0)
    lat, lon = np.degrees(np.arcsin(random.uniform(-1, 1, 40))), random.uniform(0, 360, 40)
    nearest = maps.nearest_columns(lat, lon)
    assert nearest.shape == (72, 144)
    for row, column in ((0, 0), (35, 143), (60, 71)):
        a, b = np.radians(maps.RASTER_LAT[row]), np.radians(maps.RASTER_LON[column])
        cosine = np.sin(a) * np.sin(np.radians(lat)) + np.cos(a) * np.cos(np.radians(lat)) * np.cos(
            b - np.radians(lon)
        )
        assert nearest[row, column] == np.argmax(cosine)


def test_figures_of_another_version_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for content in ("[]", '{"form": 0}', "{"):
        path.write_text(content)
        with refused(path, "run `make evaluate` again"):
            figures.read(path)
