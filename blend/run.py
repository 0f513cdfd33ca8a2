"""One blend from its weights to its page: search, apply, score, report.

A step is skipped if its receipt holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Tuple

from blend import apply, figures, parquets, payload, postprocess, report, scores, scores_text
from blend.context import BlendContext
from blend.naming import Search
from blend.postprocess import Effect, PostProcessing
from leapkit.core import receipts
from leapkit.core.errors import LONGEST_LINE, KitError, printable
from leapkit.core.files import atomic, read_json, sha256_json, write_json, write_text
from leapkit.core.receipts import Verdict
from leapkit.data import kaggle_csv, submission


def run(context: BlendContext) -> None:
    """Run all steps of one blend. Raises KitError if something that it needs is missing."""
    if context.name.search:
        search_weights(context, context.name.search)
    final = write_final(context)
    if context.raw.truth.exists():
        print(scores_text.score_table(write_scores(context, final)), flush=True)
    else:
        print("score: not known here, Kaggle never published the truth of test.csv", flush=True)
    write_report(context)


def search_weights(context: BlendContext, search: Search) -> None:
    """Search weights on the validation predictions and write weights_<table>.csv."""
    artifacts = context.artifacts
    if not artifacts:
        raise KitError(
            f"the table {search.name} needs artifacts to choose from",
            "--artifacts",
            f"name them: {search.among}=a,b",
        )
    inputs = context.validation_inputs
    target = context.name.weights(context.results)
    verdict = receipts.judge(target, inputs, context.index)
    _announce(f"weights of {search.name}", verdict)
    if not verdict.done:
        started = receipts.now()
        fits = context.fits
        details: Dict[str, Any] = {
            "form": search.form,
            "scope": search.scope,
            "folds": list(fits.folded.folds),
        }
        if search.form == "climb" and search.scope == "all":
            _, (path,) = fits.climb()
            width = max(map(len, artifacts))
            for k, step, r2 in path:
                print(
                    f"climb: {artifacts[k]:<{width}} step {step:5.2f}  "
                    f"mean R2 {r2:.6f} over the 292 targets"
                )
            details["path"] = [[artifacts[k], step, r2] for k, step, r2 in path]
        fits.table(search).write(target)
        receipts.write(target, "weights", inputs, started, details)
    print(
        f"{search.name}: weights searched on this world's validation predictions; "
        "they are not the published ones",
        flush=True,
    )


def write_final(context: BlendContext) -> Path:
    """Write final_blend_<title>.parquet and its receipt, and print what the options do to it."""
    name = context.name
    table = context.table
    results = context.results
    raw = context.raw
    hashes = parquets.require_parquets(table, results, raw, context.index, context.makeable)
    inputs = parquets.final_inputs(table, hashes, name.options, raw, context.index)
    target = name.final(results)
    verdict = receipts.judge(target, inputs, context.index)
    _announce(f"blend {name.title}", verdict)
    if not verdict.done:
        started = receipts.now()
        ids = kaggle_csv.read_ids(raw.sample_submission)
        post_processing = PostProcessing(name.options, raw) if name.options else None
        with atomic(target) as temporary:
            blocks = apply.blended(table, results, ids, post_processing)
            submission.write(temporary, ids, blocks)
            submission.verify(temporary, ids, None, name=target)
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
        receipts.write(target, "blend", inputs, started, details)
        print(f"blend: {len(table.rows)} parquets -> {target}", flush=True)
    effect = read_json(receipts.receipt_path(target))["details"].get("effect", {})
    for line in postprocess.describe(effect):
        print(line, flush=True)
    return target


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
            apply.weights_of(context.table),
            post_processing.options,
        )
        for option, r2 in on_validation.items():
            effect[option]["validation R2"] = r2
    return effect


def write_scores(context: BlendContext, final: Path) -> Any:
    """Score the artifacts, their blend and a ridge: the rows of scores_<title>.json."""
    raw = context.raw
    table = context.table
    target = context.name.scores(context.results)
    files = [*context.parquets, final, raw.truth, raw.test_csv]
    inputs = {path.name: context.index.of(path) for path in files}
    verdict = receipts.judge(target, inputs, context.index)
    _announce("scores", verdict)
    if not verdict.done:
        started = receipts.now()
        blend = f"blend {context.name.title}"
        weights = {row[0]: row[1] for row in table.rows} if len(table.fields) == 1 else {}
        weights[blend] = sum(weights.values())
        measured = {}
        if raw.steps.is_dir():
            measured["ridge regression"] = scores.of_ridge(raw, "adam")
        for artifact in sorted(context.artifacts):
            path = context.results.parquet(artifact)
            measured[artifact] = scores.of_parquet(path, raw.truth)
        measured[blend] = scores.of_parquet(final, raw.truth)
        rows = scores.as_rows(measured)
        write_json(target, [{**row, "weight": weights.get(row["name"], 0.0)} for row in rows])
        receipts.write(target, "scores", inputs, started)
    return read_json(target)


def write_report(context: BlendContext) -> None:
    """Write the page on the weights, report_<table>.html, and its figures, report_<table>.json."""
    raw = context.raw
    table = context.table
    target = context.name.report(context.results)
    figures_file = target.with_suffix(".json")
    hashes = {path.name: context.index.of(path) for path in context.parquets}
    inputs = {
        "weights": table.sha256,
        "page": report.version(),
        "artifacts": sha256_json(context.artifacts),
        **hashes,
    }
    if context.have_predictions:
        inputs.update(context.validation_inputs)
        if raw.truth.exists():
            inputs[raw.truth.name] = context.index.of(raw.truth)
    verdict = receipts.judge(target, inputs, context.index)
    if verdict.done and not figures_file.exists():
        verdict = Verdict(False, "its figures are missing")
    _announce("report", verdict)
    if not verdict.done:
        started = receipts.now()
        shown = figures.of_blend(
            table,
            context.fits if context.have_predictions else None,
            context.holdout if context.have_predictions else None,
            {path.stem: hashes[path.name] for path in context.parquets},
        )
        write_json(figures_file, payload.to_json(shown))
        write_text(target, report.page(payload.from_json(read_json(figures_file))))
        receipts.write(target, "report", inputs, started)
    shown = payload.from_json(read_json(figures_file))
    if shown.validation:
        print(scores_text.forms_table(shown.validation.forms), flush=True)


def _announce(step: str, verdict: Verdict) -> None:
    text = f"{step:<12} {'is skipped' if verdict.done else 'runs'}: {verdict.reason}"
    print(printable(text, LONGEST_LINE), flush=True)
