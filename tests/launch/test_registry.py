"""Which experiments a run is about."""

from __future__ import annotations

import pytest

from launch import registry
from leapkit.core.errors import KitError
from tests.helpers.kit_members import KIT

KITS_OWN = {
    member: experiments
    for member, experiments in registry.chosen("", "", "reproduce", everything=True).items()
    if member in KIT
}


def names(experiments, only="", mode="reproduce", everything=True):
    chosen = registry.chosen(experiments, only, mode, everything)
    return [experiment.name for experiment in registry.flat(chosen)]


def test_experiments_are_chosen_by_any_of_their_names_and_unknown_ones_refused() -> None:
    assert names("200, adam/195") == ["adam/195", "adam/200"]
    assert names("max_exp22", mode="infer-only") == ["max2020/022"]
    assert names("Jo_ex907_cv7855,014_group_finetune.npy") == [
        "joseph/907",
        "max2020/014-stage1",
        "max2020/014",
    ]
    with pytest.raises(KitError, match="choose from adam/195"):
        names("999")


def test_without_experiments_a_run_is_about_the_blend_or_everything() -> None:
    assert len(names("", mode="infer-only", everything=False)) == 16
    full = names("", everything=False)
    assert len(full) == 16 + 11
    assert not [name for name in full if name.startswith(("zuiye", "forcewithme/mixed"))]
    assert {name for name in set(names("")) - set(full) if name.startswith(KIT)} == {
        "forcewithme/mixed-stage1",
        "forcewithme/mixed",
        "zuiye/A",
        "zuiye/B",
    }
    assert names("", only="zuiye") == ["zuiye/A", "zuiye/B"]
    with pytest.raises(KitError, match="no checkpoints were published"):
        names("", only="zuiye", mode="infer-only")


def test_what_is_trained_on_request_takes_part_only_where_it_is_named() -> None:
    for everything in (True, False):
        assert not [name for name in names("", everything=everything) if name[:7] == "student"]
    assert names("", only="student") == names("student/stack") == ["student/stack"]
    assert names("student_stack,195") == ["adam/195", "student/stack"]
    named = registry.searches(registry.chosen("student/stack", "", "reproduce", True))
    assert named == {"searched-student": ["student_stack"]}
    with pytest.raises(KitError, match="no checkpoints were published of student"):
        names("", only="student", mode="infer-only")


def test_every_search_chooses_among_its_own() -> None:
    searches = registry.searches(KITS_OWN)
    assert list(searches) == ["searched", "searched-zuiye", "searched-with-zuiye"]
    assert len(searches["searched"]) == 16 and searches["searched-zuiye"] == ["zuiye_A", "zuiye_B"]
    both = searches["searched"] + searches["searched-zuiye"]
    assert searches["searched-with-zuiye"] == both
    assert registry.usual_searches(KITS_OWN) == ["searched", "searched-zuiye"]
