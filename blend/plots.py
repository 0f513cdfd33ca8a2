"""The plots of a blend's page, drawn by Plotly."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

import plotly.graph_objects as go

from blend.drawing import (
    ARTIFACT,
    BLEND,
    LEGEND_ABOVE,
    LOSE,
    SECOND,
    WIN,
    figure_of,
    height_of,
    html,
)
from blend.payload import Loss, Quality, Report, ValidationFigures, VariableLevels
from leapkit.core.columns import GROUP_NAMES, LEVELS

_DIVERGING = [[0.0, SECOND], [0.5, "#ffffff"], [1.0, BLEND]]


def draw(report: Report) -> Dict[str, str]:
    """Return {name: HTML} of all plots."""
    figures = {"weights": _weights(report)}
    validation = report.validation
    if validation:
        figures["forms"] = _forms(validation)
        figures["adds"] = _adds(validation)
        figures["correlation"] = _correlation(validation)
        figures["groups"] = _groups(validation)
        for levels in validation.levels:
            figures[f"levels-{levels.variable}"] = _levels(levels, validation.artifacts)
            figures[f"margin-{levels.variable}"] = _margin(levels, validation.artifacts)
        if validation.path:
            figures["path"] = _path(validation)
    return {name: html(name, figure) for name, figure in figures.items()}


def short_name(name: str) -> str:
    """Drop ptend_ from the name of a group or target."""
    return name.replace("ptend_", "")


def _weights(report: Report) -> go.Figure:
    names = report.artifacts[::-1]
    weights = report.weights[::-1]
    if len(report.fields) == 1:
        values = [row[0] for row in weights]
        bars = go.Bar(
            y=names,
            x=values,
            orientation="h",
            marker_color=[BLEND if value >= 0 else SECOND for value in values],
            hovertemplate="%{y}: %{x:.6f}<extra></extra>",
        )
        return figure_of(height_of(len(names)), [bars], xaxis_title="weight")
    largest = max(abs(value) for row in weights for value in row)
    heat = go.Heatmap(
        z=weights,
        x=report.fields,
        y=names,
        colorscale=_DIVERGING,
        zmin=-largest,
        zmax=largest,
        hovertemplate="%{y}<br>%{x}: %{z:.4f}<extra></extra>",
        colorbar_title="weight",
    )
    return figure_of(height_of(len(names)) + 60, [heat])


def _forms(validation: ValidationFigures) -> go.Figure:
    scores = validation.forms[::-1]
    names = [score.name for score in scores]
    series: List[Tuple[str, List[Optional[Quality]], str, str]] = [
        ("in sample", [score.in_sample for score in scores], ARTIFACT, "circle-open"),
        ("held-out months", [score.held_out for score in scores], BLEND, "circle"),
        ("withheld test rows", [score.test for score in scores], SECOND, "diamond"),
    ]
    traces = [
        go.Scatter(
            y=names,
            x=[quality.predicted if quality else None for quality in qualities],
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 10},
            hovertemplate=f"%{{y}}, {name}: %{{x:.5f}}<extra></extra>",
        )
        for name, qualities, colour, symbol in series
        if any(qualities)
    ]
    figure = figure_of(
        height_of(len(names)) + 40, traces, xaxis_title="mean R2 over the 292 predicted targets"
    )
    return figure.update_layout(**LEGEND_ABOVE)


def _adds(validation: ValidationFigures) -> go.Figure:
    losses = validation.leave_one_out
    order = _smallest_first(losses)
    names = [validation.artifacts[k] for k in order]
    series = [
        ("in sample", [losses[k].in_sample for k in order], ARTIFACT),
        ("held-out months", [losses[k].held_out for k in order], BLEND),
    ]
    traces = [
        go.Bar(
            y=names,
            x=values,
            orientation="h",
            name=name,
            marker_color=colour,
            hovertemplate=f"%{{y}}, {name}: %{{x:+.6f}}<extra></extra>",
        )
        for name, values, colour in series
        if any(value is not None for value in values)
    ]
    figure = figure_of(
        height_of(len(names)) + 40,
        traces,
        xaxis_title="loss of R2 over 368 targets without it",
        barmode="group",
    )
    return figure.update_layout(**LEGEND_ABOVE)


def _smallest_first(losses: List[Loss]) -> List[int]:
    """Order artifacts by their losses, the largest last, which is on top of a plot."""
    return sorted(
        range(len(losses)), key=lambda k: losses[k].held_out or losses[k].in_sample or 0.0
    )


def _correlation(validation: ValidationFigures) -> go.Figure:
    names = validation.artifacts
    heat = go.Heatmap(
        z=validation.correlation,
        x=names,
        y=names,
        zmax=1,
        colorscale="Cividis",
        hovertemplate="%{y}<br>%{x}: %{z:.3f}<extra></extra>",
        texttemplate="%{z:.2f}",
        colorbar_title="r",
    )
    figure = figure_of(260 + 26 * len(names), [heat])
    return figure.update_yaxes(autorange="reversed").update_xaxes(tickangle=-40)


def _groups(validation: ValidationFigures) -> go.Figure:
    names = [short_name(name) for name in GROUP_NAMES]
    traces = [
        go.Scatter(
            x=names,
            y=sides.validation.groups,
            mode="markers",
            name=artifact,
            marker={"color": ARTIFACT, "size": 9, "opacity": 0.7},
            hovertemplate=artifact + ", %{x}: %{y:.5f}<extra></extra>",
        )
        for artifact, sides in zip(validation.artifacts, validation.alone)
    ]
    traces.append(
        go.Scatter(
            x=names,
            y=validation.blend.validation.groups,
            mode="markers",
            name="blend",
            marker={"color": BLEND, "size": 12, "symbol": "diamond"},
            hovertemplate="blend, %{x}: %{y:.5f}<extra></extra>",
        )
    )
    return figure_of(360, traces, yaxis_title="R2 of all targets of the group")


def _levels(levels: VariableLevels, artifacts: Sequence[str]) -> go.Figure:
    """Draw R2 over the levels, the model top above as in the atmosphere."""
    traces = [
        go.Scatter(
            x=r2,
            y=levels.levels,
            mode="lines",
            name=artifact,
            line={"color": ARTIFACT, "width": 1},
            hovertemplate=artifact + "<br>level %{y}: %{x:.4f}<extra></extra>",
        )
        for artifact, r2 in zip(artifacts, levels.artifacts)
    ]
    traces.append(
        go.Scatter(
            x=levels.blend,
            y=levels.levels,
            mode="lines",
            name="blend",
            line={"color": BLEND, "width": 3},
            hovertemplate="blend<br>level %{y}: %{x:.4f}<extra></extra>",
        )
    )
    figure = figure_of(420, traces, xaxis_title="R2", yaxis_title="level (0: model top)")
    return _with_model_top_above(figure)


def _margin(levels: VariableLevels, artifacts: Sequence[str]) -> go.Figure:
    """Draw the blend's R2 less that of the best artifact at the level."""
    bars = go.Bar(
        y=levels.levels,
        x=levels.margin,
        orientation="h",
        customdata=[artifacts[k] for k in levels.best],
        marker_color=[WIN if value >= 0 else LOSE for value in levels.margin],
        hovertemplate="level %{y}: %{x:+.5f}<br>against %{customdata}<extra></extra>",
    )
    figure = figure_of(420, [bars], xaxis_title="R2, blend less best artifact", bargap=0.1)
    return _with_model_top_above(figure)


def _with_model_top_above(figure: go.Figure) -> go.Figure:
    return figure.update_yaxes(range=[LEVELS, -1], tickvals=list(range(0, LEVELS, 10)))


def _path(validation: ValidationFigures) -> go.Figure:
    path = validation.path
    line = go.Scatter(
        x=list(range(1, len(path) + 1)),
        y=[r2 for _, _, r2 in path],
        mode="lines+markers",
        line={"color": BLEND},
        customdata=[[name, step] for name, step, _ in path],
        hovertemplate="%{customdata[0]}, step %{customdata[1]:.2f}<br>R2 %{y:.6f}<extra></extra>",
    )
    figure = figure_of(
        320, [line], xaxis_title="artifacts in the blend", yaxis_title="R2 over 368 targets"
    )
    return figure.update_xaxes(dtick=1)
