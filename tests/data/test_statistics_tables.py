"""Statistics and weights in a wrong place are refused by their numbers; right ones are admitted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Callable, Dict, Sequence

import numpy as np
import pytest

from leapkit.core.columns import TARGETS, ZERO
from leapkit.data.families import FAMILIES
from leapkit.data.old_weights import read_weights
from leapkit.data.scaling import Scaling, load_scaling
from leapkit.data.statistics_tables import numbers_of, owner
from tests.helpers import plausible
from tests.helpers.refusals import refused

Table = Dict[str, object]


def write_weights(path: Path, weight: Sequence[object]) -> None:
    path.write_text(",".join(TARGETS) + "\n" + ",".join(map(repr, weight)) + "\n")


class Folder:
    """statistics/<family> of a user's own data, and the weights that they were made with."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.weights = root / "sample_submission_old.csv"
        write_weights(self.weights, plausible.weights().tolist())
        for family in FAMILIES:
            (root / family).mkdir()
            for name, table in plausible.tables(family).items():
                (root / family / name).write_text(json.dumps(table))

    def load(self, family: str) -> Scaling:
        return load_scaling(self.root / family, family, self.weights)

    def edit(self, name: str, change: Callable[[Table], object]) -> None:
        path = self.root / name
        table = json.loads(path.read_text())
        change(table)
        path.write_text(json.dumps(table))


@pytest.fixture
def own(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def teams(published: Path, tmp_path: Path) -> Folder:
    """Return a folder with a copy of the team's statistics and weights."""
    folder = Folder(tmp_path)
    for family in FAMILIES:
        for name in ("mean.json", "std.json"):
            shutil.copyfile(str(published / family / name), str(tmp_path / family / name))
    shutil.copyfile(str(published / "adam" / "old_sample_weight.csv"), str(folder.weights))
    return folder


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_what_is_right_is_admitted(own: Folder, tiny_world: Path, family: str) -> None:
    assert own.load(family).family is FAMILIES[family]
    raw = tiny_world / "statistics" / family
    load_scaling(raw, family, tiny_world / "kaggle-data" / "sample_submission_old.csv")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_teams_own_are_admitted_in_any_layout(teams: Folder, family: str) -> None:
    teams.load(family)
    for name in ("mean.json", "std.json"):  # keys in another order, other white space
        teams.edit(f"{family}/{name}", lambda table: table.update(state_t_0=table.pop("state_t_0")))
        numbers = numbers_of((teams.root / family / name).read_bytes(), name)
        assert owner(numbers) == (family, name)
    teams.load(family)


@pytest.mark.parametrize("family, other", [("adam", "fdzm"), ("fdzm", "adam")])
@pytest.mark.parametrize("name", ["mean.json", "std.json"])
def test_the_teams_statistics_of_the_other_family_are_refused_by_name(
    teams: Folder, family: str, other: str, name: str
) -> None:
    shutil.copyfile(str(teams.root / other / name), str(teams.root / family / name))
    with refused(teams.root / family / name, f"is the team's {name} of the family {other}"):
        teams.load(family)


@pytest.mark.parametrize("family, other", [("adam", "fdzm"), ("fdzm", "adam")])
def test_a_users_statistics_of_the_other_family_are_refused_by_their_floor(
    own: Folder, family: str, other: str
) -> None:
    shutil.copyfile(str(own.root / other / "std.json"), str(own.root / family / "std.json"))
    with refused(own.root / family / "std.json", f"is of the family {other}", "make statistics"):
        own.load(family)


@pytest.mark.parametrize("name", ["mean.json", "std.json"])
def test_half_of_the_teams_statistics_with_another_half_is_refused(
    teams: Folder, name: str
) -> None:
    (teams.root / "adam" / name).write_text(json.dumps(plausible.tables("adam")[name]))
    with refused(teams.root / "adam" / name, "is not the team's"):
        teams.load("adam")


def test_other_weights_beside_the_teams_statistics_are_refused(teams: Folder) -> None:
    write_weights(teams.weights, plausible.weights().tolist())
    with refused(teams.weights, "other weights than those", "make fetch"):
        teams.load("fdzm")


def set_all(value: float) -> Callable[[Table], object]:
    return lambda table: table.update((name, value) for name in table)


@pytest.mark.parametrize(
    "name, change, words",
    [
        ("mean.json", set_all(float("inf")), "NaN or an infinity"),
        ("mean.json", set_all(float("nan")), "NaN or an infinity"),
        ("mean.json", set_all(True), "state_t_0 is not a number"),
        ("mean.json", lambda t: t.update(state_t_9=10**400), "integer beyond all float64"),
        ("mean.json", set_all(0.0), "a mean of state_t_0 of 0, which no climate has"),
        ("mean.json", lambda t: t.update(state_ps=985.0), "a mean of state_ps of 985"),
        ("mean.json", lambda t: t.update(state_t_30=-20.0), "a mean of state_t_30 of -20"),
        ("mean.json", lambda t: t.update(more=1.0), "unknown variable 'more'"),
        ("std.json", lambda t: t.update({ZERO[0]: 1e-9}), "not of the family adam"),
        ("std.json", lambda t: t.update(state_t_3=1e-12), "not of the family adam"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_statistic_is_refused(
    own: Folder, name: str, change: Callable[[Table], object], words: str
) -> None:
    own.edit(f"adam/{name}", change)
    with refused(own.root / "adam" / name, words, "make fetch WHAT=statistics"):
        own.load("adam")


@pytest.mark.parametrize("place, file", [("mean.json", "std.json"), ("std.json", "mean.json")])
def test_means_in_the_place_of_standard_deviations_are_refused(
    own: Folder, place: str, file: str
) -> None:
    shutil.copyfile(str(own.root / "adam" / file), str(own.root / "adam" / place))
    with refused(own.root / "adam" / place):
        own.load("adam")


def current_submission() -> Sequence[object]:
    return [0 if name in ZERO else 1 for name in TARGETS]


def test_the_current_sample_submission_is_not_taken_for_the_old_weights(
    own: Folder, tiny_world: Path
) -> None:
    write_weights(own.weights, current_submission())
    with refused(own.weights, "holds ones", "current sample_submission.csv", "make fetch"):
        own.load("adam")
    with refused("sample_submission.csv", "holds ones"):
        read_weights(tiny_world / "kaggle-data" / "sample_submission.csv")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda w: w * 1e-6, "which is no 1 / standard deviation of it"),
        (lambda w: np.where(w == 0, 1e9, w), f"the weight of {ZERO[0]} is not 0"),
        (lambda w: w * 100, "does not fit the weights"),
        (lambda w: w / 100, "does not fit the weights"),
    ],
    ids=["raw", "no zeros", "too large", "too small"],
)
def test_weights_that_cannot_be_those_of_the_statistics_are_refused(
    own: Folder, change: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    """The statistics of a target are those of target * weight: they tell the factor."""
    changed = change(plausible.weights())
    write_weights(own.weights, changed.tolist())
    if "fit" in words:  # statistics made with one file, predictions with another
        factor = plausible.weights()[-1] / changed[-1]
        names = [name for name in TARGETS if changed[TARGETS.index(name)]]
        own.edit(
            "adam/std.json",
            lambda table: table.update((n, float(table[n]) * factor) for n in names),  # type: ignore[arg-type]
        )
    with refused(own.weights, words):
        own.load("adam")
