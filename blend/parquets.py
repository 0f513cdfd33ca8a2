"""The parquets of a weight table: which are missing, their hashes, the command that makes them.

Standard library only.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from blend import tables
from blend.tables import WeightTable
from leapkit.core import receipts
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results

STACK = "stack_"  # begins the name of an artifact that `make stack` makes of a blend


def missing_artifacts(table: WeightTable, results: Results, coming: Sequence[str]) -> List[str]:
    """Return the artifacts without parquet or receipt that this run is not about to make."""
    return [
        artifact
        for artifact in table.artifacts
        if artifact not in coming and not _has_receipt(results, artifact)
    ]


def _has_receipt(results: Results, artifact: str) -> bool:
    parquet = results.parquet(artifact)
    return parquet.exists() and receipts.receipt_path(parquet).exists()


def require_parquets(
    table: WeightTable,
    results: Results,
    raw: RawData,
    index: HashIndex,
    makeable: Sequence[str] = (),
) -> Dict[str, str]:
    """Return {file name: sha256} of the table's parquets.

    makeable  artifacts beside those of the shipped tables that members make

    Raises KitError unless each parquet has a valid receipt for this test set, and bytes of its own.
    """
    of_artifact = {}
    for artifact in table.artifacts:
        path = results.parquet(artifact)
        if not path.exists():
            _refuse_missing(artifact, table, results, makeable)
        receipt = receipts.require_valid(path, index, remedy(artifact))
        for role, file in raw.test_files().items():
            if receipt["inputs"].get(role) != index.of(file):
                raise KitError(
                    f"its receipt is stale: it was made for another {role} than {file}",
                    path,
                    remedy(artifact),
                )
        of_artifact[artifact] = receipt
    require_distinct(of_artifact, results)
    return {
        results.parquet(artifact).name: receipt["sha256"]
        for artifact, receipt in of_artifact.items()
    }


def require_distinct(of_artifact: Mapping[str, Mapping[str, Any]], results: Results) -> None:
    """Raise KitError if two artifacts are the same bytes: one of them is a copy of the other.

    of_artifact  {artifact: the receipt of its parquet}

    Fine-tuning may leave the parent's weights in all groups. The receipt says so, and the bytes
    are then rightly those of the parent.
    """
    first: Dict[str, str] = {}  # {sha256: artifact}
    for artifact, receipt in of_artifact.items():
        other = first.setdefault(receipt["sha256"], artifact)
        if other != artifact and not any(
            keeps_weights_of_parent(of_artifact[name]) for name in (artifact, other)
        ):
            raise KitError(
                f"has the same bytes as {results.parquet(other).name}: one of them is a copy",
                results.parquet(artifact),
                f"remove the copy and its receipt, then {remedy(artifact)}",
            )


def keeps_weights_of_parent(receipt: Mapping[str, Any]) -> bool:
    """Return whether each checkpoint of a parquet has its parent's weights."""
    parents = receipt.get("details", {}).get("parents")
    checkpoints = receipt.get("details", {}).get("checkpoints")
    both_lists = isinstance(parents, dict) and isinstance(checkpoints, list)
    return both_lists and 0 < len(parents) == len(checkpoints)


def _refuse_missing(
    artifact: str, table: WeightTable, results: Results, makeable: Sequence[str]
) -> None:
    path = results.parquet(artifact)
    misnamed = misnamed_file(results, artifact)
    if misnamed:
        raise KitError(
            f"is missing, but {misnamed} exists, which is another name of it",
            path,
            "rename that file, then run `make verify`",
        )
    if tables.is_known(artifact) or artifact in makeable:
        raise KitError("is missing", path, remedy(artifact))
    raise KitError(
        f"names the artifact {artifact}, which has no parquet: {describe_unknown(artifact)}",
        table.where,
        f"fix the name, or put the file into {results.subs} and run `make verify`",
    )


def final_inputs(
    table: WeightTable,
    parquets: Mapping[str, str],
    options: Sequence[str],
    raw: RawData,
    index: HashIndex,
) -> Dict[str, str]:
    """Return {role: sha256} of all that a final parquet is made from.

    parquets  {file name: sha256}
    """
    inputs = {"weights": table.sha256, **parquets}
    if options:
        inputs["post-processing"] = "+".join(options)
    if "positivity" in options:  # the states that it bounds by
        inputs["test.csv"] = index.of(raw.test_csv)
    return inputs


def misnamed_file(results: Results, artifact: str) -> str:
    """Return the name of a file that exists under another name of the artifact, else ""."""
    paths = [results.parquet(alias) for alias in tables.other_names(artifact)]
    return next((path.name for path in paths if path.exists()), "")


def describe_unknown(artifact: str) -> str:
    """Say that no member makes an artifact, and which name was perhaps meant."""
    close = tables.resembling(artifact)
    return "no member of this kit makes it" + (f", is {close} meant?" if close else "")


def training(artifact: str) -> str:
    """Return the command that makes an artifact with its validation predictions."""
    if artifact.startswith(STACK):
        return "`make stack` with its table (TABLE=)"
    return f"`make reproduce EXPERIMENTS={artifact}`"


def remedy(artifact: str) -> str:
    """Return the command that makes an artifact, or admits it."""
    if artifact.startswith(STACK):
        return f"run {training(artifact)}"
    return (
        f"run `make infer-only EXPERIMENTS={artifact}` (published checkpoint) or "
        f"{training(artifact)} (training); "
        "`make verify` admits a file of your own that has no receipt"
    )
