"""Whole trainings of every member agree with a plain second implementation, in float64.

The second one (tests/helpers/plain_training.py) reads the step files, shuffles, trains, evaluates
and selects by itself, from the facts; the kit runs as a member's command does, from the files of a
tiny world to the checkpoints of the fine-tuned groups. Recipes are the published ones but for the
rows of a batch and what a case changes; networks are sketches with the members' names, as the
members' own are proven in tests/members.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.helpers import watched_training  # noqa: E402
from tests.helpers.compared_trainings import (  # noqa: E402
    Case,
    Runs,
    by_hand,
    by_the_kit,
    compared,
)

pytestmark = [pytest.mark.process, pytest.mark.stack, pytest.mark.everywhere]

torch.set_num_threads(1)


def drops_and_stops(runs: Runs) -> bool:
    """Return whether the rate dropped twice, and the run ended early with an older network."""
    run = runs["200"]
    stopped = run.evaluations[-1].epoch < 24
    return len({rate for [rate] in run.rates}) > 2 and stopped and not run.evaluations[-1].is_best


def gains_too_little(runs: Runs) -> bool:
    """Return whether a better network was not kept because it was hardly better."""
    best = float("-inf")
    for _, _, score, is_best in runs["907"].evaluations:
        if score > best and not is_best:
            return True
        best = score if is_best else best
    return False


def falls_back(runs: Runs) -> bool:
    """Return whether some groups keep the parent's weights and others do not."""
    head = "final_fc.0.weight"
    kept = [
        torch.equal(runs[f"912sep_g{group}"].tensors[head], runs["912"].tensors[head])
        for group in range(7)
    ]
    return any(kept) and not all(kept)


def ties(runs: Runs) -> bool:
    """Return whether all scores are equal, so that the first evaluation is the best."""
    return len({evaluation.score for evaluation in runs["A"].evaluations}) == 1


RATES_912 = {"lstm_layers": 6e-2, "attention": 4e-2, "final_fc": 8e-2}
STANDS = {"rates": {"": 1e-30}, "cycles": (3, 2, 0.0)}
LEFT_OUT = {"rates": {"lstml": 8e-4, "fc": 1.2e-3}, "clip": 0.05, "evaluations": (2,)}
CASES = {
    "adam": Case(["adam/195"], {"adam/195": {"evaluations": (4, 4, 4, 4)}}),
    "adam, until it stops": Case(
        ["adam/200"], {"adam/200": {"rates": {"": 0.05}}}, drops_and_stops
    ),
    "forcewithme": Case(["forcewithme/18", "forcewithme/32"]),
    "forcewithme, a group of the parent's": Case(["forcewithme/38-stage1", "forcewithme/38"]),
    "forcewithme, two stages": Case(["forcewithme/40-stage1", "forcewithme/40-stage2"]),
    "joseph, augmented": Case(["joseph/907"], {"joseph/907": {"min_gain": 2e-3}}, gains_too_little),
    "joseph": Case(
        ["joseph/912", "joseph/912sep"], {"joseph/912sep": {"rates": RATES_912}}, falls_back
    ),
    "max2020, rates by prefix": Case(["max2020/007", "max2020/010"]),
    "max2020": Case(["max2020/022-stage1", "max2020/022"]),
    "zuiye, clipped": Case(["zuiye/A"], {"zuiye/A": {"clip": 0.05}}),
    "a used layer without a rate": Case(["max2020/007"], {"max2020/007": LEFT_OUT}),
    "a network that stands still": Case(["zuiye/A"], {"zuiye/A": STANDS}, ties),
}


# On older stacks one training of each kind of loop: plateau, cosine, fine-tuning of groups.
EVERYWHERE = ("adam", "zuiye, clipped", "max2020")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in EVERYWHERE else pytest.mark.modern) for name in CASES],
)
def test_a_whole_training_is_the_plain_one(name, tiny_world, tmp_path, monkeypatch):
    case = CASES[name]
    watched = watched_training.watch(monkeypatch)
    results = by_the_kit(case, tiny_world, tmp_path)
    runs = by_hand(case, tiny_world)
    assert compared(case, runs, watched, results) == {}
    assert case.bites(runs)
