"""All published networks have the tensors of the team's files and its numbers for given weights."""

from __future__ import annotations

import os
from itertools import combinations
from typing import Any, Dict, NamedTuple, Tuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from leapkit.core.columns import GROUPS  # noqa: E402
from leapkit.run import devices  # noqa: E402
from tests.helpers import parity  # noqa: E402

pytestmark = pytest.mark.process

torch.set_num_threads(1)
WITHOUT_GOLDEN = (
    "fwm_1LSTM1mamba5_stage1_as_published"  # a script's default that no file was made with
)
# Each list begins with the one before, so that pytest (8 goes by numbers) makes each network once.
# First one of each architecture that is merged of seven files; all of them take two minutes.
FIRST = [
    "fwm_gf_LstmMambaMixed",
    "fwm_exp39_gf_cnnlstm",
    "joseph_912sep",
    "max_010_gf",
    "max_022_gf",
]
TUNED = FIRST + [
    key
    for key, experiment in parity.KEYS.items()
    if parity.EXPERIMENTS[experiment].groups and key not in FIRST
]
MERGED = TUNED if os.environ.get("LEAP_LONG_TESTS") else FIRST
GOLDEN = TUNED + [key for key in parity.KEYS if key not in TUNED and key != WITHOUT_GOLDEN]
ALL = GOLDEN + [WITHOUT_GOLDEN]
WIRING = 1e-9  # in float64 no BLAS differs by as much as one wrong wire


class Case(NamedTuple):
    key: str
    network: torch.nn.Module
    entry: Dict[str, Any]  # of checkpoints.json
    golden: Any  # the team's outputs; None where there are none
    predictions: Any  # {dtype: our outputs from the same weights}


@pytest.fixture(scope="module")
def fill(reference):
    return parity.load_fill(reference)


@pytest.fixture(scope="module")
def x(reference):
    return np.load(str(reference / "parity" / "input.npz"))["x556"]


@pytest.fixture(scope="module", params=ALL)
def case(request, reference, fill, x):
    """Return one network of full size; the tests that come last overwrite its weights."""
    key = request.param
    golden = None
    predictions = None
    devices.make_repeatable(0)
    network = parity.build_uninitialised(key)
    if key in GOLDEN:
        golden = np.load(str(reference / "parity" / (f"{key}.npz")))
        parity.fill_network(network, fill, golden)
        predictions = outputs(network, x)
    return Case(key, network, parity.checkpoint_facts(reference)[key], golden, predictions)


def outputs(network: torch.nn.Module, x: np.ndarray) -> Dict[Any, np.ndarray]:
    with torch.no_grad():
        return {
            dtype: network.to(dtype)(torch.from_numpy(x).to(dtype)).numpy()
            for dtype in (torch.float64, torch.float32)
        }


def require_equal(predictions: Dict[Any, np.ndarray], y: np.ndarray, y64: np.ndarray) -> None:
    """Require float64 within WIRING, float32 within four times the error of the team's class."""
    np.testing.assert_allclose(predictions[torch.float64], y64, rtol=0, atol=WIRING)
    assert predictions[torch.float32].dtype == np.float32 and predictions[torch.float32].shape == (
        2,
        368,
    )
    assert (
        np.abs(predictions[torch.float32] - y).max() <= 4 * np.abs(y.astype(np.float64) - y64).max()
    )


def tensors(entry: Dict[str, Any]) -> Tuple[Tuple[str, Tuple[int, ...], str], ...]:
    prefix = entry["saved_key_prefix"]
    assert all(name.startswith(prefix) for name, _, _ in entry["state_dict"])
    return tuple(
        (name[len(prefix) :], tuple(shape), dtype) for name, shape, dtype in entry["state_dict"]
    )


# ---- key by key ----------------------------------------------------------------------------------


@pytest.mark.stack
def test_names_order_shapes_and_types_are_the_files(case):
    state = case.network.state_dict().items()
    assert tuple(
        (name, tuple(t.shape), str(t.dtype)[len("torch.") :]) for name, t in state
    ) == tensors(case.entry)
    assert sum(p.numel() for p in case.network.parameters()) == case.entry["n_parameters"]


@pytest.mark.stack
@pytest.mark.parametrize("case", GOLDEN, indirect=True)
def test_it_computes_the_teams_numbers(case):
    require_equal(case.predictions, case.golden["y"], case.golden["y64"])


@pytest.mark.stack
def test_exactly_the_tensors_listed_as_unused_have_no_effect(case, x):
    unused = set(case.entry["unused_in_forward"])
    x = torch.from_numpy(x)
    case.network.zero_grad()
    before = case.network(x)
    before.sum().backward()
    assert {name for name, p in case.network.named_parameters() if p.grad is None} == unused
    for name in unused:
        case.network.state_dict()[name].add_(1.0)
    assert torch.equal(case.network(x), before)


# On one stack: each network computes the same on all, and NumPy alone merges their columns.
@pytest.mark.parametrize("case", MERGED, indirect=True)
def test_seven_files_merge_to_the_teams_numbers(case, fill, x):
    merged = {
        dtype: np.full((2, 368), np.nan, str(dtype)[len("torch.") :])
        for dtype in (torch.float32, torch.float64)
    }
    for group, columns in enumerate(GROUPS):
        parity.fill_for_group(case.network, fill, group)
        for dtype, predictions in outputs(case.network, x).items():
            merged[dtype][:, columns] = predictions[:, columns]
    require_equal(merged, case.golden["y_group_merged"], case.golden["y64_group_merged"])


# ---- all keys together ---------------------------------------------------------------------------


def test_every_key_of_the_reference_is_an_experiment_and_has_its_numbers(reference):
    assert set(ALL) == set(parity.checkpoint_facts(reference)) and len(ALL) == 30
    golden = {
        path.stem: np.load(str(path)).files
        for path in (reference / "parity").glob("*.npz")
        if path.stem != "input"
    }
    assert set(golden) == set(GOLDEN)
    assert {key for key in golden if "y64_group_merged" in golden[key]} == set(TUNED) and len(
        TUNED
    ) == 12


def test_every_published_file_is_of_one_experiment(reference):
    """The prefix and the stems of the files are those that the team's scripts read."""
    for key, entry in parity.checkpoint_facts(reference).items():
        files, experiment = entry["checkpoint_files"], parity.EXPERIMENTS[parity.KEYS[key]]
        if files:
            stems = (
                {experiment.published.names[0]}
                if experiment.groups is None
                else {
                    f"{experiment.published.names[0]}_g{group}"
                    for group in experiment.checkpoint_groups
                }
            )
            assert {path.split("/")[-1] for path in files} == {stem + ".pt" for stem in stems}
            assert experiment.published.prefix == entry["saved_key_prefix"]
            assert entry["submission_file"] in (None, experiment.parquet)


def test_files_that_another_experiments_network_loads_unnoticed_are_declared(reference):
    """reslstm and 014 have equal names and shapes but compute other functions."""
    checkpoint_facts = parity.checkpoint_facts(reference)
    swapped = set()
    for key, other_key in combinations(GOLDEN, 2):
        if tensors(checkpoint_facts[key]) == tensors(
            checkpoint_facts[other_key]
        ) and parity.config_of(key) != parity.config_of(other_key):
            swapped.add(frozenset((parity.KEYS[key], parity.KEYS[other_key])))
    assert swapped == {
        frozenset((key, other_key))
        for key in ("forcewithme/18", "forcewithme/32")
        for other_key in ("max2020/014-stage1", "max2020/014")
    }
    for experiment in parity.EXPERIMENTS.values():
        if experiment.published and experiment.published.indistinguishable_from:
            assert (
                frozenset((experiment.name, experiment.published.indistinguishable_from)) in swapped
            )


def test_the_same_weights_mean_something_else_in_reslstm_and_in_014() -> None:
    devices.make_repeatable(0)
    reslstm, other = (
        parity.build(experiment.member, experiment.network["sample"]).double().eval()
        for experiment in (parity.EXPERIMENTS["forcewithme/18"], parity.EXPERIMENTS["max2020/014"])
    )
    other.load_state_dict(reslstm.state_dict(), strict=True)
    x = torch.randn(2, 556, dtype=torch.float64)
    with torch.no_grad():
        assert float((reslstm(x) - other(x)).abs().max()) > 1e-3
