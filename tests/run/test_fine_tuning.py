"""Group fine-tuning makes seven checkpoints from one parent, with fallbacks, after any kill."""

from __future__ import annotations

import json
import shutil
import signal
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.helpers import small_run
from tests.helpers.refusals import refused

torch = pytest.importorskip("torch")

from leapkit.core import experiments, plan, receipts, work_locks  # noqa: E402
from leapkit.core.columns import GROUPS, TARGETS  # noqa: E402
from leapkit.core.files import sha256  # noqa: E402
from leapkit.core.hash_index import HashIndex  # noqa: E402
from leapkit.core.input_hashes import InputHashes  # noqa: E402
from leapkit.core.layout import Layout, RawData, Results, RunFiles  # noqa: E402
from leapkit.core.registry import by_id  # noqa: E402
from leapkit.data import checkpoints, inference_set, scaling  # noqa: E402
from leapkit.run import devices, fine_tuning, inference, member, training  # noqa: E402
from members.adam.networks import build  # noqa: E402
from members.forcewithme import experiments as fwm  # noqa: E402
from members.forcewithme.networks import build as build_fwm  # noqa: E402

pytestmark = [pytest.mark.process, pytest.mark.stack]

torch.set_num_threads(1)
PARENT = small_run.EXPERIMENT
TUNED = small_run.TUNED
KEPT = (2, 5)  # groups whose parent was better
ALL = range(7)
TRAINED = range(1, 7)
CPU = torch.device("cpu")


def tune(raw: Path, folder: Path):
    """Return the command line of fine-tuning alone."""
    return small_run.arguments("reproduce", raw, folder, "--alone", "--experiments", TUNED.id)


def files_of(folder: Path, group=None) -> RunFiles:
    return RunFiles(folder / "outputs" / "adam" / TUNED.id, TUNED.id, group)


def parent(folder: Path) -> RunFiles:
    return RunFiles(folder / "outputs" / "adam" / PARENT.id, PARENT.id)


def receipt(product: Path):
    return json.loads(receipts.receipt_path(product).read_text())


def products(folder: Path):
    """Return the bytes of all that fine-tuning writes but receipts, which hold times."""
    files = [
        p
        for p in files_of(folder).folder.iterdir()
        if p.suffix in (".pt", ".npy", ".txt", ".parquet")
    ]
    return {
        p.name: p.read_bytes() for p in files + list((folder / "subs").glob("adam_200gf.[np]*"))
    }


@pytest.fixture(scope="module")
def with_parent(tiny_world, tmp_path_factory) -> Path:
    """Return a trained parent whose receipt says: very good at the groups KEPT, else very bad."""
    folder = tmp_path_factory.mktemp("groups") / "submission"
    assert small_run.run(small_run.arguments("reproduce", tiny_world, folder)) == 0
    path = receipts.receipt_path(parent(folder).checkpoint)
    written = json.loads(path.read_text())
    written["details"]["validation"]["groups"] = [9.0 if g in KEPT else -9.0 for g in ALL]
    path.write_text(json.dumps(written))
    return folder


@pytest.fixture(scope="module")
def tuned(with_parent, tiny_world, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tuned") / "submission"
    shutil.copytree(str(with_parent), str(folder))
    assert small_run.run(tune(tiny_world, folder)) == 0
    return folder


def copy_of(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(str(folder), str(tmp_path / "copy"))
    return tmp_path / "copy"


# ---- what is made --------------------------------------------------------------------------------


def test_each_group_leaves_a_checkpoint_a_receipt_and_its_columns(tuned):
    for group in ALL:
        files = files_of(tuned, group)
        assert files.checkpoint.name == f"200gf_g{group}.pt" and not files.state.exists()
        predictions = np.load(str(files.validation_predictions))
        assert (
            predictions.shape == (96, 8 if group == 0 else 60) and predictions.dtype == np.float32
        )
        group_receipt = receipt(files.checkpoint)
        assert group_receipt["sha256"] == sha256(files.checkpoint) and group_receipt["details"][
            "oof"
        ] == sha256(files.validation_predictions)
        assert group_receipt["inputs"]["parent"] == sha256(parent(tuned).checkpoint)
    assert len({sha256(files_of(tuned, g).checkpoint) for g in ALL}) == 7 - len(KEPT), (
        "0 and KEPT are one file"
    )
    assert (
        not (files_of(tuned).folder / "oof.npy").exists()
        and not (files_of(tuned).folder / "200gf.pt").exists()
    )


def test_the_blend_is_given_all_groups_side_by_side(tuned):
    merged_predictions = np.load(str(tuned / "subs" / "adam_200gf.npy"))
    group_checkpoints = [np.load(str(files_of(tuned, g).validation_predictions)) for g in ALL]
    assert merged_predictions.shape == (96, 368) and np.array_equal(
        merged_predictions, np.concatenate(group_checkpoints, axis=1)
    )
    submission_receipt = receipt(tuned / "subs" / "adam_200gf.parquet")
    assert submission_receipt["details"]["oof"] == {
        "sha256": sha256(tuned / "subs" / "adam_200gf.npy"),
        "family": "adam",
    }
    assert submission_receipt["details"]["checkpoints"] == [f"200gf_g{g}.pt" for g in ALL]
    assert set(submission_receipt["inputs"]) >= {f"checkpoint 200gf_g{g}" for g in ALL}


def test_the_submission_is_seven_whole_predictions_with_a_groups_columns_of_each(
    tuned, tiny_world, tmp_path
):
    raw = RawData(tiny_world)
    adam_scaling = scaling.load_scaling(raw.statistics("adam"), "adam", raw.old_weights)
    inputs = {role: sha256(path) for role, path in raw.test_files().items()}
    test = inference_set.prepare(raw, adam_scaling, tmp_path, inputs)
    devices.make_repeatable(0)
    z = np.empty((len(test.ids), 368), np.float32)
    for group in ALL:
        network = build(small_run.NETWORK)
        checkpoints.load_into(
            network, checkpoints.read_tensors(files_of(tuned, group).checkpoint), ""
        )
        all_targets = np.concatenate(
            list(inference.predict(network, test.inputs[:], TUNED.batch, CPU))
        )
        z[:, GROUPS[group]] = all_targets[:, GROUPS[group]]
    expected = adam_scaling.raw(z, test.q0002[:])
    table = pq.read_table(str(tuned / "subs" / "adam_200gf.parquet"))
    assert table.column("sample_id").to_pylist() == list(test.ids)
    for k, name in enumerate(TARGETS):
        assert (
            table.column(name).to_numpy().tobytes()
            == np.ascontiguousarray(expected[:, k]).tobytes()
        ), name


def test_a_second_run_does_nothing(tuned, tiny_world, tmp_path, capsys):
    before = products(tuned)
    assert small_run.run(tune(tiny_world, tuned)) == 0
    output = capsys.readouterr().out
    assert output.count("is skipped: its receipt proves it") == 2 and "runs" not in output
    assert products(tuned) == before


# ---- which weights a group keeps -----------------------------------------------------------------


def test_a_group_that_is_not_tuned_by_construction_has_the_parents_weights_and_says_so(tuned):
    assert files_of(tuned, 0).checkpoint.read_bytes() == parent(tuned).checkpoint.read_bytes()
    assert np.array_equal(
        np.load(str(files_of(tuned, 0).validation_predictions)),
        np.load(str(parent(tuned).validation_predictions))[:, GROUPS[0]],
    )
    details = receipt(files_of(tuned, 0).checkpoint)["details"]
    assert (
        details["weights"] == "of the parent adam/200"
        and "by the team's construction" in details["reason"]
    )
    assert not files_of(tuned, 0).log.exists()


@pytest.mark.parametrize("group", range(1, 7))
def test_a_group_keeps_the_parents_weights_where_the_parent_was_better_and_says_so(group, tuned):
    files = files_of(tuned, group)
    parent_files = parent(tuned)
    details = receipt(files.checkpoint)["details"]
    same_as_parent = (
        files.checkpoint.read_bytes() == parent_files.checkpoint.read_bytes(),
        np.array_equal(
            np.load(str(files.validation_predictions)),
            np.load(str(parent_files.validation_predictions))[:, GROUPS[group]],
        ),
    )
    if group in KEPT:
        assert same_as_parent == (True, True) and details["weights"] == "of the parent adam/200"
        assert "its R2 9.00000 is above the fine-tuned" in details["reason"]
    else:
        assert (
            same_as_parent == (False, False)
            and details["weights"] == "trained"
            and "reason" not in details
        )
        assert details["parent's R2"] == -9.0
    assert details["fine-tuned R2"] == pytest.approx(details["validation"]["groups"][group], abs=0)


def test_the_submissions_receipt_lists_the_groups_that_kept_their_parent(tuned):
    assert receipt(tuned / "subs" / "adam_200gf.parquet")["details"]["parents"] == {
        f"200gf_g{g}": "of the parent adam/200" for g in (0,) + KEPT
    }


@pytest.mark.modern
def test_without_the_rule_a_worse_group_keeps_its_own_weights(
    with_parent, tiny_world, tmp_path, monkeypatch
):
    folder = copy_of(with_parent, tmp_path)
    always = replace(TUNED, groups=experiments.GroupRule())
    monkeypatch.setattr(small_run, "EXPERIMENTS", (PARENT, always))
    assert small_run.run(tune(tiny_world, folder)) == 0
    for group in ALL:
        assert receipt(files_of(folder, group).checkpoint)["details"]["weights"] == "trained"
        assert (
            files_of(folder, group).checkpoint.read_bytes()
            != parent(folder).checkpoint.read_bytes()
        )


def test_parents_predictions_that_are_not_its_receipts_are_not_passed_on(
    with_parent, tiny_world, tmp_path
):
    folder = copy_of(with_parent, tmp_path)
    np.save(str(parent(folder).validation_predictions), np.zeros((96, 368), np.float32))
    with refused(parent(folder).validation_predictions, "is not what its receipt names"):
        small_run.run(tune(tiny_world, folder))


def test_40s_second_stage_takes_its_parents_tensors_but_the_heads_weight(tmp_path: Path) -> None:
    table = by_id(fwm.EXPERIMENTS)
    child = table["40-stage2"]
    first = table["40-stage1"]
    files = RunFiles(tmp_path / "outputs" / "forcewithme" / first.id, first.id)
    torch.manual_seed(1)
    checkpoints.save(build_fwm(first.network["sample"]), files.checkpoint)
    receipts.write(files.checkpoint, "training", {}, receipts.now())
    network = build_fwm(child.network["sample"])
    start = fine_tuning.Parent(
        child, Layout(RawData(tmp_path), Results(tmp_path), tmp_path)
    ).weights(network)
    before = checkpoints.read_tensors(files.checkpoint)
    fresh = network.state_dict()["fc.0.weight"].numpy()
    assert list(start) == list(before) and np.array_equal(start["fc.0.weight"], fresh)
    assert before["fc.0.weight"].shape == (14, 96) and fresh.shape == (14, 48)
    for name in set(start) - {"fc.0.weight"}:
        assert np.array_equal(start[name], before[name]), name
    checkpoints.load_into(network, start, "")
    assert np.array_equal(network.state_dict()["fc.0.bias"].numpy(), before["fc.0.bias"])


def test_fresh_tensors_are_a_function_of_the_recipes_seed(
    with_parent, tiny_world, tmp_path, monkeypatch
):
    child = replace(TUNED, groups=None, reinitialised=("fc1.weight",))
    monkeypatch.setattr(small_run, "EXPERIMENTS", (PARENT, child))
    started = []
    monkeypatch.setattr(
        training.checkpoints,
        "load_into",
        lambda network, tensors, *_: (
            started.append(tensors) or (_ for _ in ()).throw(KeyboardInterrupt)
        ),
    )
    for seed in (1, 2):
        torch.manual_seed(seed)  # what the process drew before
        with pytest.raises(KeyboardInterrupt):
            small_run.run(tune(tiny_world, copy_of(with_parent, tmp_path / str(seed))))
    tensors, tensors_again = started
    assert all(np.array_equal(tensors[name], tensors_again[name]) for name in tensors)


# ---- one pass ------------------------------------------------------------------------------------


class Counted:
    """Inputs that count how often each row is read."""

    def __init__(self, values):
        self.values = values
        self.reads = np.zeros(len(values), int)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        self.reads[rows] += 1
        return self.values[rows]


@pytest.fixture(scope="module")
def group_checkpoints(tmp_path_factory):
    """Return seven checkpoints of one network, each with the columns of its group."""
    folder = tmp_path_factory.mktemp("group_checkpoints")
    for group in ALL:
        torch.manual_seed(group)
        checkpoints.save(build(small_run.NETWORK), folder / f"{group}.pt")
    return [inference.GroupCheckpoint(folder / f"{g}.pt", GROUPS[g]) for g in ALL]


@pytest.mark.modern
def test_the_inputs_are_read_once_for_all_checkpoints(group_checkpoints):
    inputs = Counted(np.random.RandomState(1).randn(2200, 556).astype(np.float32))
    blocks = list(
        inference.predict_chunks(build(small_run.NETWORK), group_checkpoints, inputs, 500, CPU)
    )
    assert [len(block) for block in blocks] == [1000, 1000, 200] and inputs.reads.tolist() == [
        1
    ] * 2200


@pytest.mark.modern
def test_memory_does_not_grow_with_the_number_of_checkpoints(group_checkpoints):
    network = build(small_run.NETWORK)
    inputs = np.zeros((640, 556), np.float32)

    def peak(chosen):
        tracemalloc.start()
        for _ in inference.predict_chunks(network, chosen, inputs, 128, CPU):
            pass
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak_bytes

    peak(group_checkpoints)  # what is only ever imported and allocated once
    assert peak(group_checkpoints) < 1.05 * peak(group_checkpoints[:2])


def test_inference_builds_one_network(tuned, tiny_world, tmp_path):
    folder = copy_of(tuned, tmp_path)
    (folder / "subs" / "adam_200gf.parquet").unlink()
    built = []
    argv = tune(tiny_world, folder)
    assert (
        member.main(
            "adam",
            small_run.EXPERIMENTS,
            lambda config: built.append(build(config)) or built[-1],
            argv,
        )
        == 0
    )
    assert len(built) == 1 and products(folder) == products(tuned)


# ---- killed --------------------------------------------------------------------------------------

# At the first and the second evaluation: while checkpoints are kept, and when some states are saved
# and others not. Before the receipt of a group, while the parent's weights are taken over (its
# predictions are, the checkpoint is not), in the pass over seven checkpoints, between the merge and
# the parquet. {moment: {group: updates that are left of its six}}
_MOMENTS = {
    "leapkit.run.training._keep:2": dict.fromkeys(TRAINED, 6),
    "leapkit.run.training_state.save:3": {1: 3, 2: 3, 3: 6, 4: 6, 5: 6, 6: 6},
    "leapkit.run.training._keep:8": dict.fromkeys(TRAINED, 3),
    "leapkit.run.training_state.save:8": {2: 3, 3: 3, 4: 3, 5: 3, 6: 3},
    "leapkit.core.receipts.write:3": {},
    "leapkit.run.fine_tuning.publish_copy:2": {},
    "leapkit.run.inference.predict:17": {},
    "leapkit.run.inference.write_submission:1": {},
}


@pytest.fixture(scope="module")
def killed(with_parent, tiny_world, tmp_path_factory):
    folders = {moment: tmp_path_factory.mktemp("killed") / "submission" for moment in _MOMENTS}
    for folder in folders.values():
        shutil.copytree(str(with_parent), str(folder))
    ended = small_run.in_children(
        [(moment + ":SIGKILL", tune(tiny_world, folder)) for moment, folder in folders.items()]
    )
    for code, output in ended:
        assert code == -signal.SIGKILL, output
    return folders


@pytest.mark.modern  # test_training ends a run at every moment on every stack
@pytest.mark.parametrize("moment", _MOMENTS)
def test_a_killed_fine_tuning_goes_on_to_the_same_bytes_and_repeats_no_update(
    moment, killed, tuned, tiny_world, monkeypatch
):
    folder = killed[moment]
    updates = counted_updates(monkeypatch)
    assert small_run.run(tune(tiny_world, folder)) == 0
    assert Counter(updates) == _MOMENTS[moment] and products(folder) == products(tuned)


def counted_updates(monkeypatch):
    """Return a list that grows by the group of each update."""
    updates = []
    update = training._update
    monkeypatch.setattr(
        training,
        "_update",
        lambda run, *arguments: updates.append(run.task.group) or update(run, *arguments),
    )
    return updates


@pytest.mark.modern
def test_a_group_whose_loss_is_not_finite_leaves_the_others_proven(
    with_parent, tuned, tiny_world, tmp_path, monkeypatch
):
    folder = copy_of(with_parent, tmp_path)
    update = training._update
    with monkeypatch.context() as patch:
        patch.setattr(
            training,
            "_update",
            lambda run, *batch: update(run, *batch) * (np.nan if run.task.group == 3 else 1),
        )
        with refused("training", "the loss became NaN or infinite"):
            small_run.run(tune(tiny_world, folder))
    proven = [g for g in ALL if receipts.receipt_path(files_of(folder, g).checkpoint).exists()]
    assert proven == [0, 1, 2, 4, 5, 6]
    updates = counted_updates(monkeypatch)
    assert small_run.run(tune(tiny_world, folder)) == 0
    assert Counter(updates) == {3: 6} and products(folder) == products(tuned)


# ---- groups alone --------------------------------------------------------------------------------


def part(raw: Path, folder: Path, groups: str):
    """Return the command line of the training of some groups alone."""
    return [*tune(raw, folder), "--groups", groups]


@pytest.fixture(scope="module")
def parted(with_parent, tiny_world, tmp_path_factory):
    """Return (folder, output of each command): seven processes at once, one killed, then the rest.

    Group 3 is killed at its second evaluation and started again, group 1 again for nothing, and the
    plain command comes last.
    """
    folder = tmp_path_factory.mktemp("parted") / "submission"
    shutil.copytree(str(with_parent), str(folder))
    moments = {3: "leapkit.run.training._keep:2:SIGKILL"}
    ended = small_run.in_children(
        [(moments.get(g, ""), part(tiny_world, folder, str(g))) for g in ALL], at_once=True
    )
    assert [code for code, _ in ended] == [-signal.SIGKILL if g == 3 else 0 for g in ALL], ended
    assert [files_of(folder, g).state.exists() for g in ALL] == [g == 3 for g in ALL]
    again = small_run.in_children(
        [("", part(tiny_world, folder, g)) for g in "31"] + [("", tune(tiny_world, folder))]
    )
    assert [code for code, _ in again] == [0, 0, 0], again
    return folder, [output for _, output in again]


@pytest.mark.modern
def test_seven_groups_in_processes_of_their_own_leave_the_bytes_of_one_run(parted, tuned):
    folder, _ = parted
    assert products(folder) == products(tuned)
    assert not [path for path in folder.rglob("*") if ".partial" in path.name]
    for group in ALL:
        ours, theirs = (receipt(files_of(each, group).checkpoint) for each in (folder, tuned))
        assert ours["inputs"] == theirs["inputs"] and ours["sha256"] == theirs["sha256"]


@pytest.mark.modern
def test_a_killed_group_goes_on_a_proven_one_does_nothing_and_the_plain_command_predicts(parted):
    _, (resumed, proven, plain) = parted
    assert "200gf_g3: continues after epoch 1, step 3 of 6" in resumed
    assert "train runs: group 3 alone: it has no receipt" in resumed and "infer" not in resumed
    assert "train is skipped: group 1 alone: its receipt proves it" in proven
    assert "train is skipped: its receipt proves it" in plain and "infer runs" in plain


@pytest.mark.modern
def test_some_groups_of_a_request_are_trained_together(with_parent, tuned, tiny_world, tmp_path):
    folder = copy_of(with_parent, tmp_path)
    assert small_run.run(part(tiny_world, folder, "4, 1")) == 0
    assert sorted(path.name for path in files_of(folder).folder.glob("*.pt")) == [
        "200gf_g1.pt",
        "200gf_g4.pt",
    ]
    assert not (folder / "subs" / "adam_200gf.parquet").exists()
    for group in (1, 4):
        ours, theirs = (files_of(each, group).checkpoint for each in (folder, tuned))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    "held, refused_groups, free_group",
    [((), ("", "3"), None), ((3,), ("", "3", "1,3"), "0")],
)
def test_a_group_at_work_refuses_the_whole_and_itself_and_a_whole_run_refuses_its_groups(
    held, refused_groups, free_group, with_parent, tiny_world, tmp_path
):
    folder = copy_of(with_parent, tmp_path)
    with work_locks.hold(TUNED, Results(folder), held):
        for groups in refused_groups:
            argv = part(tiny_world, folder, groups) if groups else tune(tiny_world, folder)
            with refused(files_of(folder).folder, "another run is at work here"):
                small_run.run(argv)
        assert free_group is None or small_run.run(part(tiny_world, folder, free_group)) == 0


@pytest.mark.modern
def test_a_proven_group_is_left_as_it_is_whoever_is_at_work(tuned, tiny_world, tmp_path):
    with work_locks.hold(TUNED, Results(tuned)):
        assert small_run.run(part(tiny_world, tuned, "1")) == 0


# ---- stale ---------------------------------------------------------------------------------------


@pytest.mark.modern
def test_another_parent_makes_all_its_children_stale(tuned, tiny_world, tmp_path, capsys):
    folder = copy_of(tuned, tmp_path)
    old_receipt = receipt(parent(folder).checkpoint)
    torch.manual_seed(99)
    checkpoints.save(build(small_run.NETWORK), parent(folder).checkpoint)
    receipts.write(
        parent(folder).checkpoint,
        "training",
        old_receipt["inputs"],
        receipts.now(),
        old_receipt["details"],
    )
    assert small_run.run(tune(tiny_world, folder)) == 0
    assert "train runs: 7 of 7 groups, parent has changed" in capsys.readouterr().out
    assert files_of(folder, 0).checkpoint.read_bytes() == parent(folder).checkpoint.read_bytes()
    assert not set(products(folder).values()) & {
        value for name, value in products(tuned).items() if name.endswith(".pt")
    }


@pytest.mark.modern
def test_a_parent_that_must_be_trained_again_stops_its_children(tuned, tiny_world, tmp_path):
    folder = copy_of(tuned, tmp_path)
    receipts.receipt_path(parent(folder).checkpoint).unlink()
    layout = Layout(RawData(tiny_world), Results(folder), tmp_path)
    _, experiment_plan = plan.plan_experiments(
        (PARENT, TUNED), "reproduce", "sample", layout, InputHashes(layout.raw, HashIndex())
    )
    assert [checkpoint.reason for checkpoint in experiment_plan.checkpoints] == [
        "its parent is about to be trained"
    ] * 7 and experiment_plan.infer
    before = products(folder)
    with refused("adam/200gf", "its parent adam/200 is not trained", "run that first"):
        small_run.run(tune(tiny_world, folder))
    assert products(folder) == before


@pytest.mark.modern
def test_one_changed_group_is_trained_again_alone(tuned, tiny_world, tmp_path, capsys):
    folder = copy_of(tuned, tmp_path)
    files_of(folder, 4).validation_predictions.unlink()
    assert small_run.run(tune(tiny_world, folder)) == 0
    assert "train runs: 1 of 7 groups, its oof_g4.npy is missing" in capsys.readouterr().out
    assert products(folder) == products(tuned)
