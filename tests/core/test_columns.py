"""The generated column lists are the published ones, and their permutations undo each other."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from leapkit.core import columns as c
from leapkit.data.scaling import ABLATED


@pytest.fixture(scope="module")
def published_lists(reference: Path) -> dict:
    return json.loads((reference / "columns.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "columns, published_name",
    [
        (c.INPUTS, "input_columns_kaggle"),
        (c.TARGETS, "target_columns_kaggle"),
        (c.NETWORK_INPUTS, "input_columns_network"),
        (c.NETWORK_TARGETS, "target_columns_network"),
        (c.ZERO, "zeroed_columns"),
        (c.LINEAR, "linear_columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_list_equals_the_published_one_in_order(
    published_lists: dict, columns: tuple, published_name: str
) -> None:
    assert list(columns) == published_lists[published_name]


@pytest.mark.parametrize(
    "published_name", ["zero_weight_columns_old", "joseph_loss_excluded_columns"]
)
def test_the_ablated_columns_are_the_published_63(
    published_lists: dict, published_name: str
) -> None:
    assert sorted(ABLATED) == sorted(published_lists[published_name]) and len(ABLATED) == 63


def test_the_groups_of_fine_tuning_begin_and_end_where_the_published_ones_do(
    published_lists: dict,
) -> None:
    ends = [[c.NETWORK_TARGETS[g.start], c.NETWORK_TARGETS[g.stop - 1]] for g in c.GROUPS]
    assert ends == [published_lists["groups"][str(g)] for g in range(7)]


@pytest.mark.parametrize("family", ["adam", "fdzm"])
def test_the_team_s_statistics_are_written_in_kaggle_order(published: Path, family: str) -> None:
    assert list(json.loads((published / family / "mean.json").read_text())) == list(
        c.INPUTS + c.TARGETS
    )


def test_kaggle_s_own_header_is_our_header(published: Path) -> None:
    with open(published / "kaggle-data" / "sample_submission_old.csv", newline="") as handle:
        assert next(csv.reader(handle)) == [c.SAMPLE_ID] + list(c.TARGETS)


def test_there_are_556_inputs_and_368_targets_and_no_name_stands_twice() -> None:
    assert len(set(c.INPUTS)) == len(c.INPUTS) == 556
    assert len(set(c.TARGETS)) == len(c.TARGETS) == 368
    assert not set(c.INPUTS) & set(c.TARGETS)
    assert sorted(c.NETWORK_INPUTS) == sorted(c.INPUTS)
    assert sorted(c.NETWORK_TARGETS) == sorted(c.TARGETS)


def test_the_targets_part_into_60_zero_16_linear_and_292_predicted_ones() -> None:
    assert (len(c.ZERO), len(c.LINEAR), len(c.PREDICTED)) == (60, 16, 292)
    assert sorted(c.ZERO + c.LINEAR + c.PREDICTED) == sorted(c.TARGETS)
    assert [name for name in c.TARGETS if name in set(c.PREDICTED)] == list(
        c.PREDICTED
    )  # Kaggle order is kept


def test_no_temperature_and_no_scalar_is_a_zero_column() -> None:
    assert not [name for name in c.ZERO if name.startswith(("ptend_t", "cam_out"))]


def test_each_linear_target_is_fed_by_the_cloud_liquid_of_its_own_level() -> None:
    assert [n.replace("state", "ptend") for n in c.LINEAR_INPUTS] == list(c.LINEAR)
    assert set(c.LINEAR_INPUTS) <= set(c.INPUTS)


def test_taking_the_network_permutation_of_kaggle_names_gives_network_names() -> None:
    assert tuple(c.INPUTS[k] for k in c.INPUTS_TO_NETWORK) == c.NETWORK_INPUTS
    assert tuple(c.TARGETS[k] for k in c.TARGETS_TO_NETWORK) == c.NETWORK_TARGETS


def test_the_target_permutations_are_inverse_both_ways() -> None:
    positions = np.arange(368)
    to_network, to_kaggle = list(c.TARGETS_TO_NETWORK), list(c.TARGETS_TO_KAGGLE)
    assert (positions[to_network][to_kaggle] == positions).all() and (
        positions[to_kaggle][to_network] == positions
    ).all()
    assert (
        positions[to_network] != positions
    ).any()  # the permutation is not the identity, so the line above proves something


def test_the_groups_cover_network_order_once_without_a_gap() -> None:
    covered = [k for group in c.GROUPS for k in range(group.start, group.stop)]
    assert covered == list(range(368))
    assert len(c.GROUPS) == len(c.GROUP_NAMES) == 7
    for group, name in zip(c.GROUPS[1:], c.GROUP_NAMES[1:]):
        assert [n.rsplit("_", 1)[0] for n in c.NETWORK_TARGETS[group]] == [name] * 60
    assert all(name.startswith("cam_out") for name in c.NETWORK_TARGETS[c.GROUPS[0]])


def test_positions_find_their_names_in_both_orders() -> None:
    names = c.LINEAR + c.ZERO
    assert [c.TARGETS[k] for k in c.kaggle_positions(names)] == list(names)
    assert [c.NETWORK_TARGETS[k] for k in c.network_positions(names)] == list(names)


def test_every_column_has_a_unit() -> None:
    def variable(name: str) -> str:
        head, _, level = name.rpartition("_")
        return head if level.isdigit() and head in c.UNITS else name

    assert {variable(name) for name in c.INPUTS + c.TARGETS} == set(c.UNITS)
    assert all(c.UNITS.values())
