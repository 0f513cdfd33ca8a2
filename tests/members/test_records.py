"""What receipts record of an experiment decides whether an old result still counts.

A renamed field or class changes these hashes, and every published checkpoint or finished run of a
user would be made again. The values of the full profile were taken from commit 16cb3cc, before the
rooms of leapkit; those of the sample profile are newer, from the shorter first run.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Dict

import pytest

from launch.registry import members
from leapkit.core.experiments import PROFILES, Experiment
from leapkit.core.files import sha256_json
from leapkit.core.recipes import Recipe
from tests.helpers.kit_members import KIT
from tests.helpers.other_numbers import changed

STORED: Dict[str, Dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "stored" / "experiment_records.json").read_text()
)
EXPERIMENTS = [
    experiment
    for member, member_experiments in members().items()
    for experiment in member_experiments
    if member in KIT
]


def digest(experiment: Experiment, profile: str) -> str:
    record = [
        experiment.network_record(profile),
        experiment.recipe_record(profile),
        list(experiment.reinitialised),
        asdict(experiment.groups) if experiment.groups else None,
        experiment.artifact,
        experiment.parent,
    ]
    return sha256_json(record)[:16]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_old_receipts_still_name_this_experiment(experiment: Experiment, profile: str) -> None:
    assert digest(experiment, profile) == STORED[experiment.name][profile]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_a_changed_number_of_any_row_is_another_record(
    experiment: Experiment, profile: str
) -> None:
    """Of recipe, network and rule of groups, each by itself; or their own checks refuse it."""
    tried = 0
    for field in ("recipe", "network"):
        by_profile = getattr(experiment, field)
        for each in changed(by_profile[profile]):
            tried += 1
            if each.record is not None:
                copy = replace(experiment, **{field: {**by_profile, profile: each.record}})
                assert digest(copy, profile) != STORED[experiment.name][profile], each.what
    for each in changed(experiment.groups) if experiment.groups else ():
        copy = replace(experiment, groups=each.record)
        assert digest(copy, profile) != STORED[experiment.name][profile], each.what
    assert tried > len(fields(Recipe)), "every field of a recipe, and more"


def test_no_experiment_has_disappeared() -> None:
    assert set(STORED) == {experiment.name for experiment in EXPERIMENTS}
