"""Each published file belongs to one network; another network's file is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import pytest

from leapkit.core import receipts
from leapkit.core.experiments import Experiment, group_stem
from leapkit.core.files import sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.ownership import proves_training, published_checkpoints, require_replaceable
from leapkit.core.registry import discover
from tests.helpers.refusals import refused

MEMBERS = discover(Path(__file__).resolve().parents[2])
ALL = {
    experiment.name: experiment
    for member_experiments in MEMBERS.values()
    for experiment in member_experiments
}
PUBLISHED = [experiment for experiment in ALL.values() if experiment.published]


def put(
    folder: Path,
    experiment: Experiment,
    name: str,
    content: bytes = b"",
    groups: Optional[Sequence[Optional[int]]] = None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for group in experiment.checkpoint_groups if groups is None else groups:
        (folder / (group_stem(name, group) + ".pt")).write_bytes(content or str(group).encode())


def files_of(experiment: Experiment, weights: Path) -> List[str]:
    paths = published_checkpoints(experiment, weights, HashIndex())
    return [str(path.relative_to(weights)) for path in paths]


# --- where a published checkpoint lies ------------------------------------------------------------


@pytest.mark.parametrize("experiment", PUBLISHED, ids=lambda experiment: experiment.name)
def test_a_published_file_is_recognised_flat_or_in_a_folder_of_any_of_its_names(
    experiment: Experiment, tmp_path: Path
) -> None:
    names = experiment.checkpoint_names
    for number, (name, folder) in enumerate(itertools.product(names, ("",) + names)):
        weights = tmp_path / str(number)
        put(weights / folder, experiment, name)
        assert files_of(experiment, weights) == [
            str(Path(folder) / (group_stem(name, group) + ".pt"))
            for group in experiment.checkpoint_groups
        ]


@pytest.mark.parametrize(
    "name, files",
    [
        ("joseph/907", ["exp907/ex907.pt"]),  # the README's folder, the scripts' file
        ("joseph/912sep", [f"ex912sep/ex912sep_g{group}.pt" for group in range(7)]),
        (
            "forcewithme/18",
            ["forcewithme_reslstm_cv0.789_lb0.783/forcewithme_reslstm_cv0.7890_lb0.7863.pt"],
        ),
        (
            "forcewithme/32",
            [f"forcewithme_gf_reslstm_cv0.790_lb0.785_g{group}.pt" for group in range(7)],
        ),
        (
            "forcewithme/mixed",
            [f"forcewithme_gf_LstmMambaMixed_cv0.7886_lb0.7858_g{group}.pt" for group in range(7)],
        ),
        (
            "max2020/021",
            [f"021_fork14_moredim_gf/021_fork14_moredim_gf_g{group}.pt" for group in range(7)],
        ),
        (
            "max2020/010",
            [f"010_group_finetune/010_group_finetune_g{group}.pt" for group in range(7)],
        ),
        ("adam/195", ["195.pt"]),
    ],
)
def test_the_files_lie_as_the_team_published_them(
    name: str, files: List[str], tmp_path: Path
) -> None:
    for number, file in enumerate(files):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"%d" % number)
    assert files_of(ALL[name], tmp_path) == files


def test_a_safetensors_file_is_found_where_a_checkpoint_may_lie(tmp_path: Path) -> None:
    for folder, name in (("", "195"), ("907", "ex907")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / (name + ".safetensors")).write_bytes(name.encode())
    assert files_of(ALL["adam/195"], tmp_path) == ["195.safetensors"]
    assert files_of(ALL["joseph/907"], tmp_path) == ["907/ex907.safetensors"]
    put(tmp_path, ALL["adam/195"], "195", b"another")
    with refused(tmp_path / "195.safetensors", "another file than 195.pt"):
        files_of(ALL["adam/195"], tmp_path)


def test_two_different_files_under_two_names_are_refused_and_two_copies_are_not(
    tmp_path: Path,
) -> None:
    experiment = ALL["joseph/907"]
    put(tmp_path / "ex907", experiment, "ex907", b"one")
    put(tmp_path, experiment, "907", b"one")
    assert files_of(experiment, tmp_path) == ["907.pt"]
    put(tmp_path, experiment, "907", b"two")
    with refused(
        tmp_path / "ex907" / "ex907.pt", "another file than 907.pt", "both are names of joseph/907"
    ):
        files_of(experiment, tmp_path)


@pytest.mark.parametrize(
    "existing, missing", [((), "g0"), ((0, 1, 2, 4, 5, 6), "g3"), ((0, 1, 2, 3, 4, 5), "g6")]
)
def test_a_missing_file_is_named_as_the_team_names_it_where_fetch_puts_it(
    existing: Sequence[int], missing: str, tmp_path: Path
) -> None:
    put(tmp_path, ALL["max2020/014"], "014", groups=existing)
    with refused(
        tmp_path / "014_group_finetune" / f"014_group_finetune_{missing}.pt",
        "the checkpoint is missing",
        "make fetch WHAT=weights",
        "make reproduce",
    ):
        files_of(ALL["max2020/014"], tmp_path)


def test_what_was_never_published_is_to_be_trained(tmp_path: Path) -> None:
    with refused(tmp_path / "37-stage1.pt", "is missing; train it with `make reproduce`"):
        files_of(ALL["forcewithme/37-stage1"], tmp_path)


# --- whose a checkpoint is ------------------------------------------------------------------------


def trained(folder: Path, experiment: Experiment) -> Path:
    """Write a checkpoint with the receipt of its training at sample size."""
    put(folder, experiment, experiment.checkpoint_names[0], b"weights")
    path = folder / (experiment.checkpoint_names[0] + ".pt")
    inputs = {"network": sha256_json(experiment.network_record("sample"))}
    receipts.write(path, "training", inputs, receipts.now())
    return path


def test_a_receipt_of_its_training_proves_a_network_and_refuses_any_other(tmp_path: Path) -> None:
    experiment = ALL["joseph/907"]
    path = trained(tmp_path, experiment)
    assert proves_training(path, experiment, "sample", HashIndex())
    with refused(path, "another network than joseph/907 at full size"):
        proves_training(path, experiment, "full", HashIndex())


@pytest.mark.parametrize("change", [{"kind": "admitted"}, {"sha256": "0" * 64}, {"inputs": {}}])
def test_a_receipt_of_something_else_proves_no_network(
    change: Dict[str, Any], tmp_path: Path
) -> None:
    experiment = ALL["joseph/907"]
    path = trained(tmp_path, experiment)
    receipt = receipts.receipt_path(path)
    receipt.write_text(json.dumps(dict(json.loads(receipt.read_text()), **change)))
    if change == {"inputs": {}}:
        with refused(path, "another network"):
            proves_training(path, experiment, "sample", HashIndex())
    else:
        assert not proves_training(path, experiment, "sample", HashIndex())


def test_a_group_s_checkpoint_under_another_group_s_name_is_refused(tmp_path: Path) -> None:
    """Both are of the same network, so nothing but the receipt tells them apart."""
    experiment = ALL["max2020/014"]
    inputs = {"network": sha256_json(experiment.network_record("sample"))}
    paths = [tmp_path / f"014_g{group}.pt" for group in (0, 3)]
    for path in paths:
        path.write_bytes(path.name.encode())
        receipts.write(path, "training", inputs, receipts.now())
        assert proves_training(path, experiment, "sample", HashIndex())
    published_name = tmp_path / "014_group_finetune_g0.pt"  # as `make infer-only` may find it
    for path, other in ((paths[0], published_name), (paths[1], paths[0])):
        path.rename(other)
        receipts.receipt_path(path).rename(receipts.receipt_path(other))
    assert proves_training(published_name, experiment, "sample", HashIndex())
    with refused(paths[0], "its receipt is that of 014_g3.pt"):
        proves_training(paths[0], experiment, "sample", HashIndex())


# --- what is never overwritten --------------------------------------------------------------------


def test_a_parquet_without_a_receipt_is_replaced_only_beside_its_unfinished_predictions(
    tmp_path: Path,
) -> None:
    parquet = tmp_path / "x.parquet"
    scratch = tmp_path / "predictions.f32"
    require_replaceable(parquet, scratch, "full")
    parquet.write_bytes(b"a download?")
    with refused(parquet, "may be your own download", "make verify"):
        require_replaceable(parquet, scratch, "full")
    scratch.write_bytes(b"")
    require_replaceable(parquet, scratch, "full")


def test_a_parquet_is_not_replaced_if_its_receipt_cannot_be_read(tmp_path: Path) -> None:
    parquet = tmp_path / "x.parquet"
    parquet.write_bytes(b"mine")
    receipts.receipt_path(parquet).write_text("{")
    with refused(parquet, "a receipt that cannot be read"):
        require_replaceable(parquet, tmp_path / "none", "full")


def test_the_sample_profile_never_overwrites_a_full_size_result(tmp_path: Path) -> None:
    parquet = tmp_path / "x.parquet"
    parquet.write_bytes(b"full")
    receipts.write(parquet, "submission", {}, receipts.now(), {"profile": "full"})
    require_replaceable(parquet, tmp_path / "none", "full")
    with refused(parquet, "was made at full size", "SUBMISSION="):
        require_replaceable(parquet, tmp_path / "none", "sample")


def test_a_parquet_with_another_s_receipt_is_not_replaced(tmp_path: Path) -> None:
    parquet = tmp_path / "x.parquet"
    parquet.write_bytes(b"mine")
    receipts.write(parquet, "submission", {}, receipts.now(), {"profile": "sample"})
    other = tmp_path / "y.parquet"
    parquet.rename(other)
    receipts.receipt_path(parquet).rename(receipts.receipt_path(other))
    with refused(other, "its receipt is that of x.parquet", "remove both"):
        require_replaceable(other, tmp_path / "none", "full")
