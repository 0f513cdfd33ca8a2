"""The final parquet of a blend: the weighted sum of its parquets, with its receipt."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

from blend import apply, parquets, postprocess, published
from blend.apply import Source
from blend.context import BlendContext
from blend.postprocess import Effect, PostProcessing
from blend.target_weights import weights_of
from leapkit.core import receipts
from leapkit.core.files import atomic
from leapkit.data import kaggle_csv, submission


def write_final(context: BlendContext) -> Path:
    """Write final_blend_<title>.parquet and its receipt, and print what the options do to it."""
    name = context.name
    table = context.table
    results = context.results
    raw = context.raw
    print(f"weights {table.name}: {published.describe(table)}", flush=True)
    hashes = parquets.require_parquets(table, results, raw, context.index, context.makeable)
    inputs = parquets.final_inputs(table, hashes, name.options, raw, context.index)
    target = name.final(results)
    if not context.is_done(f"blend {name.title}", target, inputs):
        started = receipts.now()
        ids = kaggle_csv.read_ids(raw.sample_submission)
        post_processing = PostProcessing(name.options, raw) if name.options else None
        sources = [Source(artifact, context.parquet(artifact)) for artifact in table.artifacts]
        used = {source.path: inputs[source.path.name] for source in sources}
        if "test.csv" in inputs:
            used[raw.test_csv] = inputs["test.csv"]
        with atomic(target) as temporary:
            submission.write(temporary, ids, apply.blended(table, sources, ids, post_processing))
            context.require_unchanged(used)
            written = submission.OpenedParquet(temporary)
            submission.verify(written, ids, None, name=target)
            digest = written.digest(context.index)
        details = {
            "table": table.name,
            "read from": table.source or "the search",
            "weights for": table.scope,
            "rows": len(ids),
            "weights": [_recorded(row, context, inputs) for row in table.rows],
            "post-processing": list(name.options),
        }
        if post_processing:
            details["effect"] = measured_effect(context, post_processing)
        receipts.write(target, "blend", inputs, started, details, digest=digest)
        print(f"blend: {len(table.rows)} parquets -> {target}", flush=True)
    for line in _effect_lines(target):
        print(line, flush=True)
    return target


def _effect_lines(target: Path) -> List[str]:
    """Describe the effect that a receipt records. It is not proven, so it may be anything."""
    effect = receipts.read(target).get("details", {}).get("effect", {})
    try:
        return list(postprocess.describe(effect))
    except (AttributeError, KeyError, TypeError, ValueError):
        return [f"the effect that {receipts.receipt_path(target).name} records cannot be read"]


def _recorded(
    row: Tuple[Any, ...], context: BlendContext, inputs: Dict[str, str]
) -> Dict[str, Any]:
    """Describe an artifact in the receipt: its bytes, and its weight or weights."""
    artifact, *weights = row
    return {
        "artifact": artifact,
        "sha256": inputs[context.results.parquet(artifact).name],
        "weight": weights[0] if len(weights) == 1 else weights,
    }


def measured_effect(context: BlendContext, post_processing: PostProcessing) -> Effect:
    """Measure what the options do to the test rows and to the validation rows.

    Validation rows are left out if an artifact has no predictions of them.
    """
    effect = post_processing.effect()
    if context.have_predictions:
        predictions = {member.artifact: member for member in context.predictions}
        on_validation = postprocess.effect_on_validation(
            context.raw,
            [predictions[artifact] for artifact in context.table.artifacts],
            weights_of(context.table),
            post_processing.options,
        )
        for option, r2 in on_validation.items():
            effect[option]["validation R2"] = r2
    return effect
