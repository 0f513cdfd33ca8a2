"""Hours and GPU hours of a plan, and the lines that say them."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, List, Optional, Sequence

import pytest

from launch import registry, settings
from launch.costs import estimate_lines, estimates
from launch.costs.estimates import Estimate, Estimator, Step
from launch.costs.measurements import Measurement
from launch.costs.rates import Hardware
from launch.costs.row_counts import RowCounts
from leapkit.core.layout import Results, RunFiles, progress_path, scratch_path
from leapkit.core.plan import CheckpointPlan, ExperimentPlan
from leapkit.core.run_progress import Progress

EXPERIMENTS = {experiment.name: experiment for experiment in registry.flat(registry.members())}
ROWS = RowCounts({"0001-02": 100, "0005-01": 10_000}, validation=700, test=5_000)
CARD = Hardware("NVIDIA A100-SXM4-40GB", 4, 64, "tf32")
A100_TF32 = 0.2 * 156e12  # FLOP/s


def planned(name: str, train: Sequence[Any] = (), infer: bool = False) -> ExperimentPlan:
    """Return a plan that trains the checkpoints of these groups."""
    experiment = EXPERIMENTS[name]
    checkpoints = [
        CheckpointPlan(group, Path(), group in train) for group in experiment.checkpoint_groups
    ]
    return ExperimentPlan(experiment, checkpoints, infer, {"train": "not made yet"})


def estimator(
    results: Path, hardware: Hardware = CARD, earlier: Sequence[Measurement] = ()
) -> Estimator:
    return Estimator("full", ROWS, hardware, Results(results), earlier)


def test_hours_are_the_flop_of_all_rows_and_evaluations(tmp_path: Path) -> None:
    """forcewithme/18: 9 epochs, of which three have ten evaluations and six have two."""
    cost = estimator(tmp_path).of(planned("forcewithme/18", [None], infer=True))
    once = EXPERIMENTS["forcewithme/18"].network["full"].multiplications
    flop = once * (6 * 9 * 10_100 + 2 * 700 * (6 * 2 + 3 * 10))
    assert cost.train and cost.infer
    assert cost.train.hours == pytest.approx(flop / A100_TF32 / 3600)
    assert cost.infer.hours == pytest.approx(2 * once * 5_000 / A100_TF32 / 3600)
    assert "20% of 156 TFLOP/s" in cost.train.basis
    assert not cost.is_bound and cost.gpu_hours == cost.hours


def test_the_rows_of_a_recipe_are_its_months_and_its_fraction(tmp_path: Path) -> None:
    """adam/195 learns from 65 % of all rows, 200 from 0004-01 on; both for at most 25 epochs."""
    for name, rows in (("adam/195", int(0.65 * 10_100)), ("adam/200", 10_000)):
        cost = estimator(tmp_path).of(planned(name, [None]))
        once = EXPERIMENTS[name].network["full"].multiplications
        flop = once * 25 * (6 * rows + 2 * 700 * 4)
        assert cost.train and cost.train.hours == pytest.approx(flop / A100_TF32 / 3600)
        assert cost.is_bound and cost.infer is None


def test_a_fine_tuning_costs_its_trained_parts_and_seven_predictions(tmp_path: Path) -> None:
    """Group 0 of forcewithme/38 keeps the parent's weights; group 1 is trained already."""
    cost = estimator(tmp_path).of(planned("forcewithme/38", [0, 2, 3, 4, 5, 6], infer=True))
    assert cost.parts == 5 and cost.parent == "forcewithme/38-stage1"
    assert cost.train and cost.infer and cost.train.hours
    assert cost.hours_of_part == pytest.approx(cost.train.hours / 5)
    all_parts = estimator(tmp_path).of(planned("forcewithme/38", range(7)))
    assert all_parts.parts == 6 and all_parts.hours_of_part == pytest.approx(cost.hours_of_part)
    once = EXPERIMENTS["forcewithme/38"].network["full"].multiplications
    scanning = 0.25 * A100_TF32
    assert cost.infer.hours == pytest.approx(7 * 2 * once * 5_000 / scanning / 3600)


def test_several_gpus_of_a_network_cost_more_than_they_save(tmp_path: Path) -> None:
    one = estimator(tmp_path).of(planned("max2020/022-stage1", [None]))
    four = estimator(tmp_path, replace(CARD, per_network=4)).of(
        planned("max2020/022-stage1", [None])
    )
    assert one.hours / four.hours == pytest.approx(3.4)
    assert four.gpus == 4 and four.gpu_hours / one.gpu_hours == pytest.approx(4 / 3.4)


def test_earlier_runs_count_before_what_is_stated(tmp_path: Path) -> None:
    network = EXPERIMENTS["forcewithme/18"].network["full"]
    ran = Measurement("train", "full", network, 1e12, CARD.card, 8, "tf32", 1)
    plan = planned("forcewithme/18", [None])
    stated = estimator(tmp_path).of(plan)
    measured = estimator(tmp_path, earlier=[ran]).of(plan)
    assert measured.hours / stated.hours == pytest.approx(A100_TF32 / 1e12)
    assert measured.train and measured.train.basis == "measured in 1 run of this network"


def write_progress(path: Path, progress: Progress) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(progress)))


def going_on(done: int, total: int, parts: int = 1, ago: float = 5.0) -> Progress:
    """Return the progress of a run that began with nothing done, two seconds a step."""
    now = time.time() - ago
    return Progress(done, total, parts, 0, now - 2.0 * done, now)


def test_a_run_that_goes_on_says_how_far_it_is(tmp_path: Path) -> None:
    folder = Results(tmp_path).experiment("forcewithme", "18")
    write_progress(RunFiles(folder, "18").progress, going_on(41, 100))
    maker = estimator(tmp_path)
    cost = maker.of(planned("forcewithme/18", [None], infer=True))
    assert cost.train and cost.train.hours == pytest.approx(2 * 59 / 3600)
    [line] = [one for one in estimate_lines.estimate_lines(maker, [cost]) if "done" in one]
    assert line.split(maxsplit=1) == [
        "forcewithme/18",
        "trains: 41% done, about 2 min left at its own rate",
    ]
    write_progress(RunFiles(folder, "18").progress, going_on(41, 100, ago=7200))
    cost = maker.of(planned("forcewithme/18", [None]))
    assert "rate, as of 2.0 h ago" in "".join(estimate_lines.estimate_lines(maker, [cost]))


@pytest.mark.parametrize(
    ("begun", "seconds"),
    [
        ({1: going_on(30, 100)}, 2 * 70 + 5 * 200),  # one after the other
        ({0: going_on(300, 700, parts=7)}, 2 * 400),  # all in lockstep
        ({g: going_on(30 + g, 100) for g in range(7)}, 2 * 70),  # a job each, the slowest counts
        # One was stopped long ago, one goes on: both are unfinished, none of the others began.
        ({1: going_on(50, 100, ago=9000), 2: going_on(50, 100)}, 2 * 100 + 4 * 200),
    ],
)
def test_parts_that_have_not_begun_take_as_long_as_those_that_have(
    tmp_path: Path, begun: Any, seconds: float
) -> None:
    folder = Results(tmp_path).experiment("forcewithme", "32")
    for group, progress in begun.items():
        write_progress(RunFiles(folder, "32", group).progress, progress)
    trained = [] if 0 in begun else [0]
    cost = estimator(tmp_path).of(
        planned("forcewithme/32", [group for group in range(7) if group not in trained])
    )
    assert cost.train and cost.train.hours
    assert cost.train.hours * 3600 == pytest.approx(seconds)


def test_predictions_that_go_on_say_how_far_they_are(tmp_path: Path) -> None:
    plan = planned("forcewithme/18", infer=True)
    plan.inference_inputs = {"test.csv": "a" * 64}
    folder = Results(tmp_path).experiment("forcewithme", "18")
    write_progress(progress_path(scratch_path(folder, plan.inference_inputs)), going_on(10, 100))
    maker = estimator(tmp_path)
    lines = estimate_lines.estimate_lines(maker, [maker.of(plan)])
    assert any("predicts: 10% done, about 3 min left" in line for line in lines)


def cost_of(name: str, hours: Optional[float], parent: str = "", gpus: int = 1) -> Estimate:
    return Estimate(name, Step(hours, "stated"), None, 1, gpus, parent=parent)


def test_the_whole_takes_its_longest_chain_or_an_even_share_of_the_slots() -> None:
    chain = [cost_of("a", 10), cost_of("b", 5, "a"), cost_of("c", 1, "b")]
    assert estimates.wall_hours(chain, 4) == 16
    assert estimates.wall_hours([*chain, *(cost_of(f"d{k}", 10) for k in range(8))], 4) == 24
    assert estimates.wall_hours([], 1) == 0


def test_the_lines_say_time_cost_and_basis(tmp_path: Path) -> None:
    costs = [cost_of("adam/195", 30.0), cost_of("adam/197", 0.02), cost_of("adam/200", 0.03)]
    lines = estimate_lines.estimate_lines(estimator(tmp_path), costs)
    assert lines[0].split(maxsplit=3)[3] == (
        "about 30 h, 30 GPU hours, on 4 x NVIDIA A100-SXM4-40GB, tf32, 4 networks at a time"
    )
    assert lines[1].split(maxsplit=1) == ["adam/195", "train 30 h; 30 GPU hours"]
    assert lines[2].strip() == "adam/197 72 s, adam/200 2 min"
    assert lines[3].strip() == "stated (train: 3 networks)"


def test_what_nobody_knows_is_said_in_one_line(tmp_path: Path) -> None:
    maker = estimator(tmp_path, replace(CARD, card="NVIDIA Z1"))
    costs = [maker.of(planned(name, [None])) for name in ("adam/195", "adam/197")]
    [line] = estimate_lines.estimate_lines(maker, costs)
    assert line.startswith("2 networks") and "no rate is known of NVIDIA Z1" in line
    assert [cost.hours for cost in costs] == [0, 0]


@pytest.mark.parametrize(
    ("card", "earlier", "expected"),
    [
        ("", [], "A100"),
        ("H100", ["NVIDIA A40"], "H100"),
        ("", ["NVIDIA A40", "cpu"], "NVIDIA A40"),
    ],
)
def test_a_login_node_without_a_gpu_estimates_for_the_clusters(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    card: str,
    earlier: List[str],
    expected: str,
) -> None:
    ran = [Measurement("train", "full", 7.0, 1e12, device, 8, "tf32", 1) for device in earlier]
    monkeypatch.setattr(estimates.measurements, "of_results", lambda *_: ran)
    requested = {"PROFILE": "full", "CARD": card, "SUBMISSION": str(tmp_path)}
    chosen = settings.choose("reproduce", requested, needs_runtime=False)
    hardware = estimates.estimator_of_cluster(chosen, ROWS).hardware
    assert (hardware.card, hardware.gpus, hardware.precision) == (expected, 1, "tf32")
