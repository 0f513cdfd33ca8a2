"""The plan blocks networks that could be mistaken for each other, and children without weights."""

from __future__ import annotations

from collections import OrderedDict
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest

from leapkit.core import ownership, plan, receipts
from leapkit.core.experiments import Experiment, group_stem
from leapkit.core.files import sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.input_hashes import InputHashes
from leapkit.core.layout import Layout, RawData, Results
from leapkit.core.registry import discover
from tests.helpers.refusals import refused

torch = pytest.importorskip("torch")

from leapkit.data import checkpoints  # noqa: E402
from leapkit.run.member import main  # noqa: E402

torch.set_num_threads(1)
MEMBERS = discover(Path(__file__).resolve().parents[2])
ALL = {
    experiment.name: experiment
    for member_experiments in MEMBERS.values()
    for experiment in member_experiments
}


def build(experiment: Experiment) -> Any:
    torch.manual_seed(3)
    networks = import_module(f"members.{experiment.member}.networks")
    return networks.build(experiment.network["sample"])


def publish(experiment: Experiment, weights: Path, prefix: str, trained: str = "") -> None:
    """Write the checkpoints at sample width, under their published names.

    `trained` is the experiment whose training their receipts prove; "" writes no receipts.
    """
    state = build(experiment).state_dict()
    tensors = OrderedDict((prefix + name, value) for name, value in state.items())
    for group in experiment.checkpoint_groups:
        path = weights / (group_stem(experiment.checkpoint_names[0], group) + ".pt")
        checkpoints.write_tensors(path, tensors)
        if trained:
            inputs = {"network": sha256_json(ALL[trained].network_record("sample"))}
            receipts.write(path, "training", inputs, receipts.now())


def plans(
    experiments: Sequence[Experiment], world: Path, weights: Path
) -> List[plan.ExperimentPlan]:
    layout = Layout(RawData(world), Results(weights / "submission"), weights)
    hashes = InputHashes(layout.raw, HashIndex())
    return plan.plan_experiments(experiments, "infer-only", "sample", layout, hashes)


# --- another network's files ----------------------------------------------------------------------


def blocked_by_each_other(names: Sequence[str], world: Path, tmp_path: Path) -> Dict[str, str]:
    """Return {experiment: reason} of those that are blocked if all have the same bytes."""
    planned = []
    for name in names:
        experiment = ALL[name]
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for group in experiment.checkpoint_groups:
            file = group_stem(experiment.checkpoint_names[0], group) + ".pt"
            (folder / file).write_bytes(b"the same bytes")
        planned += plans([experiment], world, folder)
    assert not any(experiment_plan.blocked for experiment_plan in planned)
    plan.block_shared_files(planned, "sample", InputHashes(RawData(world), HashIndex()))
    return {
        experiment_plan.experiment.name: experiment_plan.blocked
        for experiment_plan in planned
        if experiment_plan.blocked
    }


def test_the_same_file_is_refused_under_the_names_of_two_networks(
    tiny_world: Path, tmp_path: Path
) -> None:
    names = ["forcewithme/32", "max2020/014", "adam/195"]
    blocked = blocked_by_each_other(names, tiny_world, tmp_path)
    assert sorted(blocked) == ["adam/195", "max2020/014"]
    reason = "is the same file as a checkpoint of forcewithme/32, another network"
    assert reason in blocked["max2020/014"]


def test_experiments_of_one_network_may_share_a_file(tiny_world: Path, tmp_path: Path) -> None:
    assert not blocked_by_each_other(["joseph/912", "joseph/912sep"], tiny_world, tmp_path)
    assert not blocked_by_each_other(["forcewithme/18", "forcewithme/32"], tiny_world, tmp_path)


def test_a_checkpoint_whose_receipt_names_another_network_is_refused(
    tiny_world: Path, tmp_path: Path
) -> None:
    experiment = ALL["forcewithme/32"]
    publish(experiment, tmp_path / "own", "", trained=experiment.name)
    publish(experiment, tmp_path / "other", "", trained="max2020/014")
    (allowed,) = plans([experiment], tiny_world, tmp_path / "own")
    assert allowed.blocked == ""
    (blocked,) = plans([experiment], tiny_world, tmp_path / "other")
    assert "another network than forcewithme/32 at sample size" in blocked.blocked
    assert not blocked.runs


@pytest.mark.parametrize(
    "name, prefix, indistinguishable_from",
    [("forcewithme/32", "", "max2020/014"), ("max2020/014", "module.", "forcewithme/32")],
)
def test_a_file_that_may_be_of_another_network_is_refused_unless_a_receipt_says_whose_it_is(
    name: str, prefix: str, indistinguishable_from: str, tiny_world: Path, tmp_path: Path
) -> None:
    experiment = ALL[name]
    build_network = import_module(f"members.{experiment.member}.networks").build

    def infer(weights: Path, submission: Path) -> int:
        argv = ["infer-only", "--profile", "sample", "--device", "cpu"]
        argv += ["--raw-data", str(tiny_world), "--submission", str(submission)]
        argv += ["--weights", str(weights), "--experiments", experiment.id]
        return main(experiment.member, MEMBERS[experiment.member], build_network, argv)

    publish(experiment, tmp_path / "bare", prefix)
    with refused(
        tmp_path / "bare",
        f"it may be a checkpoint of {indistinguishable_from}",
        "with" if prefix else "without",
    ):
        infer(tmp_path / "bare", tmp_path / "s")
    assert not list((tmp_path / "s").rglob("*.parquet"))
    publish(experiment, tmp_path / "trained", prefix, trained=name)
    assert infer(tmp_path / "trained", tmp_path / "s") == 0
    assert experiment.published is not None
    publish(experiment, tmp_path / "published", experiment.published.prefix)
    assert infer(tmp_path / "published", tmp_path / "t") == 0


# --- children of admitted parents -----------------------------------------------------------------


def test_a_parent_whose_parquet_is_the_users_own_has_no_weights_to_start_from(
    tiny_world: Path, tmp_path: Path
) -> None:
    """Admitted parquets are never made again, so their children have nothing to start from."""
    layout = Layout(RawData(tiny_world), Results(tmp_path), tmp_path)
    parquet = layout.results.parquet(ALL["forcewithme/18"].artifact)
    parquet.parent.mkdir(parents=True)
    parquet.write_bytes(b"my own")
    hashes = InputHashes(layout.raw, HashIndex())
    receipts.write(parquet, ownership.ADMITTED, hashes.test(), receipts.now())
    family = [ALL["forcewithme/18"], ALL["forcewithme/32"]]
    parent, child = plan.plan_experiments(family, "reproduce", "sample", layout, hashes)
    assert not parent.blocked and not parent.runs
    assert "forcewithme/18" in child.blocked and child.remedy
