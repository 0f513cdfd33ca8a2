"""What may be learned from: predictions of rows that no weight of their networks was fitted to.

A checkpoint's receipt names the split and the validation steps of its training. If they are those
of today, its validation rows were left out of training. A fine-tuned checkpoint, and one that keeps
its parent's weights, holds what its parent learned, so the parent is asked too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping

from leapkit.core import receipts
from leapkit.core.errors import KitError
from leapkit.core.layout import Results

_SPLIT = ("split", "validation steps")


def require_out_of_fold(
    artifact: str, receipt: Mapping[str, Any], results: Results, split: Mapping[str, str]
) -> None:
    """Raise KitError unless the networks of an artifact have not learned from the validation rows.

    receipt  of its parquet
    split    {role: sha256} of today's split and validation steps
    """
    details = receipt.get("details", {})
    member, _, number = str(details.get("experiment", "")).partition("/")
    names = details.get("checkpoints", ())
    if not number or not names:
        raise KitError(
            "does not say which network it is of, so it may have learned from what it predicts",
            receipts.receipt_path(results.parquet(artifact)),
            f"train it here with `make reproduce EXPERIMENTS={artifact}`",
        )
    folder = results.experiment(member, number)
    for name in names:
        trained = _training_of(folder / name, artifact)
        if trained["sha256"] not in receipt["inputs"].values():
            raise KitError(
                f"is not the one that predicted {artifact}, which may have learned from other rows",
                folder / name,
                f"predict it again with `make reproduce EXPERIMENTS={artifact}`",
            )
        _require_split(trained, folder / name, artifact, split)
        while trained["inputs"].get("parent"):
            parent = _parent(trained["inputs"]["parent"], results.outputs(member), artifact)
            trained = receipts.read(parent)
            _require_split(trained, parent, artifact, split)


def _training_of(checkpoint: Path, artifact: str) -> Dict[str, Any]:
    """Return the receipt of a checkpoint's training. Raises KitError if there is none."""
    receipt = receipts.read(checkpoint)
    if receipt.get("kind") != "training" or "inputs" not in receipt:
        raise KitError(
            f"has no receipt of its training, so it may have learned from what {artifact} predicts",
            checkpoint,
            f"train it here with `make reproduce EXPERIMENTS={artifact}`",
        )
    return receipt


def _require_split(
    receipt: Mapping[str, Any], checkpoint: Path, artifact: str, split: Mapping[str, str]
) -> None:
    for role in _SPLIT:
        if receipt["inputs"].get(role) != split[role]:
            raise KitError(
                f"was trained with another {role}: it may have learned from rows that it predicts",
                checkpoint,
                f"train it again with `make reproduce EXPERIMENTS={artifact}`",
            )


def _parent(digest: str, outputs: Path, artifact: str) -> Path:
    """Return the checkpoint of a member whose receipt has a sha256. Raises KitError if none has."""
    for path in sorted(outputs.glob("*/*" + receipts.SUFFIX)):
        checkpoint = path.with_name(path.name[: -len(receipts.SUFFIX)] + ".pt")
        receipt = receipts.read(checkpoint)
        # A copy that kept these weights names them as its parent's: it is not what trained them.
        is_copy = receipt.get("inputs", {}).get("parent") == digest
        if receipt.get("kind") == "training" and receipt.get("sha256") == digest and not is_copy:
            return checkpoint
    raise KitError(
        f"hold no receipt of the network that {artifact} was fine-tuned from, which may have"
        " learned from the rows that it predicts",
        outputs,
        f"train it here with `make reproduce EXPERIMENTS={artifact}`",
    )
