"""One blend from its weights to its page: search, apply, score, report.

A step is skipped if its receipt holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from blend import figures, payload, report, scores, scores_text
from blend.context import BlendContext
from blend.final import write_final
from blend.naming import Search
from leapkit.core import receipts
from leapkit.core.errors import KitError
from leapkit.core.files import read_json, sha256_json, write_json, write_text


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
    if not context.is_done(f"weights of {search.name}", target, inputs):
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


def write_scores(context: BlendContext, final: Path) -> Any:
    """Score the artifacts, their blend and a ridge: the rows of scores_<title>.json."""
    raw = context.raw
    table = context.table
    target = context.name.scores(context.results)
    blended = context.opened(final)
    truth = context.opened(raw.truth)
    files = {
        **context.parquet_digests,
        final: blended.digest(context.index),
        raw.truth: truth.digest(context.index),
        raw.test_csv: context.index.of(raw.test_csv),
    }
    inputs = {path.name: digest for path, digest in files.items()}
    if not context.is_done("scores", target, inputs):
        started = receipts.now()
        blend = f"blend {context.name.title}"
        weights = {row[0]: row[1] for row in table.rows} if len(table.fields) == 1 else {}
        weights[blend] = sum(weights.values())
        measured = {}
        if raw.steps.is_dir():
            measured["ridge regression"] = scores.of_ridge(raw, truth, "adam")
        for artifact in sorted(context.artifacts):
            measured[artifact] = scores.of_parquet(context.parquet(artifact), truth)
        measured[blend] = scores.of_parquet(blended, truth)
        context.require_unchanged(files)
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
    files = context.parquet_digests
    provenance = {path.stem: digest for path, digest in files.items()}
    if context.have_predictions and raw.truth.exists():
        files[raw.truth] = context.opened(raw.truth).digest(context.index)
    inputs = {
        "weights": table.sha256,
        "page": report.version(),
        "artifacts": sha256_json(context.artifacts),
        **{path.name: digest for path, digest in files.items()},
    }
    if context.have_predictions:
        inputs.update(context.validation_inputs)
    if not context.is_done("report", target, inputs, figures_file):
        started = receipts.now()
        shown = figures.of_blend(
            table,
            context.fits if context.have_predictions else None,
            context.holdout if context.have_predictions else None,
            provenance,
        )
        context.require_unchanged(files)
        write_json(figures_file, payload.to_json(shown))
        write_text(target, report.page(payload.from_json(read_json(figures_file))))
        receipts.write(target, "report", inputs, started)
    shown = payload.from_json(read_json(figures_file))
    if shown.validation:
        print(scores_text.forms_table(shown.validation.forms), flush=True)
