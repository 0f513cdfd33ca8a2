"""What finished runs reached, from their receipts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest

from launch.costs import measurements
from launch.costs.measurements import Measurement
from launch.costs.rates import Hardware
from leapkit.core import allotment
from leapkit.core.layout import Results, RunFiles
from leapkit.core.receipts import receipt_path
from tests.helpers import small_run

EIGHT, OTHER_OF_ITS_KIND, OTHER = "eight", "nine", 7.0  # stand for records of two classes
HERE = Hardware("", 0, 2, "float32")


def change(product: Path, **details: Any) -> None:
    """Change what a receipt records."""
    path = receipt_path(product)
    receipt = json.loads(path.read_text())
    receipt["details"].update(details)
    path.write_text(json.dumps(receipt))


@pytest.mark.process
def test_receipts_of_a_real_run_tell_its_rates(tiny_world: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert small_run.run(small_run.arguments("reproduce", tiny_world, tmp_path / "s")) == 0
    results = Results(tmp_path / "s")
    experiment = small_run.EXPERIMENT
    checkpoint = RunFiles(results.experiment("adam", "200"), "200").checkpoint
    parquet = results.parquet(experiment.artifact)
    change(checkpoint, seconds=2.0)
    change(parquet, seconds=4.0)
    train, infer = measurements.of_results(results, small_run.EXPERIMENTS)
    epochs = json.loads(receipt_path(checkpoint).read_text())["details"]["epochs"]
    once = small_run.NETWORK.multiplications
    # 576 rows learned from and, twice an epoch, 96 validated; 144 test rows.
    assert train.flops == once * epochs * (6 * 576 + 2 * 2 * 96) / 2.0
    assert infer.flops == once * 2 * 144 / 4.0
    for one, step in ((train, "train"), (infer, "infer")):
        assert (one.step, one.profile, one.device) == (step, "sample", "cpu")
        assert (one.precision, one.together, one.cores) == ("float32", 1, allotment.cores())

    damages: List[Dict[str, Any]] = [
        {"network": {}},  # of another network than the kit's
        {"seconds": 0},
        {"seconds": "2"},
        {"environments": []},
        {"recipe": None},
    ]
    for damage in damages:
        change(checkpoint, seconds=2.0)
        before = receipt_path(checkpoint).read_text()
        change(checkpoint, **damage)
        assert measurements.of_results(results, small_run.EXPERIMENTS) == [infer], damage
        receipt_path(checkpoint).write_text(before)
    receipt_path(checkpoint).write_text("{}")
    assert measurements.of_results(results, small_run.EXPERIMENTS) == [infer]
    assert measurements.of_results(Results(tmp_path / "none"), small_run.EXPERIMENTS) == []


def measurement(network: Any, flops: float, **more: Any) -> Measurement:
    one = Measurement("train", "full", network, flops, "cpu", 2, "float32", 1)
    return replace(one, **more)


def test_the_same_network_comes_before_its_kind_and_that_before_the_others() -> None:
    earlier = [
        measurement(OTHER, 1.0),
        measurement(OTHER_OF_ITS_KIND, 10.0),
        measurement(OTHER_OF_ITS_KIND, 12.0),
        measurement(OTHER_OF_ITS_KIND, 90.0),
        measurement(EIGHT, 100.0),
    ]

    def rate(count: int) -> Any:
        return measurements.measured(earlier[:count], HERE, "full", "train", EIGHT)

    assert rate(0) is None
    assert rate(1) == (1.0, "measured in 1 run of others")
    assert rate(4) == (12.0, "measured in 3 runs of its kind")
    assert rate(5) == (100.0, "measured in 1 run of this network")


@pytest.mark.parametrize(
    "other",
    [
        {"device": "NVIDIA A100-SXM4-40GB"},
        {"cores": 64},
        {"precision": "bf16"},
        {"together": 4},
        {"profile": "sample"},
        {"step": "infer"},
    ],
)
def test_what_was_computed_otherwise_says_nothing(other: Dict[str, Any]) -> None:
    earlier = [measurement(EIGHT, 1.0, **other)]
    assert measurements.measured(earlier, HERE, "full", "train", EIGHT) is None


def test_a_gpus_runs_count_for_the_same_gpu_whatever_the_cores() -> None:
    card = Hardware("NVIDIA H100 80GB HBM3", 4, 64, "tf32", per_network=4)
    there = {"device": card.card, "cores": 8, "precision": "tf32", "together": 4}
    assert measurements.measured([measurement(EIGHT, 5.0, **there)], card, "full", "train", EIGHT)
    # Inference takes one GPU, however many train.
    infers = measurement(EIGHT, 5.0, **{**there, "together": 1, "step": "infer"})
    assert measurements.measured([infers], card, "full", "infer", EIGHT)
