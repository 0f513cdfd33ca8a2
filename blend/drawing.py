"""What all plots of a page have in common: colours, frame, and the HTML of one."""

from __future__ import annotations

from typing import Any, Sequence

import plotly.graph_objects as go
import plotly.io

# Colours of what a page is about, of what stands beside it, of a second series, of a gain and of a
# loss.
BLEND = "#b3420a"
ARTIFACT = "#9aa5b1"
SECOND = "#1f5f99"
WIN = "#2e7d5b"
LOSE = "#b3261e"
LEGEND_ABOVE = {
    "showlegend": True,
    "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
    "margin_t": 40,
}


def html(name: str, figure: go.Figure) -> str:
    """Return one plot as a <div> and its script; Plotly escapes what could end the script."""
    return str(
        plotly.io.to_html(
            figure,
            include_plotlyjs=False,
            full_html=False,
            div_id="plot-" + name,
            config={"displaylogo": False, "responsive": True, "displayModeBar": False},
        )
    )


def figure_of(height: int, traces: Sequence[Any], **layout: Any) -> go.Figure:
    """Return a figure of that many pixels of height, without a legend."""
    figure = go.Figure(list(traces))
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 10, "r": 20, "t": 10, "b": 40},
        font={"family": "system-ui, sans-serif", "size": 12},
        showlegend=False,
        **layout,
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def height_of(lines: int) -> int:
    """Return the height in pixels of a plot with a line for each name."""
    return 80 + 24 * lines
