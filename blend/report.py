"""The page of a blend: one HTML file that needs no other file and no network.

Every number is in a table that is shown without JavaScript; the plots are drawn by Plotly, which
the page carries.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Optional

from blend import html_page, plots
from blend.payload import Report
from leapkit.core.columns import GROUP_NAMES
from leapkit.core.files import sha256_json

TEMPLATE = Path(__file__).resolve().parent / "page.html"
_MADE_BY = ("report.py", "plots.py", "figures.py", "comparison.py", "payload.py")


@functools.lru_cache(maxsize=None)
def version() -> str:
    """Return a hash that changes when the page does."""
    files = [TEMPLATE, *html_page.MADE_BY, *(TEMPLATE.with_name(name) for name in _MADE_BY)]
    return sha256_json([path.read_text(encoding="utf-8") for path in files])


def page(report: Report) -> str:
    """Return the page's HTML. The same figures give the same bytes."""
    return html_page.render(
        TEMPLATE,
        {"r2": _r2, "gain": _gain, "weight": _weight, "name": plots.short_name},
        report=report,
        v=report.validation,
        plots=plots.draw(report),
        groups=GROUP_NAMES,
    )


def _r2(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.5f}"


def _gain(value: Optional[float]) -> str:
    return "" if value is None else f"{value:+.6f}"


def _weight(value: float) -> str:
    return f"{value:.6f}"
