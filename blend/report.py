"""The blend's page: its figures (blend.figures) as one HTML file that needs nothing beside it and no network.

Every number stands in a table that is there without JavaScript; the plots are drawn by Plotly, which the page carries.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Dict, List, Sequence

import jinja2
import plotly.graph_objects as go
import plotly.io
import plotly.offline

from leapkit.core.columns import GROUP_NAMES, LEVELS
from leapkit.core.files import sha256_json

TEMPLATE = Path(__file__).resolve().parent / "page.html"
BLEND, ARTIFACT, SECOND, WIN, LOSE = "#b3420a", "#9aa5b1", "#1f5f99", "#2e7d5b", "#b3261e"
_DIVERGING = [[0.0, SECOND], [0.5, "#ffffff"], [1.0, BLEND]]
Numbers = Dict[str, Any]


@functools.lru_cache(maxsize=None)
def version() -> str:
    """Changes when the page does."""
    made_by = (TEMPLATE, Path(__file__), Path(__file__).with_name("figures.py"))
    return sha256_json([path.read_text(encoding="utf-8") for path in made_by])


def page(figures: Numbers) -> str:
    """The page's HTML. The same figures give the same bytes."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        r2=lambda value: "" if value is None else f"{value:.5f}",
        gain=lambda value: "" if value is None else f"{value:+.6f}",
        weight=lambda value: f"{value:.6f}",
        name=lambda name: name.replace("ptend_", ""),
    )
    found = figures.get("validation")
    plots = {"weights": _weights(figures)}
    if found:
        plots.update(
            forms=_forms(found),
            adds=_adds(found),
            correlation=_correlation(found),
            groups=_groups(found),
        )
        plots.update(
            ("levels-" + each["variable"], _level(each, found["artifacts"]))
            for each in found["levels"]
        )
        plots.update(
            ("margin-" + each["variable"], _margin(each, found["artifacts"]))
            for each in found["levels"]
        )
        if found["path"]:
            plots["path"] = _path(found)
    drawn = {name: _html(name, plot) for name, plot in plots.items()}
    script = plotly.offline.get_plotlyjs()
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(f=figures, v=found, plots=drawn, plotly=script, groups=GROUP_NAMES)


def _html(name: str, plot: go.Figure) -> str:
    """One plot as a <div> and its script; Plotly escapes what could end the script."""
    return str(
        plotly.io.to_html(
            plot,
            include_plotlyjs=False,
            full_html=False,
            div_id="plot-" + name,
            config={"displaylogo": False, "responsive": True, "displayModeBar": False},
        )
    )


def _plot(height: int, traces: Sequence[Any], **layout: Any) -> go.Figure:
    found = go.Figure(list(traces))
    found.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 10, "r": 20, "t": 10, "b": 40},
        font={"family": "system-ui, sans-serif", "size": 12},
        showlegend=False,
        **layout,
    )
    found.update_xaxes(automargin=True)
    found.update_yaxes(automargin=True)
    return found


def _rows(count: int) -> int:
    """The height of a plot with so many lines."""
    return 80 + 24 * count


def _weights(figures: Numbers) -> go.Figure:
    names, weights = figures["artifacts"][::-1], figures["weights"][::-1]
    if len(figures["columns"]) == 1:
        values = [row[0] for row in weights]
        bars = go.Bar(
            y=names,
            x=values,
            orientation="h",
            marker_color=[BLEND if v >= 0 else SECOND for v in values],
            hovertemplate="%{y}: %{x:.6f}<extra></extra>",
        )
        return _plot(_rows(len(names)), [bars], xaxis_title="weight")
    most = max(abs(value) for row in weights for value in row)
    heat = go.Heatmap(
        z=weights,
        x=figures["columns"],
        y=names,
        colorscale=_DIVERGING,
        zmin=-most,
        zmax=most,
        hovertemplate="%{y}<br>%{x}: %{z:.4f}<extra></extra>",
        colorbar_title="weight",
    )
    return _plot(_rows(len(names)) + 60, [heat])


def _forms(found: Numbers) -> go.Figure:
    rows = found["forms"][::-1]
    names = [row["name"] for row in rows]
    traces = []
    for side, colour, symbol in (
        ("in fold", ARTIFACT, "circle-open"),
        ("out of fold", BLEND, "circle"),
        ("test", SECOND, "diamond"),
    ):
        values = [row[side] and row[side]["predicted"] for row in rows]
        if any(value is not None for value in values):
            traces.append(
                go.Scatter(
                    y=names,
                    x=values,
                    mode="markers",
                    name=side,
                    marker={"color": colour, "symbol": symbol, "size": 10},
                    hovertemplate="%{y}, " + side + ": %{x:.5f}<extra></extra>",
                )
            )
    plot = _plot(
        _rows(len(names)) + 40, traces, xaxis_title="mean R2 over the 292 predicted columns"
    )
    return plot.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"}, margin_t=40
    )


def _adds(found: Numbers) -> go.Figure:
    order = _by(found["leave one out"])
    names = [found["artifacts"][k] for k in order]
    traces = []
    for side, colour in (("in fold", ARTIFACT), ("out of fold", BLEND)):
        values = [found["leave one out"][k][side] for k in order]
        if any(value is not None for value in values):
            traces.append(
                go.Bar(
                    y=names,
                    x=values,
                    orientation="h",
                    name=side,
                    marker_color=colour,
                    hovertemplate="%{y}, " + side + ": %{x:+.6f}<extra></extra>",
                )
            )
    plot = _plot(
        _rows(len(names)) + 40,
        traces,
        xaxis_title="R2 over 368 columns lost without it",
        barmode="group",
    )
    return plot.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"}, margin_t=40
    )


def _by(losses: List[Numbers]) -> List[int]:
    """Artifacts by what is lost without them, the largest loss last (on top of a plot)."""
    return sorted(
        range(len(losses)), key=lambda k: losses[k]["out of fold"] or losses[k]["in fold"] or 0.0
    )


def _correlation(found: Numbers) -> go.Figure:
    names = found["artifacts"]
    heat = go.Heatmap(
        z=found["correlation"],
        x=names,
        y=names,
        zmax=1,
        colorscale="Cividis",
        hovertemplate="%{y}<br>%{x}: %{z:.3f}<extra></extra>",
        texttemplate="%{z:.2f}",
        colorbar_title="r",
    )
    return (
        _plot(260 + 26 * len(names), [heat])
        .update_yaxes(autorange="reversed")
        .update_xaxes(tickangle=-40)
    )


def _groups(found: Numbers) -> go.Figure:
    names = [name.replace("ptend_", "") for name in GROUP_NAMES]
    traces = [
        go.Scatter(
            x=names,
            y=side["validation"]["groups"],
            mode="markers",
            name=artifact,
            marker={"color": ARTIFACT, "size": 9, "opacity": 0.7},
            hovertemplate=artifact + ", %{x}: %{y:.5f}<extra></extra>",
        )
        for artifact, side in zip(found["artifacts"], found["alone"])
    ]
    traces.append(
        go.Scatter(
            x=names,
            y=found["blend"]["validation"]["groups"],
            mode="markers",
            name="blend",
            marker={"color": BLEND, "size": 12, "symbol": "diamond"},
            hovertemplate="blend, %{x}: %{y:.5f}<extra></extra>",
        )
    )
    return _plot(360, traces, yaxis_title="R2 of all columns of the group")


def _level(each: Numbers, artifacts: Sequence[str]) -> go.Figure:
    """R2 over the levels, the model top above as in the atmosphere."""
    traces = [
        go.Scatter(
            x=r2,
            y=each["levels"],
            mode="lines",
            name=artifact,
            line={"color": ARTIFACT, "width": 1},
            hovertemplate=artifact + "<br>level %{y}: %{x:.4f}<extra></extra>",
        )
        for artifact, r2 in zip(artifacts, each["artifacts"])
    ]
    traces.append(
        go.Scatter(
            x=each["blend"],
            y=each["levels"],
            mode="lines",
            name="blend",
            line={"color": BLEND, "width": 3},
            hovertemplate="blend<br>level %{y}: %{x:.4f}<extra></extra>",
        )
    )
    return _plot(420, traces, xaxis_title="R2", yaxis_title="level (0: model top)").update_yaxes(
        range=[LEVELS, -1], tickvals=list(range(0, LEVELS, 10))
    )


def _margin(each: Numbers, artifacts: Sequence[str]) -> go.Figure:
    """The blend's R2 less that of the best artifact at the level."""
    bars = go.Bar(
        y=each["levels"],
        x=each["margin"],
        orientation="h",
        customdata=[artifacts[k] for k in each["best"]],
        marker_color=[WIN if value >= 0 else LOSE for value in each["margin"]],
        hovertemplate="level %{y}: %{x:+.5f}<br>against %{customdata}<extra></extra>",
    )
    return _plot(420, [bars], xaxis_title="R2, blend less best artifact", bargap=0.1).update_yaxes(
        range=[LEVELS, -1], tickvals=list(range(0, LEVELS, 10))
    )


def _path(found: Numbers) -> go.Figure:
    path = found["path"]
    line = go.Scatter(
        x=list(range(1, len(path) + 1)),
        y=[r2 for _, _, r2 in path],
        mode="lines+markers",
        line={"color": BLEND},
        customdata=[[name, step] for name, step, _ in path],
        hovertemplate="%{customdata[0]}, step %{customdata[1]:.2f}<br>R2 %{y:.6f}<extra></extra>",
    )
    return _plot(
        320, [line], xaxis_title="artifacts in the blend", yaxis_title="R2 over 368 columns"
    ).update_xaxes(dtick=1)
