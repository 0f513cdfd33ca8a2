"""One blend from its weights to its page: search, apply, score, report, each only when its receipt does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from blend import (
    apply,
    climb,
    figures,
    forms,
    gram,
    oof,
    plan,
    postprocess,
    report,
    scores,
    scores_text,
    tables,
)
from leapkit.core import receipts
from leapkit.core.errors import KitError
from leapkit.core.files import read_json, sha256_json, write_json, write_text
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.data import kaggle_csv


@dataclass(frozen=True)
class Room:
    """Where a blend's files lie, and what is known of their content."""

    raw: RawData
    results: Results
    index: HashIndex


def run(name: str, choices: Dict[str, List[str]], options: Sequence[str], room: Room) -> None:
    """All steps of the table that `name` asks for.

    choices  {search: the artifacts that it may use}
    options  post-processing beside the published one
    """
    search = plan.search_of(name)
    choice = choices.get(search.among, []) if search else []
    table = searched(search, choice, room) if search else tables.find(name)
    known = [artifact for own in choices.values() for artifact in own]
    parquets = apply.require_inputs(table, room.results, room.raw, room.index, known)
    inputs = plan.inputs_of(table, parquets, options, room.raw, room.index)
    title = plan.title(table.name, options)
    target = plan.final_path(room.results, title)
    verdict = receipts.judge(target, inputs, room.index)
    _say(f"blend {title}", verdict)
    if not verdict.done:
        apply_table(table, options, inputs, room)
        print("blend: %d parquets -> %s" % (len(table.rows), target), flush=True)
    effect = read_json(receipts.receipt_path(target))["details"].get("effect")
    for line in postprocess.lines(effect) if effect else ():
        print(line, flush=True)
    artifacts = choice or list(table.artifacts)
    if room.raw.truth.exists():
        print(scores_text.table(score(table, title, artifacts, target, room)), flush=True)
    else:
        print("score: not known here, Kaggle never published the truth of test.csv", flush=True)
    write_report(table, artifacts, room)


def apply_table(
    table: tables.Table, options: Sequence[str], inputs: Dict[str, str], room: Room
) -> None:
    """Writes the final parquet; with options also what they do to it, and to the validation rows where they are there."""
    started, ids = receipts.now(), kaggle_csv.read_ids(room.raw.sample_submission)
    if not options:
        apply.write_blend(table, room.results, ids, inputs, started)
        return
    effect = postprocess.Effect(options, room.raw)

    def measured() -> Dict[str, object]:
        found = effect.found()
        if oof.has_all(room.results, room.raw, table.artifacts):
            members = oof.of_artifacts(table.artifacts, room.results, room.raw, room.index)
            for option, pair in postprocess.on_validation(
                room.raw, members, apply.weights_of(table), options
            ).items():
                found[option]["validation R2"] = pair
        return {"effect": found}

    apply.write_blend(table, room.results, ids, inputs, started, options, effect, measured)


def searched(search: plan.Search, artifacts: List[str], room: Room) -> tables.Table:
    """Weights searched on the out-of-fold predictions of the artifacts."""
    if not artifacts:
        raise KitError(
            f"the table {search.name} needs artifacts to choose from",
            "--artifacts",
            f"name them: {search.among}=a,b",
        )
    members = oof.of_artifacts(artifacts, room.results, room.raw, room.index)
    inputs = oof.search_inputs(room.raw, members, room.index)
    target = plan.searched_path(room.results, search.name)
    verdict = receipts.judge(target, inputs, room.index)
    _say(f"weights of {search.name}", verdict)
    if not verdict.done:
        started = receipts.now()
        folded = errors_of(search.among, members, inputs, room)
        weights = forms.fit(folded, search.form, search.scope)
        details: Dict[str, object] = {
            "form": search.form,
            "scope": search.scope,
            "folds": list(folded.folds),
        }
        if search.form == "climb" and search.scope == "all":
            _, (path,) = climb.hill_climb(folded.whole, forms.STARTS["all"])
            for k, step, r2 in path:
                print(
                    "climb: %-*s step %5.2f  mean R2 %.6f over the 292 columns"
                    % (max(map(len, artifacts)), artifacts[k], step, r2)
                )
            details["path"] = [[artifacts[k], step, r2] for k, step, r2 in path]
        forms.table_of(search, folded, weights).write(target)
        receipts.write(target, "weights", inputs, started, details)
    print(
        f"{search.name}: weights searched on this world's validation predictions; they are not the published ones",
        flush=True,
    )
    read = tables.read(target)
    return tables.Table(search.name, read.rows, read.columns)


def errors_of(
    name: str, members: List[oof.ValidationPredictions], inputs: Dict[str, str], room: Room
) -> gram.FoldedGram:
    """The validation errors' Gram matrices: one pass over the rows, kept for every further search and report."""
    kept = plan.gram_path(room.results, name)
    if not receipts.judge(kept, inputs, room.index).done:
        started = receipts.now()
        oof.validation_gram(room.raw.validation_pairs(), members).save(kept)
        receipts.write(kept, "errors", inputs, started)
    found = gram.load(kept)
    return found.choosing(
        [found.artifacts.index(member.artifact) for member in members]
    )  # perhaps in another order


def score(
    table: tables.Table, title: str, artifacts: List[str], target: Path, room: Room
) -> List[Dict[str, object]]:
    """The score table of the artifacts and their blend, kept in scores_<title>.json until one of its inputs changes."""
    raw, results = room.raw, room.results
    kept = plan.scores_path(results, title)
    weights = {row[0]: row[1] for row in table.rows} if len(table.columns) == 1 else {}
    parquets = [results.parquet(artifact) for artifact in artifacts]
    inputs = {
        path.name: room.index.of(path) for path in parquets + [target, raw.truth, raw.test_csv]
    }
    verdict = receipts.judge(kept, inputs, room.index)
    _say("scores", verdict)
    if not verdict.done:
        started, found = receipts.now(), {}
        if raw.steps.is_dir():
            found["ridge regression"] = scores.of_ridge(raw, "adam")
        for artifact, path in sorted(zip(artifacts, parquets)):
            found[artifact] = scores.of_parquet(path, raw.truth)
        found["blend " + title] = scores.of_parquet(target, raw.truth)
        weights.update({"ridge regression": 0.0, "blend " + title: sum(weights.values())})
        write_json(
            kept, [dict(row, weight=weights.get(row["name"], 0.0)) for row in scores.as_rows(found)]
        )
        receipts.write(kept, "scores", inputs, started)
    return list(read_json(kept))


def write_report(table: tables.Table, artifacts: List[str], room: Room) -> None:
    """The page on a blend: report_<table>.html, and its figures as they are in report_<table>.json."""
    raw, results = room.raw, room.results
    target = plan.report_path(results, table.name)
    parquets = [results.parquet(artifact) for artifact in artifacts]
    inputs = {
        "weights": table.sha256,
        "page": report.version(),
        "artifacts": sha256_json(artifacts),
        **{path.name: room.index.of(path) for path in parquets},
    }
    members: List[oof.ValidationPredictions] = []
    rows: Dict[str, str] = {}
    if oof.has_all(results, raw, artifacts):
        members = oof.of_artifacts(artifacts, results, raw, room.index)
        rows = oof.search_inputs(raw, members, room.index)
        inputs.update(rows)
        if raw.truth.exists():
            inputs[raw.truth.name] = room.index.of(raw.truth)
    verdict, held = receipts.judge(target, inputs, room.index), target.with_suffix(".json")
    if verdict.done and not held.exists():
        verdict = receipts.Verdict(False, "its figures are missing")
    _say("report", verdict)
    if not verdict.done:
        started = receipts.now()
        folded: Optional[gram.FoldedGram] = None
        test: Optional[gram.Gram] = None
        if members:
            search = plan.search_of(table.name)
            folded = errors_of(search.among if search else table.name, members, rows, room)
            test = (
                scores.holdout_gram(artifacts, parquets, raw.truth) if raw.truth.exists() else None
            )
        found = figures.of_blend(
            table, folded, test, {path.stem: inputs[path.name] for path in parquets}
        )
        write_json(held, found)
        write_text(target, report.page(read_json(held)))
        receipts.write(target, "report", inputs, started)
    shown = read_json(held)
    if "validation" in shown:
        print(figures.forms_text(shown["validation"]["forms"]), flush=True)


def _say(step: str, verdict: receipts.Verdict) -> None:
    print(
        "%-12s %s: %s" % (step, "is skipped" if verdict.done else "runs", verdict.reason),
        flush=True,
    )
