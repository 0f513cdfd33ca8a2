"""The history of a training is bounded, exact, and the same however often the run was killed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leapkit.core import histories
from leapkit.core.histories import MOST_POINTS, History
from tests.helpers.refusals import refused

STEPS = 7


def run(
    history: History, losses: List[float], first: int = 0, every: int = 1, last: int = 10**9
) -> None:
    """Add updates as training does: the sum of an epoch is read at every nth, and at its end."""
    for update, _ in list(enumerate(losses))[first:last]:
        epoch, step = divmod(update, history.steps)
        step += 1
        if step % every == 0 or step == history.steps:
            total = math.fsum(losses[epoch * history.steps : update + 1])
            history.add(epoch, step, total, [0.1 / (1 + update), 7.0])


def record(history: History) -> Any:
    return json.loads(json.dumps(history.record()))


@pytest.mark.parametrize("epochs, interval", [(1, 1), (71, 1), (72, 2), (720, 11)])
def test_a_run_of_any_length_has_a_bounded_number_of_points(epochs: int, interval: int) -> None:
    losses = [1.0 + k % 5 for k in range(STEPS * epochs)]
    history = History(STEPS, epochs, ["lstm1", "fc1"])
    run(history, losses)
    assert history.interval == interval and len(history.updates) <= MOST_POINTS
    assert history.updates == list(range(interval, len(losses) + 1, interval))
    for update, loss, rate in zip(history.updates, history.losses, history.rates["lstm1"]):
        assert loss == pytest.approx(sum(losses[update - interval : update]) / interval)
        assert rate == 0.1 / update
    assert set(history.rates["fc1"]) == {7.0}


def test_a_gpu_whose_sum_is_read_now_and_then_has_points_where_it_was_read() -> None:
    losses = [float(k) for k in range(3 * STEPS)]
    history = History(STEPS, 3, [""])
    run(history, losses, every=5)
    assert history.updates == [5, 7, 12, 14, 19, 21]
    assert history.losses == pytest.approx([2.0, 5.5, 9.0, 12.5, 16.0, 19.5])


@given(st.lists(st.floats(0, 10), min_size=1, max_size=40), st.integers(0, 40))
def test_a_run_that_goes_on_from_its_state_has_the_same_history(
    losses: List[float], killed: int
) -> None:
    whole = History(STEPS, 300, ["a", "b"])
    run(whole, losses)
    first = History(STEPS, 300, ["a", "b"])
    run(first, losses, last=killed)
    state = json.loads(json.dumps(first.state()))
    second = History(STEPS, 300, ["a", "b"])
    second.restore(state, 0, 0, 0.0)
    run(second, losses, first=killed)
    assert record(second) == record(whole) and second.state() == whole.state()


def test_a_state_of_an_older_kit_says_from_where_on_losses_are_known() -> None:
    losses = [1.0] * STEPS + [3.0] * STEPS
    history = History(STEPS, 2, [""])
    history.restore(None, 1, 3, 9.0)
    run(history, losses, first=STEPS + 3)
    assert history.begins == 10 and history.updates == [11, 12, 13, 14]
    assert history.losses == [3.0] * 4


def test_evaluations_are_kept_as_numbers_that_json_can_hold(tmp_path: Path) -> None:
    history = History(STEPS, 2, [""])
    run(history, [1.0] * 7)
    history.evaluate(
        0, 7, 1.0, {"all_columns": float("nan"), "groups": (0.5, -math.inf)}, 0.5, True
    )
    history.write(tmp_path / "history.json")
    content = histories.read(tmp_path / "history.json")
    assert content["evaluations"] == [
        {
            "update": 7,
            "epoch": 0,
            "loss": 1.0,
            "chosen": 0.5,
            "is_best": True,
            "all_columns": None,
            "groups": [0.5, None],
        }
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"form": 2},
        {"losses": [1.0]},
        {"losses": ["1"] * 7},
        {"rates": {"": []}},
        {"rates": []},
        {"evaluations": [{}]},
        {"evaluations": 3},
        {"updates": None},
    ],
    ids=str,
)
def test_what_is_no_history_is_refused(tmp_path: Path, changes: Any) -> None:
    history = History(STEPS, 1, [""])
    run(history, [1.0] * 7)
    path = tmp_path / "history.json"
    history.write(path)
    histories.read(path)
    path.write_text(json.dumps({**record(history), **changes}))
    with pytest.raises(ValueError, match=r"history|belong together|missing"):
        histories.read(path)
    path.write_text("{")
    with refused(path):
        histories.read(path)
