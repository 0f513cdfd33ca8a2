"""An emulator's numbers are those of the parquets: same rounding, same batches, same order."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from leapkit.core.columns import INPUTS, TARGETS
from leapkit.core.layout import RawData, Results
from leapkit.data import checkpoints, kaggle_csv, submission
from leapkit.data.scaling_files import find_scaling
from leapkit.emulators.arithmetic import Networks
from leapkit.emulators.emulator import Emulator
from leapkit.emulators.parts import EmulatorParts, NetworkParts
from leapkit.run.inference import GroupCheckpoint
from leapkit.run.prediction import targets_of
from tests.helpers import small_run
from tests.helpers.refusals import refused

pytestmark = [pytest.mark.process, pytest.mark.stack]
torch.set_num_threads(1)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def predicted(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuple[Any, Any]:
    """Return the parts and the parquet of a network of one checkpoint, and of one of seven.

    Both have batches of 32 rows; the tiny world has 144.
    """
    from members.adam.networks import build

    root = tmp_path_factory.mktemp("predicted")
    scaling = find_scaling(tiny_world, "adam")
    parts: Dict[str, NetworkParts] = {}
    torch.manual_seed(3)
    for experiment in (small_run.EXPERIMENT, small_run.TUNED):
        files = []
        for group in experiment.checkpoint_groups:
            files.append(GroupCheckpoint(root / f"{experiment.stem(group)}.pt", targets_of(group)))
            checkpoints.save(build(experiment.network["sample"]), files[-1].path)
        arguments = small_run.arguments("infer-only", tiny_world, root / "s")
        arguments[-1] = experiment.id
        assert small_run.run([*arguments, "--weights", str(root), "--alone"]) == 0
        parts[experiment.id] = NetworkParts(experiment, "sample", tuple(files), scaling)
    return parts, Results(root / "s")


@pytest.fixture(scope="module")
def x(tiny_world: Path) -> np.ndarray:
    ((_, rows),) = kaggle_csv.read_test_csv(RawData(tiny_world).test_csv)
    return rows


def emulator(*parts: NetworkParts, weights: Any = 1.0) -> Emulator:
    weights = np.broadcast_to(np.reshape(weights, (-1, 1)), (len(parts), len(TARGETS)))
    return Emulator(EmulatorParts("small", parts, weights), "cpu")


@pytest.mark.parametrize("number", ["200", "200gf"])
def test_a_network_predicts_its_parquet_to_the_last_bit(
    predicted: Tuple[Any, Any], x: np.ndarray, number: str
) -> None:
    parts, results = predicted
    part = parts[number]
    ((_, expected),) = submission.blocks(results.parquet(part.experiment.artifact))
    y = emulator(part).predict(x)
    assert y.tobytes() == expected.tobytes()
    in_blocks = emulator(part)
    in_blocks._networks.block = 64  # whole batches
    assert in_blocks.predict(x).tobytes() == expected.tobytes()
    # Columns in float32 give the same numbers, if the family's cloud liquid is in float64.
    rounded = x.astype(np.float32).astype(np.float64)
    kept = [INPUTS.index(name) for name in part.scaling.family.kept_float64]
    rounded[:, kept] = x[:, kept]
    assert not np.array_equal(rounded, x)
    assert emulator(part).predict(rounded).tobytes() == expected.tobytes()


@pytest.mark.parametrize("weights", [(0.75, 0.25), (0.75, 0.5)], ids=["sum one", "any sum"])
def test_a_blend_is_the_sum_that_the_blend_command_writes(
    predicted: Tuple[Any, Any], tiny_world: Path, x: np.ndarray, weights: Any
) -> None:
    """Weights that do not sum to one leave the linear targets' formula as it is."""
    from blend import apply
    from blend.tables import WeightTable
    from leapkit.data.submission import OpenedParquet

    parts, results = predicted
    artifacts = [part.experiment.artifact for part in parts.values()]
    table = WeightTable("mine", tuple(zip(artifacts, weights)))
    sources = [apply.Source(name, OpenedParquet(results.parquet(name))) for name in artifacts]
    ids = kaggle_csv.read_ids(RawData(tiny_world).sample_submission)
    (expected,) = (np.ascontiguousarray(rows) for rows in apply.blended(table, sources, ids))
    y = emulator(*parts.values(), weights=weights).predict(x)
    assert y.tobytes() == expected.tobytes()


def test_networks_that_do_not_fit_are_read_for_every_block_and_give_the_same_numbers(
    predicted: Tuple[Any, Any], x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, _ = predicted
    kept = emulator(*parts.values(), weights=(0.5, 0.5))
    expected = kept.predict(x)
    assert sorted(kept._networks._kept) == [0, 1]
    monkeypatch.setattr("leapkit.emulators.arithmetic._budget", lambda device: 0)
    frugal = emulator(*parts.values(), weights=(0.5, 0.5))
    assert frugal.predict(x).tobytes() == expected.tobytes() and not frugal._networks._kept


def test_blocks_are_whole_batches_of_all_networks(predicted: Tuple[Any, Any]) -> None:
    from dataclasses import replace

    parts, _ = predicted
    part = parts["200"]
    third = replace(part, experiment=replace(part.experiment, batch=96))
    both = EmulatorParts("both", (part, third), np.ones((2, len(TARGETS))))
    assert Networks(both, CPU, "float32").block % 96 == 0


def test_what_the_user_set_in_torch_is_left_as_it_was(
    predicted: Tuple[Any, Any], x: np.ndarray
) -> None:
    parts, _ = predicted
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    before = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    try:
        torch.backends.cudnn.benchmark = True
        emulator(parts["200"]).predict(x)
        assert torch.backends.cudnn.benchmark and torch.equal(torch.rand(3), expected)
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


def test_bf16_is_near_float32_and_is_not_it(predicted: Tuple[Any, Any], x: np.ndarray) -> None:
    parts, _ = predicted
    exact = emulator(parts["200"])
    rounded = Emulator(exact._parts, "cpu", "bf16")
    y = rounded.predict(x)
    difference = abs(y - exact.predict(x)).max(axis=0) * parts["200"].scaling.weight
    assert rounded.precision == "bf16" and 0 < difference.max() < 0.5


def test_an_output_that_is_not_finite_is_refused(predicted: Tuple[Any, Any], x: np.ndarray) -> None:
    parts, _ = predicted
    broken = x.copy()
    broken[5, 3] = np.nan
    with refused("small", "NaN or infinite"):
        emulator(parts["200"]).predict(broken, check=False)


def test_constraints_are_the_post_processing_of_the_blend(
    predicted: Tuple[Any, Any], x: np.ndarray
) -> None:
    from blend import postprocess

    parts, _ = predicted
    free = emulator(parts["200"])
    options = ("positivity", "fluxes")
    held = Emulator(free._parts, "cpu", constraints=options)
    expected = free.predict(x)
    moved = postprocess.bound(expected, x[:, postprocess.STATES], options)
    assert moved.any() and np.array_equal(held.predict(x), expected)
    with refused("POSTPROCESS=gravity", "positivity"):
        Emulator(free._parts, "cpu", constraints=("gravity",))
