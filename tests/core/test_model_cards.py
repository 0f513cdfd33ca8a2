"""A card says what a network's row says, in the form that Hugging Face reads."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Dict, List

import pytest

from leapkit.core import card_prose, model_cards, network_sizes
from leapkit.core.experiments import PROFILES, Experiment
from leapkit.core.model_cards import Score
from leapkit.core.registry import discover

ROOT = Path(__file__).resolve().parents[2]
PREDICTING = [
    experiment
    for experiments in discover(ROOT).values()
    for experiment in experiments
    if experiment.artifact
]
REACHED = [Score("validation R2", "the run's validation rows", 0.4321)]
PUBLISHED = {"cv": 0.7908, "public": 0.78793, "private": 0.78434}
# What Hugging Face's reader of cards knows (huggingface_hub's ModelCardData).
KNOWN = {
    *("library_name", "pipeline_tag", "license", "license_name", "datasets", "metrics", "tags"),
    "model-index",
}


def front_matter(text: str) -> Dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return dict(yaml.safe_load(text.split("---\n")[1]))


def card(experiment: Experiment, profile: str, reached: List[Score]) -> str:
    row = model_cards.row(experiment, profile)
    assert model_cards.Row(**asdict(row)) == row  # as the launcher hands it on
    return model_cards.card(row, reached, model_cards.published(PUBLISHED))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("experiment", PREDICTING, ids=lambda one: one.name)
def test_every_number_of_a_card_comes_from_its_row(experiment: Experiment, profile: str) -> None:
    text = card(experiment, profile, REACHED)
    row = model_cards.row(experiment, profile)
    section = text.split(f"## The network {experiment.name}")[1].split("## Limits")[0]
    told = str({**asdict(row), "published": PUBLISHED, "reached": REACHED}).replace("_", "")
    said = re.sub(r"(?<=\d),(?=\d{3}\b)", "", section)
    numbers = set(re.findall(r"(?<![\w.])\d[\d.e-]*", said)) - {"556", "368", "2"}
    assert len(numbers) > 10
    assert not [
        each for each in numbers if not re.search(rf"(?<![\d.]){re.escape(each)}(?!\d)", told)
    ]


def test_a_network_whose_parameters_nobody_counted_has_a_card_without_them() -> None:
    """A new member's: leapkit.core.network_sizes lists those of the kit."""
    row = replace(model_cards.row(PREDICTING[0], "sample"), parameters=None)
    text = model_cards.card(row, REACHED, model_cards.published(PUBLISHED))
    assert "| parameters |" not in text and "| architecture |" in text


def test_the_front_matter_is_what_hugging_face_reads() -> None:
    about = front_matter(card(PREDICTING[0], "full", REACHED))
    assert set(about) == KNOWN
    assert about["datasets"] == ["LEAP/ClimSim_low-res"]
    assert (about["license"], about["pipeline_tag"]) == ("other", "tabular-regression")
    [model] = about["model-index"]
    [result] = model["results"]
    assert set(result) == {"task", "dataset", "metrics"}
    assert set(result["dataset"]) == {"name", "type"}
    [metric] = result["metrics"]
    assert (metric["type"], metric["value"]) == ("r_squared", 0.4321)


def test_no_card_claims_the_teams_scores_for_checkpoints_of_ones_own() -> None:
    text = card(PREDICTING[0], "full", [])
    assert "model-index" not in front_matter(text)
    assert "| published R2, private | Kaggle's private test rows, the team's own" in text
    assert "0.78434" in text


def test_a_card_of_a_network_of_sample_size_says_so() -> None:
    assert card_prose.REDUCED in card(PREDICTING[0], "sample", REACHED)
    assert card_prose.REDUCED not in card(PREDICTING[0], "full", REACHED)


def test_a_card_without_a_score_says_that_none_is_known() -> None:
    row = model_cards.row(PREDICTING[0], "full")
    assert "None is known." in model_cards.card(row, [], [])


def test_every_network_of_the_blend_has_a_number_of_parameters_and_a_new_one_need_not() -> None:
    blended = {experiment.name for experiment in PREDICTING if experiment.blended}
    assert blended <= set(network_sizes.PARAMETERS) and len(blended) == 16
    assert network_sizes.parameters("nobody/1", "full") is None
