"""The plots of scores: variables, levels, months and regions, and the distribution of rain."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

import plotly.graph_objects as go

from blend.drawing import ARTIFACT, BLEND, LEGEND_ABOVE, SECOND, figure_of, height_of
from leapkit.core.columns import LEVELS, TENDENCY_PROFILES

Figures = Mapping[str, Any]  # of a prediction, as evaluation.figures writes them
# From nothing to the truth.
R2_SCALE = "Blues"
_LONGEST = 32  # characters of a name at an axis
# What a reader of the field calls a profile.
PROFILES = {
    "ptend_t": "heating",
    "ptend_q0001": "moistening",
    "ptend_q0002": "cloud liquid",
    "ptend_q0003": "cloud ice",
    "ptend_u": "zonal wind",
    "ptend_v": "meridional wind",
}


def short_name(variable: str) -> str:
    """Drop ptend_ and cam_out_ from the name of a variable."""
    return variable.replace("ptend_", "").replace("cam_out_", "")


def variables(shown: Figures, others: Sequence[Figures]) -> go.Figure:
    """Draw R2 of every variable: this prediction's mark, and a stroke for each of the others."""
    scores = shown["result"]["variables"]
    names = [short_name(name) for name in scores["names"]][::-1]
    bars = go.Bar(
        y=names,
        x=scores["r2_clipped"][::-1],
        orientation="h",
        marker_color="#f0d9cc",
        hoverinfo="skip",
    )
    mark = go.Scatter(
        y=names,
        x=scores["r2_clipped"][::-1],
        mode="markers",
        marker={"color": BLEND, "size": 11, "symbol": "diamond"},
        hovertemplate=f"{_text(shown['name'])}<br>%{{y}}: %{{x:.4f}}<extra></extra>",
    )
    marks = [
        go.Scatter(
            y=names,
            x=other["result"]["variables"]["r2_clipped"][::-1],
            mode="markers",
            marker={"color": "#46525f", "size": 7, "symbol": "line-ns-open", "line_width": 1.5},
            opacity=0.55,
            hovertemplate=f"{_text(other['name'])}<br>%{{y}}: %{{x:.4f}}<extra></extra>",
        )
        for other in others
    ]
    figure = figure_of(
        height_of(len(names)), [bars, *marks, mark], xaxis_title="R2 per column, mean"
    )
    return figure.update_xaxes(range=[0, 1.005])


def levels(variable: str, shown: Figures, others: Sequence[Figures]) -> go.Figure:
    """Draw R2 over the levels of a profile, the model top above as in the atmosphere."""
    traces = [_level_line(variable, other, ARTIFACT, 1) for other in others]
    traces.append(_level_line(variable, shown, BLEND, 3))
    figure = figure_of(400, traces, xaxis_title="R2", yaxis_title="level (0: model top)")
    figure.update_xaxes(range=[-0.02, 1.02])
    return figure.update_yaxes(range=[LEVELS, -1], tickvals=list(range(0, LEVELS, 10)))


def _level_line(variable: str, figures: Figures, colour: str, width: int) -> go.Scatter:
    name = _text(figures["name"])
    return go.Scatter(
        x=of_levels(variable, figures["result"]["targets"]["r2_clipped"]),
        y=list(range(LEVELS)),
        mode="lines",
        line={"color": colour, "width": width},
        name=name,
        hovertemplate=f"{name}<br>level %{{y}}: %{{x:.4f}}<extra></extra>",
    )


def of_levels(variable: str, values: Sequence[Any]) -> List[Any]:
    """Return the 60 values of a profile among those of the 368 targets."""
    start = LEVELS * [name for name, _ in TENDENCY_PROFILES].index(variable)
    return list(values[start : start + LEVELS])


def table_of_r2(rows: Sequence[str], scores: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw R2 of variables (across) in months or regions, or of predictions (down).

    scores  each with `variables` and `r2`
    """
    names = [short_name(name) for name in scores[0]["variables"][:14]]
    values = [each["r2"][:14] for each in scores]
    heat = go.Heatmap(
        z=[[clipped(value) for value in line] for line in values],
        x=names,
        y=[_text(_shortened(row)) for row in rows],
        zmin=0,
        zmax=1,
        colorscale=R2_SCALE,
        text=[[_two_digits(value) for value in line] for line in values],
        texttemplate="%{text}",
        hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
        colorbar={"title": "R2", "thickness": 12},
        xgap=1,
        ygap=1,
    )
    figure = figure_of(110 + 26 * len(rows), [heat])
    return figure.update_yaxes(autorange="reversed").update_xaxes(tickangle=-40, side="bottom")


def rain(pdfs: Mapping[str, Mapping[str, Any]], region: str) -> go.Figure:
    """Draw how often it rains how hard, truth and prediction, both axes logarithmic."""
    pdf = pdfs[region]
    edges = pdf["edges"]
    middles = [(low * high) ** 0.5 for low, high in zip(edges, edges[1:])]
    traces = [
        go.Scatter(
            x=middles,
            y=[value or None for value in pdf[side]],
            mode="lines",
            line={"color": colour, "width": width},
            name=side,
            hovertemplate=f"{side}<br>%{{x:.3g}} mm/day: %{{y:.3g}}<extra></extra>",
        )
        for side, colour, width in (("truth", SECOND, 2), ("prediction", BLEND, 2.5))
    ]
    figure = figure_of(
        360,
        traces,
        xaxis_title="precipitation, mm/day",
        yaxis_title="share of area and time per mm/day",
    )
    figure.update_layout(**LEGEND_ABOVE)
    figure.update_xaxes(type="log", dtick=1, exponentformat="power", range=[-3, 2.7])
    return figure.update_yaxes(type="log", dtick=1, exponentformat="power")


def clipped(value: Optional[float]) -> Optional[float]:
    """Return an R2, at least 0: one below would take all colours."""
    return None if value is None else max(value, 0.0)


def _two_digits(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.2f}" if value > 0 else "≤ 0"


def _shortened(name: str) -> str:
    """Return a name that leaves room for the plot: a table beside it has the whole one."""
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _text(name: str) -> str:
    """Return a name as Plotly shows it: it obeys some of HTML."""
    return name.replace("&", "&amp;").replace("<", "&lt;")


def with_months(regions: Sequence[Mapping[str, Any]], region: str) -> Dict[str, Any]:
    """Return {month: scores} of a region, without all months together."""
    return {each["month"]: each for each in regions if each["region"] == region and each["month"]}
