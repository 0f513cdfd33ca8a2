"""The curves of a network as a plot: losses, R2 of validation, learning rates over the updates."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional, Sequence

from leapkit.core.columns import GROUP_NAMES
from reports.record import Curve

Plot = Dict[str, Any]
# Okabe and Ito's colours, that people who are colour-blind can tell apart, for groups of targets:
# their black is that of the text. Their yellow is not seen on white, and a darker one is their red.
OF_GROUPS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "--ink")
# The marks of the groups, for Plotly and as text: a colour alone tells nothing on a grey print.
SYMBOLS = (
    *(("circle", "●"), ("square", "■"), ("diamond", "◆"), ("triangle-up", "▲")),
    *(("triangle-down", "▼"), ("triangle-left", "◀"), ("star", "★")),
)
LARGEST = 1e100  # of a number that is drawn: a log may be anybody's


def curve(curves: Sequence[Curve]) -> Optional[Plot]:
    """Draw losses, R2 of validation and learning rates, one above the other, over the updates.

    None if there is no point.
    """
    drawn = [each for each in curves if each.updates]
    if not drawn:
        return None
    marks = [each for each in map(_marks, drawn) if each]
    last = max(each.updates[-1] for each in drawn)
    rates = [rate for each in drawn for point in each.rates for rate in point]
    layout = {
        "height": 380,
        "xaxis": {**_axis("update", [-0.02 * last, 1.04 * last]), "anchor": "y3"},
        "yaxis": {**_axis("loss", _range([y for each in drawn for y in each.losses])), **_part(0)},
        "yaxis2": {**_axis("R2", _range([y for each in marks for y in each["y"]])), **_part(1)},
        "yaxis3": {**_axis("rate", [0.0, 1.2 * max(rates, default=0.0) or 1.0]), **_part(2)},
    }
    return {"data": [*map(_losses, drawn), *marks, *_rates(drawn[0])], "layout": layout}


def _name(curve: Curve) -> str:
    return "all targets" if curve.group is None else GROUP_NAMES[curve.group]


def _losses(curve: Curve) -> Plot:
    colour = "--blend" if curve.group is None else OF_GROUPS[curve.group]
    line = _line(curve.updates, curve.losses, colour, f"loss, {_name(curve)}", "y")
    line["marker"]["symbol"] = SYMBOLS[curve.group or 0][0]
    return line


def _marks(curve: Curve) -> Optional[Plot]:
    """Return the evaluations of a training, filled if they were the best so far."""
    evaluated = [point for point in curve.evaluations if point.chosen is not None]
    if not evaluated:
        return None
    colour = "--second" if curve.group is None else OF_GROUPS[curve.group]
    symbol = SYMBOLS[curve.group or 0][0]
    updates = [point.update for point in evaluated]
    marks = _line(
        updates, [point.chosen for point in evaluated], colour, f"R2, {_name(curve)}", "y2"
    )
    marks["marker"] = {
        "color": colour,
        "size": 7,
        "symbol": [symbol if point.is_best else f"{symbol}-open" for point in evaluated],
    }
    return {**marks, "mode": "lines+markers", "line": {"color": colour, "width": 0.75}}


def _rates(curve: Curve) -> Iterator[Plot]:
    """Yield the learning rate of each group of parameters; in lockstep all groups have the same."""
    for number, rates in enumerate(zip(*curve.rates)):
        line = _line(curve.updates, rates, "--second", "learning rate", "y3")
        line["line"]["dash"] = ("solid", "dash", "dot", "dashdot")[number % 4]
        yield line


def _part(number: int) -> Plot:
    """Return where an axis lies, from the top: losses, R2, learning rates."""
    return {"domain": ([0.54, 1.0], [0.24, 0.46], [0.0, 0.16])[number], "nticks": (5, 4, 3)[number]}


def _axis(title: str, limits: Sequence[float]) -> Plot:
    return {
        "title": {"text": title, "standoff": 4},
        "range": list(limits),
        "tickmode": "auto",
        "nticks": 5,
        "exponentformat": "power",
    }


def _range(values: Sequence[float]) -> List[float]:
    """Return limits with room around what may be a single value."""
    low = max(min(values, default=0.0), -LARGEST)
    high = min(max(values, default=1.0), LARGEST)
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
