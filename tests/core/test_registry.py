"""The registry lists the members and experiments, and chooses those of a run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import pytest

from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.registry import (
    by_id,
    choose_experiments,
    choose_groups,
    discover,
    lineage,
    select,
)
from members.adam.experiments import EXPERIMENTS
from tests.helpers.kit_members import KIT
from tests.helpers.refusals import refused

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = discover(ROOT)
FORCEWITHME = MEMBERS["forcewithme"]
ADAM_195 = EXPERIMENTS[0]


def ids(experiments: Sequence[Experiment]) -> List[str]:
    return [experiment.id for experiment in experiments]


# --- what exists ----------------------------------------------------------------------------------


def test_every_folder_with_experiments_is_a_member() -> None:
    folders = sorted(path.parent.name for path in (ROOT / "members").glob("*/experiments.py"))
    assert list(MEMBERS) == folders and set(KIT) <= set(folders)
    for member, experiments in MEMBERS.items():
        assert experiments and all(experiment.member == member for experiment in experiments)


def test_experiments_are_read_without_torch_and_numpy() -> None:
    """The launcher plans with them on machines that have neither."""
    script = (
        f"import sys; sys.path[:0] = {[str(ROOT / 'shared'), str(ROOT)]!r}\n"
        "sys.modules['torch'] = None; sys.modules['numpy'] = None\n"
        "import launch.registry, blend.decide; assert len(launch.registry.members()) >= 6"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_one_id_or_artifact_of_two_experiments_is_refused() -> None:
    assert list(by_id(EXPERIMENTS)) == ["195", "197", "200"]
    with pytest.raises(ValueError, match="twice"):
        by_id(EXPERIMENTS + (replace(ADAM_195, artifact="another"),))
    with pytest.raises(ValueError, match="twice"):
        by_id(EXPERIMENTS + (replace(ADAM_195, id="999"),))
    with pytest.raises(ValueError, match="a parent is missing"):
        by_id(EXPERIMENTS[1:] + (replace(ADAM_195, parent="999"),))


# --- which of them --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names, expected",
    [
        ("", ["195", "197", "200"]),
        ("197", ["197"]),
        ("adam/200", ["200"]),
        ("200,195", ["195", "200"]),
        (" 195, adam/195 ,", ["195"]),
        ("195 200", ["195", "200"]),
        ("adam_197_78551.oof", ["197"]),
    ],
)
def test_experiments_are_chosen_by_id_name_or_artifact_in_their_own_order(
    names: str, expected: List[str]
) -> None:
    assert ids(select(EXPERIMENTS, names)) == expected


@pytest.mark.parametrize("names", ["196", "195,19", "max2020/195", "adam", "adam_195_78569"])
def test_an_unknown_experiment_is_named_with_those_that_exist(names: str) -> None:
    with pytest.raises(KitError, match=r"unknown experiment .*adam/195, adam/197, adam/200"):
        select(EXPERIMENTS, names)


@pytest.mark.parametrize(
    "names, mode, expected",
    [
        ("37", "reproduce", ["37-stage1", "37"]),
        ("37", "infer-only", ["37"]),
        ("40", "reproduce", ["40-stage1", "40-stage2", "40"]),
        ("32,18", "reproduce", ["18", "32"]),
        ("32", "infer-only", ["32"]),
        ("40-stage2", "reproduce", ["40-stage1", "40-stage2"]),
        ("forcewithme/39 mixed", "reproduce", ["39-stage1", "39", "mixed-stage1", "mixed"]),
        ("", "infer-only", ["18", "32", "37", "38", "39", "40"]),
        (" , ", "infer-only", ["18", "32", "37", "38", "39", "40"]),
    ],
)
def test_to_reproduce_takes_what_an_experiment_starts_from_and_to_infer_does_not(
    names: str, mode: str, expected: List[str]
) -> None:
    assert ids(choose_experiments(FORCEWITHME, names, mode, everything=False)) == expected


def test_the_default_reproduces_the_published_blend_or_everything() -> None:
    everything = ids(choose_experiments(FORCEWITHME, "", "reproduce", everything=True))
    assert sorted(everything) == sorted(ids(FORCEWITHME))
    blend = ids(choose_experiments(FORCEWITHME, "", "reproduce", everything=False))
    assert set(everything) - set(blend) == {"mixed-stage1", "mixed"}
    zuiye = choose_experiments(MEMBERS["zuiye"], "", "reproduce", everything=True)
    assert ids(zuiye) == ["A", "B"]


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_parents_come_before_their_children_whatever_the_order_of_the_experiments(
    member: str,
) -> None:
    experiments = tuple(reversed(MEMBERS[member]))
    ordered = ids(lineage(experiments, experiments))
    assert sorted(ordered) == sorted(ids(experiments))
    for experiment in experiments:
        assert not experiment.parent or ordered.index(experiment.parent) < ordered.index(
            experiment.id
        )


@pytest.mark.parametrize(
    "member, names, unpublished",
    [
        ("zuiye", "", "zuiye"),
        ("zuiye", "A", "zuiye/A"),
        ("forcewithme", "37,37-stage1", "forcewithme/37-stage1"),
        ("max2020", "007", "max2020/007"),
    ],
)
def test_what_was_never_published_cannot_be_inferred_only(
    member: str, names: str, unpublished: str
) -> None:
    with refused(
        "infer-only", f"no checkpoints were published of {unpublished};", "MODE=reproduce"
    ):
        choose_experiments(MEMBERS[member], names, "infer-only", everything=True)


@pytest.mark.parametrize("numbers, groups", [(None, ()), ("3", (3,)), ("6, 0,3,0", (0, 3, 6))])
def test_groups_of_one_experiment_are_chosen_by_number(
    numbers: Optional[str], groups: Tuple[int, ...]
) -> None:
    chosen = select(FORCEWITHME, "32")
    assert choose_groups(chosen, numbers, "reproduce") == groups


@pytest.mark.parametrize(
    "names, numbers, mode, words",
    [
        *(("32", numbers, "reproduce", "is no list of groups") for numbers in ("", "7", "x", "1,")),
        ("18", "0", "reproduce", "forcewithme/18: not one experiment with groups"),
        ("32,37", "0", "reproduce", "forcewithme/32, forcewithme/37: not one experiment"),
        ("32", "0", "infer-only", "trained alone, not predicted"),
    ],
)
def test_what_is_no_group_to_train_is_one_sentence(
    names: str, numbers: str, mode: str, words: str
) -> None:
    with refused("--groups", words):
        choose_groups(select(FORCEWITHME, names), numbers, mode)
