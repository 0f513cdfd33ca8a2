"""Plots as plain descriptions for Plotly, and the HTML of one.

Plotly's own classes check and copy every number: they take ten times as long as all the rest of a
page, and repeat a template of 7 kB in each of its thirty plots.
"""

from __future__ import annotations

import base64
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import plotly.io

from blend.drawing import BLEND, SECOND

Plot = Dict[str, Any]


def scale(colours: str) -> List[List[Any]]:
    """Return a scale of colours at equal distances."""
    names = colours.split()
    return [[k / (len(names) - 1), name] for k, name in enumerate(names)]


# Cynthia Brewer's: R2 from nothing to the truth, and means from little to much. Plotly has scales
# of the same names, whose order is the other one.
R2_SCALE = scale("#f7fbff #deebf7 #c6dbef #9ecae1 #6baed6 #4292c6 #2171b5 #08519c #08306b")
MEAN_SCALE = scale("#ffffd9 #edf8b1 #c7e9b4 #7fcdbb #41b6c4 #1d91c0 #225ea8 #253494 #081d58")
DIVERGING = [[0.0, SECOND], [0.5, "#ffffff"], [1.0, BLEND]]
_AXIS = {"automargin": True, "ticks": "", "gridcolor": "#ebf0f8", "zerolinecolor": "#ebf0f8"}
LEGEND_ABOVE = {
    "showlegend": True,
    "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
}


def plot(
    height: int,
    traces: Sequence[Plot],
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    **layout: Any,
) -> Plot:
    """Return a plot of that many pixels of height.

    x, y    what the axes have beside their common style
    layout  what the plot has beside its own: legend, margin
    """
    margin = {"l": 10, "r": 20, "t": 10, "b": 40, **layout.pop("margin", {})}
    style = {
        "height": height,
        "margin": margin,
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1d2733"},
        "colorway": [BLEND],
        "plot_bgcolor": "#fff",
        "paper_bgcolor": "#fff",
        "showlegend": False,
        "hoverlabel": {"align": "left"},
    }
    axes = {"xaxis": {**_AXIS, **x}, "yaxis": {**_AXIS, **y}}
    return {"data": list(traces), "layout": {**style, **axes, **layout}}


def titled(text: str) -> Dict[str, Any]:
    """Return the title of an axis."""
    return {"title": {"text": text}}


def packed(values: np.ndarray) -> Dict[str, str]:
    """Return numbers as Plotly reads them fastest: float32, in base64."""
    data = base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode("ascii")
    shape = ", ".join(map(str, values.shape))
    return {"dtype": "f4", "bdata": data, "shape": shape}


def text(name: str) -> str:
    """Return a name as Plotly shows it: it obeys some of HTML."""
    return name.replace("&", "&amp;").replace("<", "&lt;")


def html(name: str, described: Plot) -> str:
    """Return one plot as a <div> and its script; Plotly escapes what could end the script."""
    return str(
        plotly.io.to_html(
            described,
            include_plotlyjs=False,
            full_html=False,
            div_id="plot-" + name,
            config={"displaylogo": False, "responsive": True, "displayModeBar": False},
            validate=False,
        )
    )
