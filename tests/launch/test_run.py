"""A whole run says "done" only of what is there, and clears what ended runs left."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Tuple

import pytest

from launch import run, settings
from leapkit.core import leftovers, plan, receipts, work_locks
from leapkit.core.layout import Results
from members.forcewithme import experiments as forcewithme
from tests.helpers.refusals import refused


@pytest.fixture
def chosen(tmp_path: Path) -> settings.Settings:
    requested = {"SUBMISSION": str(tmp_path), "EXPERIMENTS": "200", "PROFILE": "sample"}
    return settings.choose("reproduce", requested, needs_runtime=False)


def make(product: Path) -> None:
    product.parent.mkdir(parents=True, exist_ok=True)
    product.write_bytes(b"parquet")
    receipts.write(product, "submission", {}, receipts.now())


@pytest.mark.parametrize(
    "lose, words",
    [
        (lambda product: None, ""),
        (lambda product: product.unlink(), "is missing"),
        (lambda product: receipts.receipt_path(product).unlink(), "has no receipt"),
        (lambda product: product.write_bytes(b"parqueT"), "its bytes are not those"),
    ],
    ids=["nothing", "parquet", "receipt", "bytes"],
)
def test_members_that_end_with_0_must_have_left_their_parquets(
    chosen: settings.Settings, lose: Callable[[Path], None], words: str
) -> None:
    experiments = chosen.experiments()
    [experiment] = experiments["adam"]
    product = chosen.results.parquet(experiment.artifact)
    make(product)
    lose(product)
    if not words:
        run.require_results(chosen, experiments)
        return
    with refused(product, words, "run the same command again"):
        run.require_results(chosen, experiments)


def test_a_blend_that_ends_with_0_must_have_left_its_parquet(chosen: settings.Settings) -> None:
    [blend] = chosen.blends
    final = blend.final(chosen.results)
    with refused(final, "is missing", "run the same command again"):
        run.require_blends(chosen)
    make(final)
    run.require_blends(chosen)


@pytest.mark.parametrize("groups", [(), (3,)])
def test_leftovers_stay_while_another_process_is_at_work_on_the_experiment_or_a_group(
    groups: Tuple[int, ...], tmp_path: Path
) -> None:
    experiment = next(each for each in forcewithme.EXPERIMENTS if each.id == "32")
    results = Results(tmp_path)
    folder = results.experiment("forcewithme", "32")
    proven = plan.ExperimentPlan(experiment, reasons={"train": "", "infer": ""})
    leftovers.remove_unless_at_work(proven, results)
    assert not folder.exists(), "nothing is made where nothing was"
    with work_locks.hold(experiment, results):
        pass  # a run that ended long ago
    scratch = folder / "32_g3.state.pt"
    scratch.write_bytes(b"x")
    with work_locks.hold(experiment, results, groups):
        leftovers.remove_unless_at_work(proven, results)
        assert scratch.exists()
    leftovers.remove_unless_at_work(plan.ExperimentPlan(experiment, infer=True), results)
    assert scratch.exists(), "it is about to be gone on with"
    leftovers.remove_unless_at_work(proven, results)
    assert not scratch.exists()
