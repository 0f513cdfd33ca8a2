"""The page shows every figure, draws every plot, needs nothing from elsewhere, and is safe."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any, Dict

import pytest

pytest.importorskip("plotly", reason="reports are made on Python 3.11 alone")
from leapkit.core.layout import Results
from reports import collection, curve_plots, formats, page, timeline
from reports.record import Curve, Kit, PlanRecord, Record, Remark, Score, Standing
from tests.helpers.browser import Tables, in_browser
from tests.reports.conftest import asked_of, report

pytestmark = pytest.mark.process
HOSTILE = (
    '</script><img src=x onerror=document.title="owned"><script>document.title="owned"</script>'
)


def hostile(value: Any) -> Any:
    """Return a value of a record with hostile text in the place of each text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        known = ("started", "finished", "made")
        names = [field.name for field in dataclasses.fields(value)]
        changed = {n: hostile(getattr(value, n)) for n in names if n not in known}
        if isinstance(value, Standing):
            changed["state"] = value.state
        if isinstance(value, Curve):
            changed["source"] = value.source
        if isinstance(value, Record):
            changed["kind"] = value.kind
        return dataclasses.replace(value, **changed)
    if isinstance(value, dict):
        return {HOSTILE + str(key): hostile(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(map(hostile, value))
    return HOSTILE + value if isinstance(value, str) else value


def outside_of_plotly(text: str) -> str:
    """Return a page without the library that it carries."""
    return text[: text.index("<script>")] + text[text.index("</script>") :]


@pytest.fixture(scope="module")
def made(
    trained_once: Path, tiny_world: Path, tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, Any]:
    """Return a report's folder and what its run.json holds."""
    results = Results(trained_once)
    to = tmp_path_factory.mktemp("report")
    return {"to": to, "run": report(results, to, asked_of(results, tiny_world))}


def test_a_browser_draws_every_plot_and_shows_every_number(made: Dict[str, Any]) -> None:
    run = made["run"]
    document, console = in_browser(made["to"] / "index.html")
    assert not console
    shown = Tables(document)
    frames = re.findall(r'data-plot="([^"]+)"', document)
    assert frames == ["scores", "timeline", "curve adam/200", "curve adam/200gf"]
    assert shown.drawn["main-svg"] >= len(frames)
    drawn = [curve for curve in run["curves"] if curve["updates"]]
    assert shown.drawn["js-line"] >= len(drawn) + 2  # losses, and the rates of either network
    lines = {row[0]: row for row in shown.tables["table-networks"][1:]}
    assert set(lines) == {network["name"] for network in run["networks"]}
    [train] = [step for step in run["steps"] if step["name"] == "train adam/200"]
    assert lines["adam/200"][4] == formats.duration(train["seconds"])
    assert formats.memory(train["memory"]).split()[0] <= lines["adam/200"][6]
    scores = {row[0]: row for row in shown.tables["table-scores"][1:]}
    [network] = [each for each in run["networks"] if each["name"] == "adam/200"]
    assert scores["adam/200"][2] == f"{network['validation']:.5f}"
    assert scores["adam/200"][-3:] == ["0.78360", "0.78010", "0.77434"]
    evaluations = sum(len(curve["evaluations"]) for curve in run["curves"])
    assert len(shown.tables["table-evaluations"]) == 1 + evaluations
    assert document.count('<details class="step">') == len(run["steps"])
    for step in run["steps"]:
        assert step["product"]["sha256"] in document
        assert all(digest in document for digest in step["inputs"].values())
    assert "network has changed" in document  # the standing's reason
    assert len(shown.tables["table-because"]) == len(run["steps"])


def test_the_page_needs_nothing_from_elsewhere(made: Dict[str, Any]) -> None:
    """Neither does it name another host, nor would the browser be allowed to ask one."""
    text = (made["to"] / "index.html").read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"""(?:src|href|action)=["']?(?:https?:)?//""", outside_of_plotly(text))
    assert not re.search(r"""@import|url\(""", outside_of_plotly(text))


# No window of a browser is as narrow as a phone: a frame in one is.
PHONE = """<iframe src="%s" width="360" height="740"></iframe><script>
addEventListener("load", () => setTimeout(() => {
  const page = document.querySelector("iframe").contentDocument, root = page.documentElement;
  const tick = page.querySelector("[data-plot] .xtick text");
  document.title = JSON.stringify([root.scrollWidth - root.clientWidth,
    page.querySelectorAll(".main-svg").length, tick.style.fill]);
}, 5000))</script>"""


def test_it_fits_a_dark_screen_of_a_phone(made: Dict[str, Any], tmp_path: Path) -> None:
    frame = tmp_path / "phone.html"
    frame.write_text(PHONE % (made["to"] / "index.html").as_uri())
    dark = "--blink-settings=preferredColorScheme=0"
    document, console = in_browser(frame, dark, "--allow-file-access-from-files")
    [said] = re.findall("<title>(.*?)</title>", document)
    beyond, drawn, colour = json.loads(said)
    assert not console and beyond == 0 and drawn >= 4
    assert colour == "rgb(227, 232, 238)"  # the plots' text is that of a dark page


def test_the_same_record_gives_the_same_bytes(trained: Results) -> None:
    record = dataclasses.replace(collection.collect(trained, {}), kit=Kit("0"))
    assert page.html(record) == page.html(record)


def test_text_of_anybody_is_text_in_the_page(
    trained: Results, blended: Results, tmp_path: Path, tiny_world: Path
) -> None:
    for name, results in (("trained", trained), ("blended", blended)):
        record = collection.collect(results, asked_of(results, tiny_world))
        spoilt = hostile(record)
        text = page.html(spoilt)
        assert "<img src=x" not in outside_of_plotly(text)
        assert text.count("</script>") == page.html(record).count("</script>")
        path = tmp_path / f"{name}.html"
        path.write_text(text)
        document, _ = in_browser(path)
        assert "<title>owned" not in document and "onerror" in document


def test_a_blend_of_parquets_has_a_page_without_curves(blended: Results, tmp_path: Path) -> None:
    run = report(blended, tmp_path / "report", {})
    document, console = in_browser(tmp_path / "report" / "index.html")
    assert not console and 'id="curves"' not in document
    shown = Tables(document)
    rows = {row[0]: row for row in shown.tables["table-scores"][1:]}
    reached = {each["name"]: each["all"] for each in run["scores"] if each["rows"] == "test"}
    assert rows["blend searched"][3] == f"{reached['blend searched']:.5f}"
    assert rows["blend v10"][-1] == "0.78856"
    assert rows["ridge regression"][3] == f"{reached['ridge regression']:.5f}"
    assert "There is none: it was not asked" in document


EMPTY = Record(
    "blend", "", Kit("0.1.0", made="2026-01-01T00:00:00+00:00"), (), (), (), (), PlanRecord(), ()
)


def test_a_record_of_nothing_still_has_a_page() -> None:
    text = page.html(EMPTY)
    assert "Blend of 0 networks" in text and "data-plot=" not in outside_of_plotly(text)


def test_remarks_stand_at_the_top_warnings_first() -> None:
    remarks = (Remark("warning", "mixed stacks", ("a", "b")), Remark("note", "bf16 costs"))
    text = outside_of_plotly(page.html(dataclasses.replace(EMPTY, remarks=remarks)))
    assert text.index("1 warning") < text.index("mixed stacks") < text.index("bf16 costs")
    assert text.index("bf16 costs") < text.index('id="scores"')


def test_kaggles_scores_have_columns_where_there_are_any(blended: Results) -> None:
    record = collection.collect(blended, {})
    assert ">difference<" not in page.html(record)
    score = Score("final_blend_searched", "private", 0.78123, None, "scores/x.json")
    scored = page.html(dataclasses.replace(record, scores=(*record.scores, score)))
    assert ">difference<" in scored and "0.78123" in scored
    assert "-0.00733" in scored  # to the 0.78856 that the team published


# ---- plots ---------------------------------------------------------------------------------------


def test_a_curve_of_a_single_point_has_room_around_it() -> None:
    one = Curve("a/1", None, "log", 9, (9,), (0.25,), ((1e-3,),), ())
    plot = curve_plots.curve([one])
    assert plot and plot["layout"]["yaxis"]["range"] == [0.125, 0.375]
    assert curve_plots.curve([dataclasses.replace(one, updates=(), losses=(), rates=())]) is None


def test_sessions_of_a_run_stand_side_by_side_without_the_weeks_between(
    trained: Results,
) -> None:
    steps = collection.collect(trained, {}).steps
    later = [
        dataclasses.replace(
            step,
            started=step.started.replace("20", "21", 1),
            finished=step.finished.replace("20", "21", 1),
            network="other/1",
        )
        for step in steps
    ]
    plot = timeline.timeline([*steps, *later])
    assert plot
    axes = [name for name in plot["layout"] if name.startswith("xaxis")]
    assert axes == ["xaxis", "xaxis2"]
    assert plot["layout"]["xaxis"]["domain"][1] < plot["layout"]["xaxis2"]["domain"][0]
    assert timeline.timeline([]) is None


def test_json_in_the_page_cannot_end_its_script() -> None:
    text = page.as_script({"a": "</script><!--&\u2028"})
    assert not set("<>&\u2028") & set(text) and json.loads(text)["a"] == "</script><!--&\u2028"
