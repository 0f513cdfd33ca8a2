"""What protects a user's files: they are checked and used, never mistaken and never overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import List

from leapkit.core import receipts
from leapkit.core.errors import KitError
from leapkit.core.experiments import Experiment
from leapkit.core.files import sha256_json
from leapkit.core.hash_index import HashIndex
from leapkit.core.input_hashes import InputHashes

ADMITTED = "admitted"  # the kind of receipt that `make verify` writes for a file from elsewhere


def is_admitted(parquet: Path, hashes: InputHashes) -> bool:
    """Return whether a parquet is the user's own, verified for this very test set.

    Raises KitError if it was verified for another test set, or has changed since.
    """
    if not parquet.exists() or receipts.read(parquet).get("kind") != ADMITTED:
        return False
    verdict = receipts.judge(parquet, hashes.test(), hashes.index)
    if not verdict.done:
        raise KitError(
            f"is a file of your own, and {verdict.reason}",
            parquet,
            "remove its receipt and run `make verify` again, or move it away",
        )
    return True


def require_replaceable(parquet: Path, scratch: Path, profile: str) -> None:
    """Raise KitError rather than overwrite a parquet that this run may not overwrite.

    That is a user's own parquet, or a full-size result while the profile is `sample`. A parquet
    without a receipt is the kit's own if the predictions that it was written from (`scratch`)
    still exist: a run was stopped between the parquet and its receipt.
    """
    if not parquet.exists():
        return
    if not receipts.receipt_path(parquet).exists():
        if scratch.exists():
            return
        raise KitError(
            "has no receipt, so it may be your own download",
            parquet,
            "admit it with `make verify`, or move it away",
        )
    receipt = receipts.read(parquet)
    if not receipt:
        raise KitError(
            "has a receipt that cannot be read, so nothing says whether it can be made again",
            parquet,
            "move both away, or remove the receipt and admit the parquet with `make verify`",
        )
    receipts.require_own(parquet, receipt, "run the same command again")
    if profile == "sample" and receipt.get("details", {}).get("profile") == "full":
        raise KitError(
            "was made at full size, and the sample profile would overwrite it",
            parquet,
            "give another folder with SUBMISSION=",
        )


def published_checkpoints(experiment: Experiment, weights: Path, index: HashIndex) -> List[Path]:
    """Return the team's checkpoint of each group, from wherever it lies below `weights`.

    Raises KitError if one is missing, or if several files with its names differ.
    """
    return [
        _published_checkpoint(experiment, experiment.checkpoint_candidates(weights, group), index)
        for group in experiment.checkpoint_groups
    ]


def _published_checkpoint(experiment: Experiment, candidates: List[Path], index: HashIndex) -> Path:
    existing = [path for path in candidates if path.exists()]
    if not existing:
        remedy = "train it with `make reproduce`"
        if experiment.published:
            remedy = f"get it with `make fetch WHAT=weights DRIVE=...`, or {remedy}"
        raise KitError("the checkpoint is missing", candidates[0], remedy)
    first = existing[0]
    for other in existing[1:]:
        if index.of(other) != index.of(first):
            raise KitError(
                f"is another file than {first.name}, and both are names of {experiment.name}",
                other,
                "keep the right one",
            )
    return first


def proves_training(
    checkpoint: Path, experiment: Experiment, profile: str, index: HashIndex
) -> bool:
    """Return whether a receipt beside the checkpoint proves that this network was trained.

    Raises KitError if it proves another network or group: equal names and shapes would let it load.
    """
    receipt = receipts.read(checkpoint)
    if receipt.get("kind") != "training" or receipt.get("sha256") != index.of(checkpoint):
        return False
    if receipt["product"] not in _names_of_group(checkpoint, experiment):
        receipts.require_own(checkpoint, receipt, "put this network's own checkpoint there")
    network = receipt.get("inputs", {}).get("network")
    if network != sha256_json(experiment.network_record(profile)):
        raise KitError(
            f"its receipt says that it is the checkpoint of another network than "
            f"{experiment.name} at {profile} size",
            checkpoint,
            "put this network's own checkpoint there",
        )
    return True


def _names_of_group(checkpoint: Path, experiment: Experiment) -> List[str]:
    """Return all names that a checkpoint of this network and of this group of targets may have."""
    for group in experiment.checkpoint_groups:
        names = [path.name for path in experiment.checkpoint_candidates(Path(), group)]
        if checkpoint.name in names:
            return names
    return []
