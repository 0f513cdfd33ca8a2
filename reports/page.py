"""The page of a run: one HTML file that needs no other file and no network.

Every number is in a table or a list that is shown without JavaScript; Plotly, which the page
carries, draws the plots.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping

from blend import html_page
from leapkit.core.columns import GROUP_NAMES
from leapkit.core.files import write_text
from reports import curve_plots, facts, plots, recipes, summary
from reports.formats import FILTERS, span
from reports.record import Record, standings

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "page.html"


def write(record: Record, path: Path) -> None:
    """Write the page of a record."""
    write_text(path, html(record))


def html(record: Record) -> str:
    """Return the page. The same record gives the same bytes; every text in it is escaped."""
    drawn = plots.draw(record)
    return html_page.render(
        TEMPLATE,
        {**FILTERS, "plain": facts.plain},
        record=record,
        title=facts.title(record),
        when=span(record.started, record.finished),
        cards=summary.of_record(record),
        standings=standings(record.steps),
        networks=facts.networks(record),
        blends=facts.blends(record),
        baselines=facts.baselines(record),
        environments=facts.environments(record),
        recipes=recipes.of_record(record),
        receipts=facts.receipts(record),
        outside=facts.outside(record),
        unplanned=facts.not_begun(record),
        is_sample=facts.is_sample(record),
        has_kaggle=any(score.rows in ("public", "private") for score in record.scores),
        curves=plots.by_network(record.curves),
        groups=list(zip(GROUP_NAMES, curve_plots.OF_GROUPS, curve_plots.SYMBOLS)),
        plots=drawn,
        heights={name: plot["layout"]["height"] for name, plot in drawn.items()},
        plots_json=as_script(drawn),
        script=(HERE / "script.js").read_text(encoding="utf-8"),
    )


def as_script(value: Mapping[str, Any]) -> str:
    """Return JSON that no text in it can end: a page's script ends at the next </script>."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
