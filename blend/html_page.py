"""The frame of every page: one HTML file that needs no other file and no network.

`frame.html` holds its head, its style and Plotly, which draws the plots; a page fills its body.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Mapping

import jinja2
import plotly.offline

FRAME = Path(__file__).resolve().parent / "frame.html"
# What changes every page.
MADE_BY = (FRAME, Path(__file__).resolve(), FRAME.with_name("drawing.py"))


def render(template: Path, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """Return the HTML of a template that extends the frame. Every value in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([str(template.parent), str(FRAME.parent)]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    page = environment.get_template(template.name)
    return page.render(plotly=plotly.offline.get_plotlyjs(), **values)
