"""Options of training: off by default, validated, and recorded only when they are on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict

import pytest

from leapkit.core.recipes import Recipe, at_sample_size
from leapkit.core.training_options import TrainingOptions
from members.adam.experiments import EXPERIMENTS

ADAM_195 = EXPERIMENTS[0]
ON = {
    "confidence": 0.5,
    "ema": 0.999,
    "positivity": True,
    "input_noise": 0.01,
    "target_weights": "groups",
}


def _with(**options: Any) -> Recipe:
    return replace(ADAM_195.recipe["sample"], options=TrainingOptions(**options))


@pytest.mark.parametrize("name", list(ON))
def test_a_record_holds_the_options_that_are_on_and_no_others(name: str) -> None:
    recipe = _with(**{name: ON[name]})
    tuned = replace(ADAM_195, recipe=dict(ADAM_195.recipe, sample=recipe))
    record = tuned.recipe_record("sample")
    assert record.pop("options") == {name: ON[name]}
    assert record == ADAM_195.recipe_record("sample")


def test_no_option_is_on_by_default() -> None:
    assert TrainingOptions().on() == {}
    assert TrainingOptions(**ON).on() == ON


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": -0.1},
        {"confidence": float("nan")},
        {"ema": 1.0},
        {"ema": -0.5},
        {"ema": float("nan")},
        {"input_noise": float("inf")},
        {"input_noise": -1.0},
        {"positivity": "yes"},
        {"target_weights": "mine"},
    ],
)
def test_an_option_that_no_training_could_have_is_refused_by_its_name(
    wrong: Dict[str, Any],
) -> None:
    [name] = wrong
    with pytest.raises(ValueError, match=f": {name} is "):
        TrainingOptions(**wrong)


def test_a_recipe_keeps_its_options_at_sample_size() -> None:
    assert at_sample_size(_with(**ON)).options == TrainingOptions(**ON)
