"""The plots of scores: variables, levels, months and regions, and the distribution of rain."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from blend.drawing import ARTIFACT, BLEND, SECOND, height_of
from evaluation.drawing import LEGEND_ABOVE, R2_SCALE, Plot, plot, text, titled
from leapkit.core.columns import LEVELS, TENDENCY_PROFILES

Figures = Mapping[str, Any]  # of a prediction, as evaluation.figures writes them
VARIABLES = 14
# What a reader of the field calls a profile.
PROFILES = {
    "ptend_t": "heating",
    "ptend_q0001": "moistening",
    "ptend_q0002": "cloud liquid",
    "ptend_q0003": "cloud ice",
    "ptend_u": "zonal wind",
    "ptend_v": "meridional wind",
}
_LONGEST = 32  # characters of a name at an axis


def short_name(variable: str) -> str:
    """Drop ptend_ and cam_out_ from the name of a variable."""
    return variable.replace("ptend_", "").replace("cam_out_", "")


def variables(shown: Figures, others: Sequence[Figures]) -> Plot:
    """Draw R2 of every variable: this prediction's mark, and a stroke for each of the others."""
    scores = shown["result"]["variables"]
    names = [short_name(name) for name in scores["names"]][::-1]
    values = scores["r2_clipped"][::-1]
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": values,
        "marker": {"color": "#f0d9cc"},
        "hoverinfo": "skip",
    }
    strokes = [
        {
            **_marks(other["name"], names, other["result"]["variables"]["r2_clipped"][::-1]),
            "marker": {
                "color": "#46525f",
                "size": 8,
                "symbol": "line-ns-open",
                "line": {"width": 1.5},
            },
            "opacity": 0.55,
        }
        for other in others
    ]
    mark = {
        **_marks(shown["name"], names, values),
        "marker": {"color": BLEND, "size": 11, "symbol": "diamond"},
    }
    axis = {**titled("R2 per column, mean"), "range": [0, 1.005]}
    return plot(height_of(len(names)), [bars, *strokes, mark], axis, {"showgrid": False})


def _marks(name: str, names: Sequence[str], values: Sequence[Any]) -> Plot:
    return {
        "type": "scatter",
        "mode": "markers",
        "y": names,
        "x": values,
        "hovertemplate": f"{text(name)}<br>%{{y}}: %{{x:.4f}}<extra></extra>",
    }


def levels(variable: str, shown: Figures, others: Sequence[Figures]) -> Plot:
    """Draw R2 over the levels of a profile, the model top above as in the atmosphere."""
    lines = [_level_line(variable, other, ARTIFACT, 1) for other in others]
    lines.append(_level_line(variable, shown, BLEND, 3))
    ticks = list(range(0, LEVELS, 10))
    y = {**titled("level (0: model top)"), "range": [LEVELS, -1], "tickvals": ticks}
    return plot(400, lines, {**titled("R2"), "range": [-0.02, 1.02]}, y)


def _level_line(variable: str, figures: Figures, colour: str, width: int) -> Plot:
    name = text(figures["name"])
    return {
        "type": "scatter",
        "mode": "lines",
        "x": of_levels(variable, figures["result"]["targets"]["r2_clipped"]),
        "y": list(range(LEVELS)),
        "line": {"color": colour, "width": width},
        "name": name,
        "hovertemplate": f"{name}<br>level %{{y}}: %{{x:.4f}}<extra></extra>",
    }


def of_levels(variable: str, values: Sequence[Any]) -> List[Any]:
    """Return the 60 values of a profile among those of the 368 targets."""
    start = LEVELS * [name for name, _ in TENDENCY_PROFILES].index(variable)
    return list(values[start : start + LEVELS])


def table_of_r2(
    rows: Sequence[str], variables: Sequence[str], scores: Sequence[Sequence[Optional[float]]]
) -> Plot:
    """Draw R2 of variables (across) in months or regions, or of predictions (down).

    scores  (rows, variables)
    """
    heat = {
        "type": "heatmap",
        "z": [[clipped(value) for value in line] for line in scores],
        "x": [short_name(name) for name in variables],
        "y": [text(_shortened(row)) for row in rows],
        "zmin": 0,
        "zmax": 1,
        "colorscale": R2_SCALE,
        "text": [[_two_digits(value) for value in line] for line in scores],
        "texttemplate": "%{text}",
        "hovertemplate": "%{y}, %{x}: %{text}<extra></extra>",
        "colorbar": {"title": {"text": "R2"}, "thickness": 10},
        "xgap": 1,
        "ygap": 1,
    }
    # Plotly takes 0008-01 for a date, if it may.
    names = {"type": "category", "showgrid": False}
    y = {**names, "autorange": "reversed"}
    return plot(110 + 26 * len(rows), [heat], {**names, "tickangle": -40}, y)


def rain(pdf: Mapping[str, Any]) -> Plot:
    """Draw how often it rains how hard, truth and prediction, both axes logarithmic."""
    edges = pdf["edges"]
    middles = [(low * high) ** 0.5 for low, high in zip(edges, edges[1:])]
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": middles,
            "y": [value or None for value in pdf[side]],
            "line": {"color": colour, "width": 2.5},
            "name": side,
            "hovertemplate": f"{side}<br>%{{x:.3g}} mm/day: %{{y:.3g}}<extra></extra>",
        }
        for side, colour in (("truth", SECOND), ("prediction", BLEND))
    ]
    log = {"type": "log", "dtick": 1, "exponentformat": "power"}
    x = {**titled("precipitation, mm/day"), **log, "range": [-3, 2.7]}
    y = {**titled("share of area and time per mm/day"), **log}
    return plot(360, lines, x, y, margin={"t": 40}, **LEGEND_ABOVE)


def clipped(value: Optional[float]) -> Optional[float]:
    """Return an R2, at least 0: one below would take all colours."""
    return None if value is None else max(value, 0.0)


def _two_digits(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.2f}" if value > 0 else "≤ 0"


def _shortened(name: str) -> str:
    """Return a name that leaves room for the plot: a table beside it has the whole one."""
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def with_months(regions: Sequence[Mapping[str, Any]], region: str) -> Dict[str, Any]:
    """Return {month: scores} of a region, without all months together."""
    return {each["month"]: each for each in regions if each["region"] == region and each["month"]}
