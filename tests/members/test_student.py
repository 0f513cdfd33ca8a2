"""The student is small: its cost has bounds, and only its numbers differ from max2020/022's."""

from __future__ import annotations

from dataclasses import fields
from typing import List

import pytest

from leapkit.core.experiments import PROFILES
from leapkit.core.multiplications import FORWARD_FLOP
from leapkit.core.step_files import COLUMNS
from members.max2020.experiments import EXPERIMENTS as MAX2020
from members.student.experiments import EXPERIMENTS

[STUDENT] = EXPERIMENTS
[BEST] = [experiment for experiment in MAX2020 if experiment.id == "022"]
# Of two cores in float32: 63 to 84 GFLOP/s were measured on one of an EPYC that others used too.
TWO_CORES = 120e9


def test_a_global_step_takes_two_cores_at_most_a_second() -> None:
    flop = COLUMNS * FORWARD_FLOP * STUDENT.network["full"].multiplications
    assert 0.5 < flop / TWO_CORES < 1, "not wasted either"


def test_it_costs_far_less_than_a_tenth_of_the_best_single_network() -> None:
    best, small = BEST.network["full"].multiplications, STUDENT.network["full"].multiplications
    assert 5 * small < best and 30 * small < len(BEST.checkpoint_groups) * best


@pytest.mark.parametrize("profile", PROFILES)
def test_its_network_is_that_of_022_but_for_depth_and_width(profile: str) -> None:
    def rest(network: object) -> List[object]:
        sizes = ("layers", "hidden", "residual")
        return [
            getattr(network, field.name) for field in fields(network) if field.name not in sizes
        ]  # type: ignore[arg-type]

    small, best = STUDENT.network[profile], BEST.network[profile]
    assert rest(small) == rest(best)
    assert small.residual == tuple(range(1, small.layers)), "it mixes at every layer but the first"


def test_the_loop_of_the_members_trains_it_and_only_on_request() -> None:
    assert STUDENT.on_request and not STUDENT.blended and STUDENT.published is None
    assert not [experiment for experiment in MAX2020 if experiment.on_request]
