"""Which experiments a run is about, which published file is whose, and which files are refused as another network's."""

from __future__ import annotations

import itertools
import json
from collections import OrderedDict
from importlib import import_module
from pathlib import Path

import pytest

from tests.helpers.refusals import refused

torch = pytest.importorskip("torch")

from launch.registry import members  # noqa: E402
from leapkit.core import ownership, plan, receipts  # noqa: E402
from leapkit.core.experiments import group_stem  # noqa: E402
from leapkit.core.files import sha256_json  # noqa: E402
from leapkit.core.hash_index import HashIndex  # noqa: E402
from leapkit.core.input_hashes import InputHashes  # noqa: E402
from leapkit.core.layout import Layout, RawData, Results  # noqa: E402
from leapkit.core.registry import choose_experiments, lineage  # noqa: E402
from leapkit.data import checkpoints  # noqa: E402
from leapkit.run.member import main  # noqa: E402

torch.set_num_threads(1)
MEMBERS = members()
ROWS = {row.name: row for own in MEMBERS.values() for row in own}
FWM = MEMBERS["forcewithme"]


def ids(rows):
    return [row.id for row in rows]


# --- which experiments ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names, mode, expected",
    [
        ("37", "reproduce", ["37-stage1", "37"]),
        ("37", "infer-only", ["37"]),
        ("40", "reproduce", ["40-stage1", "40-stage2", "40"]),
        ("32,18", "reproduce", ["18", "32"]),
        ("32", "infer-only", ["32"]),
        ("40-stage2", "reproduce", ["40-stage1", "40-stage2"]),
        ("forcewithme/39 mixed", "reproduce", ["39-stage1", "39", "mixed-stage1", "mixed"]),
        ("", "infer-only", ["18", "32", "37", "38", "39", "40"]),
        (" , ", "infer-only", ["18", "32", "37", "38", "39", "40"]),
    ],
)
def test_to_reproduce_takes_what_an_experiment_starts_from_and_to_infer_does_not(
    names, mode, expected
):
    assert ids(choose_experiments(FWM, names, mode, everything=False)) == expected


def test_the_default_reproduces_the_published_blend_or_everything():
    every = ids(choose_experiments(FWM, "", "reproduce", everything=True))
    assert sorted(every) == sorted(ids(FWM))
    blend = ids(choose_experiments(FWM, "", "reproduce", everything=False))
    assert set(every) - set(blend) == {"mixed-stage1", "mixed"}
    assert ids(choose_experiments(MEMBERS["zuiye"], "", "reproduce", everything=True)) == ["A", "B"]


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_parents_come_before_their_children_whatever_the_order_of_the_rows(member):
    rows = tuple(reversed(MEMBERS[member]))
    ordered = ids(lineage(rows, rows))
    assert sorted(ordered) == sorted(ids(rows))
    for row in rows:
        assert not row.parent or ordered.index(row.parent) < ordered.index(row.id)


@pytest.mark.parametrize(
    "member, names, about",
    [
        ("zuiye", "", "zuiye"),
        ("zuiye", "A", "zuiye/A"),
        ("forcewithme", "37,37-stage1", "forcewithme/37-stage1"),
        ("max2020", "007", "max2020/007"),
    ],
)
def test_what_was_never_published_cannot_be_inferred_only(member, names, about):
    with refused("infer-only", f"no checkpoints were published of {about};", "MODE=reproduce"):
        choose_experiments(MEMBERS[member], names, "infer-only", everything=True)


# --- published files ------------------------------------------------------------------------------


def put(folder: Path, row, name: str, content: bytes = b"", groups=None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for group in row.checkpoint_groups if groups is None else groups:
        (folder / (group_stem(name, group) + ".pt")).write_bytes(content or str(group).encode())


def found(row, weights: Path):
    return [
        str(path.relative_to(weights))
        for path in ownership.published_checkpoints(row, weights, HashIndex())
    ]


PUBLISHED = [row for row in ROWS.values() if row.published]


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.name)
def test_a_published_file_is_found_under_its_name_flat_or_in_a_folder_of_any_of_its_names(
    row, tmp_path
):
    names = (row.id,) + row.published.names
    for at, (name, folder) in enumerate(itertools.product(names, ("",) + names)):
        weights = tmp_path / str(at)
        put(weights / folder, row, name)
        assert found(row, weights) == [
            str(Path(folder) / (group_stem(name, group) + ".pt")) for group in row.checkpoint_groups
        ]


@pytest.mark.parametrize(
    "experiment, files",
    [
        ("joseph/907", ["exp907/ex907.pt"]),  # the README's folder, the scripts' file
        ("joseph/912sep", ["ex912sep/ex912sep_g%d.pt" % g for g in range(7)]),
        (
            "forcewithme/18",
            ["forcewithme_reslstm_cv0.789_lb0.783/forcewithme_reslstm_cv0.7890_lb0.7863.pt"],
        ),
        ("forcewithme/32", ["forcewithme_gf_reslstm_cv0.790_lb0.785_g%d.pt" % g for g in range(7)]),
        (
            "forcewithme/mixed",
            ["forcewithme_gf_LstmMambaMixed_cv0.7886_lb0.7858_g%d.pt" % g for g in range(7)],
        ),
        (
            "max2020/021",
            ["021_fork14_moredim_gf/021_fork14_moredim_gf_g%d.pt" % g for g in range(7)],
        ),
        ("max2020/010", ["010_group_finetune/010_group_finetune_g%d.pt" % g for g in range(7)]),
        ("adam/195", ["195.pt"]),
    ],
)
def test_the_files_lie_as_the_team_published_them(experiment, files, tmp_path):
    for number, name in enumerate(files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"%d" % number)
    assert found(ROWS[experiment], tmp_path) == files


def test_two_different_files_under_two_names_are_refused_and_two_copies_are_not(tmp_path):
    row = ROWS["joseph/907"]
    put(tmp_path / "ex907", row, "ex907", b"one")
    put(tmp_path, row, "907", b"one")
    assert found(row, tmp_path) == ["907.pt"]
    put(tmp_path, row, "907", b"two")
    with refused(
        tmp_path / "ex907" / "ex907.pt", "another file than 907.pt", "both are names of joseph/907"
    ):
        found(row, tmp_path)


@pytest.mark.parametrize(
    "there, missing", [((), "g0"), ((0, 1, 2, 4, 5, 6), "g3"), ((0, 1, 2, 3, 4, 5), "g6")]
)
def test_a_missing_file_is_named_as_the_team_names_it_where_fetch_puts_it(there, missing, tmp_path):
    put(tmp_path, ROWS["max2020/014"], "014", groups=there)
    with refused(
        tmp_path / "014_group_finetune" / f"014_group_finetune_{missing}.pt",
        "the checkpoint is missing",
        "make reproduce",
    ):
        found(ROWS["max2020/014"], tmp_path)


# --- another network's files ----------------------------------------------------------------------


def build(row):
    torch.manual_seed(3)
    return import_module(f"members.{row.member}.networks").build(row.network["sample"])


def publish(row, weights: Path, prefix: str, trained: str = "") -> None:
    """The row's checkpoints at sample width under their published name; with the receipt of `trained`'s training."""
    tensors = OrderedDict((prefix + name, value) for name, value in build(row).state_dict().items())
    for group in row.checkpoint_groups:
        path = weights / (group_stem(row.published.names[0], group) + ".pt")
        checkpoints.write_tensors(path, tensors)
        if trained:
            inputs = {"network": sha256_json(ROWS[trained].network_record("sample"))}
            receipts.write(path, "training", inputs, receipts.now())


def plans(rows, world: Path, weights: Path):
    places = Layout(RawData(world), Results(weights / "submission"), weights)
    return plan.plan_experiments(
        rows, "infer-only", "sample", places, InputHashes(places.raw, HashIndex())
    )


def blocked_by_each_other(names, world, tmp_path):
    """The same bytes under all the names; the blocked ones."""
    planned = []
    for name in names:
        put(tmp_path / name, ROWS[name], ROWS[name].published.names[0], b"the same bytes")
        planned += plans([ROWS[name]], world, tmp_path / name)
    assert not any(experiment_plan.blocked for experiment_plan in planned)
    plan.block_shared_files(planned, "sample", InputHashes(RawData(world), HashIndex()))
    return {
        experiment_plan.experiment.name: experiment_plan.blocked
        for experiment_plan in planned
        if experiment_plan.blocked
    }


def test_the_same_file_is_refused_under_the_names_of_two_networks(tiny_world, tmp_path):
    blocked = blocked_by_each_other(
        ["forcewithme/32", "max2020/014", "adam/195"], tiny_world, tmp_path
    )
    assert sorted(blocked) == ["adam/195", "max2020/014"]
    assert (
        "is the same file as a checkpoint of forcewithme/32, another network"
        in blocked["max2020/014"]
    )


def test_experiments_of_one_network_may_share_a_file(tiny_world, tmp_path):
    assert not blocked_by_each_other(["joseph/912", "joseph/912sep"], tiny_world, tmp_path)
    assert not blocked_by_each_other(["forcewithme/18", "forcewithme/32"], tiny_world, tmp_path)


def test_a_checkpoint_whose_receipt_names_another_network_is_refused(tiny_world, tmp_path):
    row = ROWS["forcewithme/32"]
    publish(row, tmp_path / "own", "", trained=row.name)
    publish(row, tmp_path / "other", "", trained="max2020/014")
    assert [
        experiment_plan.blocked for experiment_plan in plans([row], tiny_world, tmp_path / "own")
    ] == [""]
    (experiment_plan,) = plans([row], tiny_world, tmp_path / "other")
    assert (
        "another network than forcewithme/32 at sample size" in experiment_plan.blocked
        and not experiment_plan.runs
    )


@pytest.mark.parametrize("change", [{"kind": "admitted"}, {"sha256": "0" * 64}, {"inputs": {}}])
def test_a_receipt_of_something_else_proves_no_network(change, tmp_path):
    row = ROWS["joseph/907"]
    publish(row, tmp_path, "", trained=row.name)
    path = tmp_path / "ex907.pt"
    assert ownership.proves_training(path, row, "sample", HashIndex())
    receipt = receipts.receipt_path(path)
    receipt.write_text(json.dumps(dict(json.loads(receipt.read_text()), **change)))
    if change == {"inputs": {}}:
        with refused(path, "another network"):
            ownership.proves_training(path, row, "sample", HashIndex())
    else:
        assert not ownership.proves_training(path, row, "sample", HashIndex())


@pytest.mark.parametrize(
    "experiment, prefix, twin",
    [("forcewithme/32", "", "max2020/014"), ("max2020/014", "module.", "forcewithme/32")],
)
def test_a_file_that_may_be_the_twins_is_refused_unless_a_receipt_says_whose_it_is(
    experiment, prefix, twin, tiny_world, tmp_path
):
    row = ROWS[experiment]

    def infer(weights: Path, submission: Path) -> int:
        return main(
            row.member,
            MEMBERS[row.member],
            import_module(f"members.{row.member}.networks").build,
            [
                "infer-only",
                "--raw-data",
                str(tiny_world),
                "--submission",
                str(submission),
                "--weights",
                str(weights),
                "--profile",
                "sample",
                "--device",
                "cpu",
                "--experiments",
                row.id,
            ],
        )

    publish(row, tmp_path / "bare", prefix)
    with refused(
        tmp_path / "bare", f"it may be a checkpoint of {twin}", "with" if prefix else "without"
    ):
        infer(tmp_path / "bare", tmp_path / "s")
    assert not list((tmp_path / "s").rglob("*.parquet"))
    publish(row, tmp_path / "trained", prefix, trained=experiment)
    assert infer(tmp_path / "trained", tmp_path / "s") == 0
    publish(row, tmp_path / "published", row.published.prefix)
    assert infer(tmp_path / "published", tmp_path / "t") == 0


# --- children and admitted parents ----------------------------------------------------------------


def test_a_parent_whose_parquet_is_the_users_own_has_no_weights_to_start_from(tiny_world, tmp_path):
    """Admitted parquets are never made again, so the plan has no checkpoint for their children: one sentence."""
    places = Layout(RawData(tiny_world), Results(tmp_path), tmp_path)
    parquet = places.results.parquet(ROWS["forcewithme/18"].artifact)
    parquet.parent.mkdir(parents=True)
    parquet.write_bytes(b"my own")
    hashes = InputHashes(places.raw, HashIndex())
    receipts.write(parquet, ownership.ADMITTED, hashes.test(), receipts.now())
    parent, child = plan.plan_experiments(
        [ROWS["forcewithme/18"], ROWS["forcewithme/32"]], "reproduce", "sample", places, hashes
    )
    assert not parent.blocked and not parent.runs
    assert "forcewithme/18" in child.blocked and child.remedy
