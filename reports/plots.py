"""The plots of a report as plain descriptions for Plotly; script.js draws them when they are seen.

What is a colour here is the name of a variable of style.css, so plots follow a dark screen.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from evaluation.drawing import text
from leapkit.core.columns import GROUP_NAMES
from reports.record import Curve, Network, Record
from reports.timeline import LINE, timeline

Plot = Dict[str, Any]
# Okabe and Ito's colours, that people who are colour-blind can tell apart; for groups of targets.
OF_GROUPS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8f7a00")


def draw(record: Record) -> Dict[str, Plot]:
    """Return {name: plot}; those that would be empty are left out."""
    plots: Dict[str, Optional[Plot]] = {
        "timeline": timeline(record.steps),
        "scores": scores(record.networks),
    }
    for name, curves in by_network(record.curves).items():
        plots[f"curve {name}"] = curve(curves)
    return {name: plot for name, plot in plots.items() if plot}


def by_network(curves: Sequence[Curve]) -> Dict[str, List[Curve]]:
    """Return {network: its curves, one for each group of targets}."""
    networks: Dict[str, List[Curve]] = {}
    for each in curves:
        networks.setdefault(each.network, []).append(each)
    return networks


def scores(networks: Sequence[Network]) -> Optional[Plot]:
    """Draw what networks reached beside what the team published; None if nothing was reached."""
    series = (
        ("validation, here", [n.validation for n in networks], "--blend", "circle-open"),
        ("withheld test rows, here", [n.test for n in networks], "--blend", "circle"),
        (
            "Kaggle private, reached",
            [n.kaggle.get("private") for n in networks],
            "--second",
            "star",
        ),
        ("published, their validation", _published(networks, "cv"), "--soft", "diamond-open"),
        ("published, Kaggle private", _published(networks, "private"), "--soft", "diamond"),
    )
    if not any(value is not None for _, values, _, _ in series[:3] for value in values):
        return None
    names = [text(network.name) for network in networks]
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": list(values),
            "y": names,
            "marker": {"color": colour, "symbol": symbol, "size": 9},
            "hovertemplate": f"%{{y}}: %{{x:.5f}}<extra>{name}</extra>",
        }
        for name, values, colour, symbol in series
        if any(value is not None for value in values)
    ]
    layout = {
        "height": 130 + LINE * len(names),
        "xaxis": {"title": {"text": "R2 over the 368 targets"}},
        "yaxis": {"categoryorder": "array", "categoryarray": names[::-1]},
        "showlegend": True,
    }
    return {"data": traces, "layout": layout}


def _published(networks: Sequence[Network], where: str) -> List[Optional[float]]:
    return [network.published.get(where) for network in networks]


def curve(curves: Sequence[Curve]) -> Optional[Plot]:
    """Draw losses and R2 of validation above, learning rates below; None if there is no point."""
    drawn = [each for each in curves if each.updates]
    if not drawn:
        return None
    traces: List[Plot] = []
    for each in drawn:
        name = "all targets" if each.group is None else GROUP_NAMES[each.group]
        colour = "--blend" if each.group is None else OF_GROUPS[each.group]
        traces.append(_line(each.updates, each.losses, colour, f"loss, {name}", "y"))
        evaluated = [point for point in each.evaluations if point.chosen is not None]
        if evaluated:
            marks = _line(
                [point.update for point in evaluated],
                [point.chosen for point in evaluated],
                "--second" if each.group is None else colour,
                f"R2, {name}",
                "y3",
            )
            marks["mode"] = "markers"
            marks["marker"] = {
                "color": marks["line"]["color"],
                "size": 7,
                "symbol": ["diamond" if p.is_best else "diamond-open" for p in evaluated],
            }
            traces.append(marks)
    # In lockstep all groups have the same rates.
    for number, rates in enumerate(zip(*drawn[0].rates)):
        line = _line(drawn[0].updates, rates, "--second", "learning rate", "y2")
        line["line"]["dash"] = ("solid", "dash", "dot", "dashdot")[number % 4]
        traces.append(line)
    highest = max(rate for each in drawn for rates in each.rates for rate in rates)
    scored = [
        point.chosen for each in drawn for point in each.evaluations if point.chosen is not None
    ]
    last = max(each.updates[-1] for each in drawn)
    layout: Mapping[str, Any] = {
        "height": 300,
        "xaxis": {
            **_axis("update", [-0.02 * last, 1.04 * last]),
            "anchor": "y2",
        },
        "yaxis": {
            **_axis("loss", _range([loss for each in drawn for loss in each.losses])),
            "domain": [0.4, 1.0],
        },
        "yaxis2": {
            **_axis("rate", [0.0, 1.2 * highest or 1.0]),
            "domain": [0.0, 0.26],
            "nticks": 3,
        },
        "yaxis3": {
            **_axis("R2", _range(scored)),
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "zeroline": False,
        },
    }
    return {"data": traces, "layout": layout}


def _axis(title: str, limits: Sequence[float]) -> Plot:
    return {
        "title": {"text": title, "standoff": 10 if title == "R2" else 4},
        "range": list(limits),
        "tickmode": "auto",
        "nticks": 5,
        "exponentformat": "power",
    }


def _range(values: Sequence[float]) -> List[float]:
    """Return limits with room around what may be a single value."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    return [low - room, high + room]


def _line(
    x: Sequence[int], y: Sequence[Optional[float]], colour: str, name: str, axis: str
) -> Plot:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(x) <= 20 else "lines",
        "x": list(x),
        "y": [None if value is None else float(f"{value:.6g}") for value in y],
        "yaxis": axis,
        "name": name,
        "line": {"color": colour, "width": 1.5},
        "marker": {"color": colour, "size": 5},
        "hovertemplate": f"update %{{x}}: %{{y:.5g}}<extra>{name}</extra>",
    }
