"""Whether a blend runs, and why: decided from receipts alone (standard library only)."""

from __future__ import annotations

from typing import Sequence

from blend import parquets
from blend.naming import BlendName
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.core.receipts import Verdict, judge

_SHOWN = 3  # missing artifacts that an error names


def judge_blend(
    name: BlendName,
    raw: RawData,
    results: Results,
    index: HashIndex,
    coming: Sequence[str],
    makeable: Sequence[str],
) -> Verdict:
    """Judge whether the final parquet of a blend is up to date.

    coming    artifacts that this run is about to make
    makeable  artifacts that the members of this kit can make

    Raises KitError if a parquet of the table is missing and no member is about to make it, or if it
    is not what its receipt says.
    """
    if name.search and (coming or not name.weights(results).exists()):
        return Verdict(False, "its weights are searched after the members have run")
    table = name.read_table(results)
    missing = parquets.missing_artifacts(table, results, coming)
    if missing:
        raise KitError(
            f"{len(missing)} of {len(table.rows)} parquets are missing or without receipt: "
            + _list_missing(missing, makeable, results),
            "table " + name.source,
            f"make them, or put your own into {results.subs} and run `make verify`",
        )
    if coming:
        return Verdict(False, f"{len(coming)} of its parquets are about to be made")
    hashes = parquets.require_parquets(table, results, raw, index, makeable)
    inputs = parquets.final_inputs(table, hashes, name.options, raw, index)
    return judge(name.final(results), inputs, index)


def _list_missing(missing: Sequence[str], makeable: Sequence[str], results: Results) -> str:
    """List the first few missing artifacts, each with a remark if one helps."""
    text = ", ".join(
        _describe_missing(artifact, makeable, results) for artifact in missing[:_SHOWN]
    )
    more = len(missing) - _SHOWN
    return text + (f" and {more} more" if more > 0 else "")


def _describe_missing(artifact: str, makeable: Sequence[str], results: Results) -> str:
    misnamed = parquets.misnamed_file(results, artifact)
    if misnamed:
        return f"{artifact} ({misnamed} exists: rename it)"
    if artifact in makeable:
        return artifact
    return f"{artifact} ({parquets.describe_unknown(artifact)})"
