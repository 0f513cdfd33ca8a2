"""The launcher knows the constraints that there are, without torch."""

from __future__ import annotations

import pytest

from leapkit.core import constraint_names
from tests.helpers.refusals import refused


def test_the_names_are_those_of_the_constraints_in_their_order() -> None:
    pytest.importorskip("torch")
    from leapkit.emulators import constraints

    assert tuple(constraints.CONSTRAINTS) == constraint_names.CONSTRAINTS


def test_a_list_of_names_is_read_and_an_unknown_name_refused() -> None:
    assert constraint_names.parse(" night,positivity ") == ["night", "positivity"]
    assert constraint_names.parse("") == []
    with refused("POSTPROCESS=night,sun", "is no constraint: sun", "choose among top_levels"):
        constraint_names.parse("night,sun")
