"""When each network was trained and predicted, as a plot: a run may be weeks with weeks between."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional, Sequence, Tuple

from evaluation.drawing import text
from reports.record import TRAININGS, Step

Plot = Dict[str, Any]
LINE = 24  # pixels of height of a row with a name
# {kind of step: (what it is called, the colour of its bar)}
_KINDS = {
    **{kind: ("training", "--blend") for kind in TRAININGS},
    "submission": ("inference", "--second"),
    **{kind: ("blend", "--win") for kind in ("weights", "errors", "blend", "scores", "report")},
}
_MOST_SESSIONS = 6
_IDLE = 0.1  # of the whole: a longer pause is not drawn
_LEAST = 0.08  # of the width, that a session has
_GAP = 0.015


class _Bar:
    """What a network did of one kind, from its first beginning to its last end."""

    def __init__(self, row: str, kind: str, begin: datetime, end: datetime) -> None:
        self.row = row
        self.kind = kind
        self.begin = begin
        self.end = end


def timeline(steps: Sequence[Step]) -> Optional[Plot]:
    """Draw when which network was trained and predicted; None if no step says so.

    The run's sessions stand side by side, each with an axis of its own.
    """
    bars = _bars(steps)
    if not bars:
        return None
    rows = list(dict.fromkeys(text(bar.row) for bar in bars))
    sessions = _sessions(bars)
    domains = _domains([_seconds(session) for session in sessions])
    traces: List[Plot] = []
    axes: Dict[str, Plot] = {}
    for number, (session, domain) in enumerate(zip(sessions, domains), 1):
        name = "x" if number == 1 else f"x{number}"
        axes["xaxis" + name[1:]] = {
            "type": "date",
            "domain": domain,
            "range": _range(session),
            "nticks": 2 + int(8 * (domain[1] - domain[0])),
            **({"title": {"text": "time, UTC"}} if number == 1 else {}),
        }
        traces += _traces(session, name, {trace["name"] for trace in traces})
    layout = {
        "height": 126 + LINE * len(rows),
        "yaxis": {
            "categoryorder": "array",
            "categoryarray": rows[::-1],
            "range": [-0.8, len(rows) - 0.2],
        },
        "showlegend": True,
        **axes,
    }
    return {"data": traces, "layout": layout}


def _bars(steps: Sequence[Step]) -> List[_Bar]:
    """Return the bars in the order in which they begin. Sessions of one row are joined later."""
    bars: Dict[Tuple[str, str, str], _Bar] = {}
    for step in steps:
        kind, _ = _KINDS.get(step.kind, ("", ""))
        if kind and step.started and step.finished:
            row = "blend" if kind == "blend" else step.network or step.artifact
            begin, end = datetime.fromisoformat(step.started), datetime.fromisoformat(step.finished)
            day = step.started if kind == "blend" else ""  # blends are made again and again
            bar = bars.setdefault((row, kind, day), _Bar(row, kind, begin, end))
            bar.begin, bar.end = min(bar.begin, begin), max(bar.end, end)
    return sorted(bars.values(), key=lambda bar: (bar.begin, bar.end))


def _sessions(bars: Sequence[_Bar]) -> List[List[_Bar]]:
    """Return the bars before and after each long pause; all in one if there are too many."""
    whole = max(bar.end for bar in bars) - bars[0].begin
    sessions = [[bars[0]]]
    end = bars[0].end
    for bar in bars[1:]:
        if bar.begin - end > _IDLE * whole:
            sessions.append([])
        sessions[-1].append(bar)
        end = max(end, bar.end)
    return sessions if len(sessions) <= _MOST_SESSIONS else [list(bars)]


def _range(session: Sequence[_Bar]) -> List[str]:
    """Return the limits of a session's axis, with some room."""
    begin, end = session[0].begin, max(bar.end for bar in session)
    room = 0.04 * (end - begin)
    return [_plotly_time(begin - room), _plotly_time(end + room)]


def _seconds(session: Sequence[_Bar]) -> float:
    return (max(bar.end for bar in session) - session[0].begin).total_seconds()


def _domains(lengths: Sequence[float]) -> List[List[float]]:
    """Return the share of the width of each session, as its length is."""
    whole = sum(lengths) or 1.0
    widths = [max(_LEAST, length / whole) for length in lengths]
    scale = (1.0 - _GAP * (len(widths) - 1)) / sum(widths)
    domains, begin = [], 0.0
    for width in widths:
        domains.append([round(begin, 4), round(begin + width * scale, 4)])
        begin += width * scale + _GAP
    return domains


def _traces(session: Sequence[_Bar], axis: str, known: Any) -> List[Plot]:
    """Return the bars of a session, a trace for each kind; the legend shows a kind once."""
    traces = []
    for kind, colour in dict.fromkeys(_KINDS.values()):
        x: List[Optional[str]] = []
        y: List[Optional[str]] = []
        for bar in session:
            if bar.kind == kind:
                x += [_plotly_time(bar.begin), _plotly_time(bar.end), None]
                y += [text(bar.row), text(bar.row), None]
        if x:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": kind,
                    "legendgroup": kind,
                    "showlegend": kind not in known,
                    "x": x,
                    "y": y,
                    "xaxis": axis,
                    "line": {"color": colour, "width": 9},
                    # A bar of no length would not be seen.
                    "marker": {"color": colour, "size": 5, "symbol": "square"},
                    "hovertemplate": f"%{{y}}<br>{kind}: %{{x|%Y-%m-%d %H:%M:%S}}<extra></extra>",
                }
            )
    return traces


def _plotly_time(moment: datetime) -> str:
    """Return a time without its offset from UTC, which Plotly would take for local time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
