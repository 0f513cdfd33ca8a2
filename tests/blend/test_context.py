"""The steps of one blend share what they read: predictions are opened once, a climb runs once."""

from __future__ import annotations

from typing import Any, Callable, List

import pytest

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
from blend import climb, validation
from blend.context import BlendContext
from blend.naming import BlendName
from blend.run import run
from blend.scopes import STARTS
from leapkit.core.hash_index import HashIndex
from tests.helpers.small_blend import THREE, V10

pytestmark = pytest.mark.process


def counted(function: Callable[..., Any], calls: List[Any]) -> Callable[..., Any]:
    """Return the function, wrapped so that it also appends its arguments to `calls`."""

    def noting(*arguments: Any) -> Any:
        calls.append(arguments)
        return function(*arguments)

    return noting


@pytest.fixture
def context(maker, sixteen) -> BlendContext:
    name = BlendName.parse("searched", ("positivity",))
    return BlendContext(name, {"searched": THREE}, maker.raw, sixteen, HashIndex())


def test_validation_predictions_are_opened_once_in_a_run(context, monkeypatch):
    """The search, the post-processing and the report all read them."""
    calls: List[Any] = []
    load = counted(validation.load_predictions, calls)
    monkeypatch.setattr(validation, "load_predictions", load)
    run(context)
    assert len(calls) == 1


def test_the_climb_on_all_folds_runs_once_in_a_run(context, monkeypatch):
    """The weights, their path and the page all need it."""
    calls: List[Any] = []
    monkeypatch.setattr(climb, "hill_climb", counted(climb.hill_climb, calls))
    run(context)
    all_folds = context.fits.folded.whole
    on_all_folds = [starts for gram, starts in calls if gram is all_folds]
    assert len([starts for starts in on_all_folds if starts is STARTS["all"]]) == 1
    assert len(on_all_folds) == len(STARTS)  # one for each scope, for the page's table of forms


def test_the_artifacts_are_those_of_the_search_else_those_of_the_table(maker, sixteen, context):
    assert context.artifacts == THREE and context.makeable == THREE
    of_table = BlendContext(
        BlendName.parse("v10"), {"searched": THREE}, maker.raw, sixteen, HashIndex()
    )
    assert of_table.artifacts == V10 and not of_table.have_predictions
