"""The pages: one for each prediction, and one that compares all of them.

Each is one HTML file that needs no other file and no network. Every number is in a table that is
shown without JavaScript; the plots are drawn by Plotly, which the page carries.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence
from urllib.parse import quote

from blend import html_page
from evaluation import drawing, maps, plots, sections
from evaluation.plots import PROFILES, VARIABLES, Figures
from leapkit.core.files import sha256_json, write_text

HERE = Path(__file__).resolve().parent
PAGE = HERE / "page.html"
COMPARISON = HERE / "comparison.html"
_MADE_BY = (
    *("page.html", "comparison.html", "parts.html", "style.css"),
    *("drawing.py", "pages.py", "plots.py", "sections.py", "maps.py"),
)
# {quantity: (what a reader calls it, its unit)} of the maps.
MAPPED = {
    "precipitation": ("Precipitation", "mm/day"),
    "cam_out_NETSW": ("Net shortwave flux at the surface", "W/m2"),
    "cam_out_FLWDS": ("Downward longwave flux at the surface", "W/m2"),
}
RAIN_REGIONS = ("globe", "tropics")
SECTIONS = ("ptend_t", "ptend_q0001")
# {diagnostic: what it is}
BUDGETS = {
    "precipitation": "precipitation",
    "column_water": "water that the column gains",
    "water_residual": "water gained and precipitated",
    "water_residual_with_evaporation": "the same, less evaporation",
    "column_energy": "energy that the column gains",
    "energy_residual": "energy gained, less what the surface and the sun give",
    "energy_residual_with_turbulence": "the same, less the turbulent fluxes",
}


RESIDUALS = ("water_residual", "energy_residual")


@functools.lru_cache(maxsize=None)
def version() -> str:
    """Return a hash that changes when the pages do."""
    files = [*html_page.MADE_BY, *(HERE / name for name in _MADE_BY)]
    return sha256_json([path.read_text(encoding="utf-8") for path in files])


def write(folder: Path, known: Sequence[Figures]) -> None:
    """Write the page of each prediction, then the page that compares them."""
    for shown in known:
        others = [each for each in known if each is not shown and _same_rows(each, shown)]
        write_text(folder / f"{shown['name']}.html", of_prediction(shown, others))
    write_text(folder / "index.html", comparison(known))


def _same_rows(one: Figures, other: Figures) -> bool:
    """Return whether two predictions are of the same rows, so that their scores compare."""
    roles = ("test.csv", "truth", "steps", "grid")
    return all(one["inputs"].get(role) == other["inputs"].get(role) for role in roles)


def of_prediction(shown: Figures, others: Sequence[Figures]) -> str:
    """Return the page of a prediction. The same figures give the same bytes."""
    result = shown["result"]
    whole = [each for each in result["regions"] if not each["month"]]
    by_region = {each["region"]: each for each in whole}
    return html_page.render(
        PAGE,
        _FILTERS,
        shown=shown,
        r=result,
        others=others,
        months=[month for month in result["months"] if month],
        by_region=by_region,
        by_month=plots.with_months(result["regions"], "globe"),
        budgets=[
            each for each in result["budgets"] if each["region"] == "globe" and not each["month"]
        ][: len(BUDGETS)],
        meaning=BUDGETS,
        profiles=PROFILES,
        drawn_sections=SECTIONS,
        mapped=MAPPED,
        rain_regions=[name for name in RAIN_REGIONS if name in result["precipitation"]],
        of_levels=plots.of_levels,
        pressure_of=sections.pressure_of,
        plots={name: drawing.html(name, figure) for name, figure in _plots(shown, others).items()},
    )


def _plots(shown: Figures, others: Sequence[Figures]) -> Dict[str, Any]:
    result = shown["result"]
    figures = {"variables": plots.variables(shown, others)}
    for variable in PROFILES:
        figures[f"levels-{variable}"] = plots.levels(variable, shown, others)
    for variable in SECTIONS:
        section = result["sections"][variable]
        figures[f"section-{variable}"] = sections.r2(section, "r2")
        figures[f"pooled-{variable}"] = sections.r2(section, "r2_pooled")
        figures[f"bias-{variable}"] = sections.bias(section)
    figures.update(_maps(shown))
    for region in RAIN_REGIONS:
        if region in result["precipitation"]:
            figures[f"rain-{region}"] = plots.rain(result["precipitation"][region])
    by_month = plots.with_months(result["regions"], "globe")
    if by_month:
        figures["months"] = _table_of_r2(by_month)
    whole = {each["region"]: each for each in result["regions"] if not each["month"]}
    figures["regions"] = _table_of_r2(whole)
    return figures


def _table_of_r2(scores: Mapping[str, Mapping[str, Any]]) -> drawing.Plot:
    """Draw R2 of the variables in months or regions, {its name: scores}."""
    names = next(iter(scores.values()))["variables"][:VARIABLES]
    return plots.table_of_r2(
        list(scores), names, [each["r2"][:VARIABLES] for each in scores.values()]
    )


def _maps(shown: Figures) -> Dict[str, Any]:
    result = shown["result"]
    atlas = maps.Atlas(result, shown["land"])
    drawn = {}
    for quantity, (_, unit) in MAPPED.items():
        values = result["maps"][quantity]
        limits = maps.limits_of(values["truth_mean"], values["prediction_mean"])
        drawn[f"map-{quantity}-truth"] = atlas.mean(values["truth_mean"], unit, limits)
        drawn[f"map-{quantity}-prediction"] = atlas.mean(values["prediction_mean"], unit, limits)
        drawn[f"map-{quantity}-bias"] = atlas.bias(values["bias"], unit)
        drawn[f"map-{quantity}-r2"] = atlas.r2(values["r2"])
    for residual in RESIDUALS:
        values = result["maps"][residual]
        drawn[f"map-{residual}-bias"] = atlas.bias(values["bias"], values["unit"])
    return drawn


def comparison(known: Sequence[Figures]) -> str:
    """Return the page that compares all predictions, those of the same rows side by side."""
    groups: List[List[Figures]] = []
    for figures in known:
        group = next((each for each in groups if _same_rows(each[0], figures)), None)
        if group is None:
            groups.append([figures])
        else:
            group.append(figures)
    for group in groups:
        group.sort(key=lambda each: -(each["result"]["kaggle_predicted"] or 0.0))
    drawn = {}
    for number, group in enumerate(groups):
        names = group[0]["result"]["variables"]["names"]
        scores = [each["result"]["variables"]["r2_clipped"] for each in group]
        drawn[str(number)] = plots.table_of_r2([each["name"] for each in group], names, scores)
    return html_page.render(
        COMPARISON,
        _FILTERS,
        groups=groups,
        plots={name: drawing.html(f"group-{name}", figure) for name, figure in drawn.items()},
    )


def _r2(value: Optional[float]) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if value > -100 else f"{value:.1e}"


def _number(value: Optional[float]) -> str:
    return "–" if value is None else f"{value:.4g}"


def _signed(value: Optional[float]) -> str:
    return "–" if value is None else f"{value:+.4g}"


def _count(value: int) -> str:
    return f"{value:,}"


def _region(name: str) -> str:
    return "whole globe" if name == "globe" else name


def _link(name: str) -> str:
    return quote(f"{name}.html")


_FILTERS: Mapping[str, Any] = {
    "r2": _r2,
    "number": _number,
    "signed": _signed,
    "count": _count,
    "name": plots.short_name,
    "region": _region,
    "link": _link,
    "clip": plots.clipped,
}
