"""Options of training: off by default, validated, and recorded only when they are on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict

import pytest

from leapkit.core.errors import KitError
from leapkit.core.recipes import Augmentation, Recipe, at_sample_size
from leapkit.core.training_options import TrainingOptions, parse
from members.adam.experiments import EXPERIMENTS
from members.joseph.experiments import EXPERIMENTS as JOSEPH

ADAM_195 = EXPERIMENTS[0]
ON: Dict[str, Any] = {
    "confidence": 0.5,
    "ema": 0.999,
    "positivity": True,
    "input_noise": 0.01,
    "target_weights": "groups",
}
TOGETHER = {name: value for name, value in ON.items() if name != "input_noise"}


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
    assert TrainingOptions(**TOGETHER).on() == TOGETHER


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
    with pytest.raises(ValueError, match=f"{name} is "):
        TrainingOptions(**wrong)


def test_positivity_is_refused_where_the_inputs_no_longer_hold_the_water() -> None:
    with pytest.raises(ValueError, match="not combined with input_noise"):
        TrainingOptions(positivity=True, input_noise=0.01)
    with pytest.raises(ValueError, match="not combined with augmentation"):
        replace(_with(positivity=True), augmentation=Augmentation(0.1, 0.1, 3))


def test_a_recipe_keeps_its_options_at_sample_size() -> None:
    assert at_sample_size(_with(**TOGETHER)).options == TrainingOptions(**TOGETHER)


@pytest.mark.parametrize("name", list(ON))
def test_every_option_can_be_written_on_a_command_line(name: str) -> None:
    word = name if ON[name] is True else f"{name}={ON[name]}"
    assert parse(word) == TrainingOptions(**{name: ON[name]})


def test_a_list_of_options_is_read_whole() -> None:
    assert parse("") == parse("positivity=0") == TrainingOptions()
    text = "confidence=0.5, ema=.999,positivity,target_weights=groups"
    assert parse(text) == TrainingOptions(**TOGETHER)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("emma=0.9", "has no option emma; choose among confidence, ema,"),
        ("ema=0.9,ema=0.99", "names ema twice; name it once"),
        ("ema=high", "'high' is no number; write one"),
        ("ema", "'' is no number"),
        ("ema=1.5", "ema is a decay: 0 <= ema < 1; docs/options.md"),
        ("positivity=yes", "cannot be 'yes'; write the name alone"),
        ("target_weights=mine", "target_weights is one of groups, scored, tails, targets"),
        ("positivity,input_noise=0.1", "not combined with input_noise"),
    ],
)
def test_a_list_with_a_mistake_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(KitError) as refusal:
        parse(text)
    assert sentence in str(refusal.value) and text in str(refusal.value)


def test_an_experiment_keeps_the_options_of_its_row_beside_those_of_a_command() -> None:
    row = ADAM_195.with_options(TrainingOptions(ema=0.9, confidence=0.1))
    both = row.with_options(TrainingOptions(ema=0.99))
    assert ADAM_195.with_options(TrainingOptions()) is ADAM_195
    for profile in both.recipe:
        assert both.recipe[profile].options == TrainingOptions(ema=0.99, confidence=0.1)
        assert replace(both.recipe[profile], options=TrainingOptions()) == ADAM_195.recipe[profile]


def test_options_that_a_recipe_does_not_go_with_are_refused_by_the_experiments_name() -> None:
    [rolled] = [each for each in JOSEPH if each.id == "907"]
    with pytest.raises(KitError, match="joseph/907: positivity is not combined with augmentation"):
        rolled.with_options(TrainingOptions(positivity=True))
