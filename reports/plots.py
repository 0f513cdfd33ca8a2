"""The plots of a report as plain descriptions for Plotly; script.js draws them when they are seen.

What is a colour here is the name of a variable of style.css, so plots follow a dark screen.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from evaluation.drawing import text
from reports import curve_plots, facts
from reports.facts import BlendLine
from reports.record import Curve, Network, Record
from reports.timeline import LINE, timeline

Plot = Dict[str, Any]
# (what is drawn, what it is called, the variable of its colour, its mark)
SERIES = (
    ("validation", "validation, here", "--blend", "circle-open"),
    ("test", "withheld test rows, here", "--blend", "circle"),
    ("private", "Kaggle private, reached", "--second", "star"),
    ("their cv", "published, their validation", "--soft", "diamond-open"),
    ("their private", "published, Kaggle private", "--soft", "diamond"),
)


def draw(record: Record) -> Dict[str, Plot]:
    """Return {name: plot}; those that would be empty are left out."""
    plots: Dict[str, Optional[Plot]] = {
        "timeline": timeline(record.steps),
        "scores": scores(facts.blends(record), record.networks),
    }
    for name, curves in by_network(record.curves).items():
        plots[f"curve {name}"] = curve_plots.curve(curves)
    return {name: plot for name, plot in plots.items() if plot}


def by_network(curves: Sequence[Curve]) -> Dict[str, List[Curve]]:
    """Return {network: its curves, one for each group of targets}."""
    networks: Dict[str, List[Curve]] = {}
    for each in curves:
        networks.setdefault(each.network, []).append(each)
    return networks


def scores(blends: Sequence[BlendLine], networks: Sequence[Network]) -> Optional[Plot]:
    """Draw what blends and networks reached beside what the team published of them.

    None if nothing was reached.
    """
    lines = [*map(_of_blend, blends), *map(_of_network, networks)]
    if not any(
        line[rows] is not None for line in lines for rows in ("validation", "test", "private")
    ):
        return None
    names = [text(line["name"]) for line in lines]
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [line[rows] for line in lines],
            "y": names,
            "marker": {"color": colour, "symbol": symbol, "size": 9},
            "hovertemplate": f"%{{y}}: %{{x:.5f}}<extra>{name}</extra>",
        }
        for rows, name, colour, symbol in SERIES
        if any(line[rows] is not None for line in lines)
    ]
    layout = {
        "height": 130 + LINE * len(names),
        "xaxis": {"title": {"text": "R2 over the 368 targets"}},
        "yaxis": {
            "categoryorder": "array",
            "categoryarray": names[::-1],
            "range": [-0.8, len(names) - 0.2],
        },
        "showlegend": True,
    }
    return {"data": traces, "layout": layout}


def _of_network(network: Network) -> Plot:
    return {
        "name": network.name,
        "validation": network.validation,
        "test": network.test,
        "private": network.kaggle.get("private"),
        "their cv": network.published.get("cv"),
        "their private": network.published.get("private"),
    }


def _of_blend(blend: BlendLine) -> Plot:
    return {
        "name": f"blend {blend.title}",
        "validation": None,
        "test": blend.test.all if blend.test else None,
        "private": blend.private.all if blend.private else None,
        "their cv": blend.published.get("cv"),
        "their private": blend.published.get("private"),
    }
