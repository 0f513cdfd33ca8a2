"""python -m blend run|verify: searches weights where asked, applies them, scores and reports what comes of it."""
from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np

from blend import apply, climb, figures, forms, gram, oof, plan, postprocess, report, scores, scores_text, tables
from leapkit import kaggle, receipts, submission
from leapkit.columns import INPUTS, LINEAR_INPUTS
from leapkit.errors import KitError, run_cli
from leapkit.files import TEMPORARY, HashIndex, read_json, sha256_json, write_json, write_text
from leapkit.plan import ADMITTED
from leapkit.world import RawData, Submission

# A file from elsewhere was made by a pandas that did not round test.csv's decimals correctly (up to 1e-13).
FOREIGN_RTOL = 1e-12


def main(argv: List[str]) -> int:
    parser = argparse.ArgumentParser(prog="blend", description="Blends verified submission parquets.")
    parser.add_argument("command", choices=("run", "verify"))
    parser.add_argument("--raw-data", type=Path, default=Path("raw_data"))
    parser.add_argument("--submission", type=Path, default=Path("submission"))
    parser.add_argument("--table", default="v10", help="shipped tables, files, `searched`, `searched-<group>` (comma list)")
    parser.add_argument("--artifacts", default="", help="run: what each search may use (searched=a,b;searched-<group>=c,d); "
                                                        "verify: what to check (comma list)")
    parser.add_argument("--postprocess", default="", help="run: beside the published post-processing (%s)"
                                                          % ", ".join(plan.OPTIONS))
    options = parser.parse_args(argv)
    raw, places = RawData(options.raw_data), Submission(options.submission)
    index = HashIndex(places.blend / ".cache" / "hashes.json")
    try:
        if options.command == "verify":
            found = [p.stem for p in sorted(places.subs.glob("*.parquet")) if not p.name.startswith(TEMPORARY)]
            verify(raw, places, _names(options.artifacts) or found)
        else:
            choices = _choices(options.artifacts)
            extra = plan.options_of(options.postprocess)
            for name in plan.requested(options.table):
                run(name, choices, extra, Room(raw, places, index))
    finally:
        index.save()
    return 0


def _names(text: str) -> List[str]:
    return [name for name in text.split(",") if name]


def _choices(text: str) -> Dict[str, List[str]]:
    """{search: artifacts that it may use}. Raises KitError for an entry that is no NAME=LIST of a search."""
    found = {}
    for entry in filter(None, text.split(";")):
        name, _, names = entry.partition("=")
        if "=" not in entry or plan.search_of(name) is None:
            raise KitError("%r does not say which search it is for" % entry, "--artifacts",
                           "write searched=a,b or searched-<group>=a,b, joined by ;")
        found[name] = _names(names)
    return found


@dataclass(frozen=True)
class Room:
    """Where a blend's files lie, and what is known of their content."""

    raw: RawData
    places: Submission
    index: HashIndex


def run(name: str, choices: Dict[str, List[str]], options: Sequence[str], room: Room) -> None:
    """Search (where the table is a searched one), apply, score, report: each only when its receipt does not hold."""
    search = plan.search_of(name)
    choice = choices.get(search.among, []) if search else []
    table = searched(search, choice, room) if search else tables.find(name)
    known = [artifact for own in choices.values() for artifact in own]
    parquets = apply.require_inputs(table, room.places, room.raw, room.index, known)
    inputs = plan.inputs_of(table, parquets, options, room.raw, room.index)
    title = plan.title(table.name, options)
    target = plan.final_path(room.places, title)
    verdict = receipts.judge(target, inputs, room.index)
    _say("blend %s" % title, verdict)
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


def apply_table(table: tables.Table, options: Sequence[str], inputs: Dict[str, str], room: Room) -> None:
    """Writes the final parquet; with options also what they do to it, and to the validation rows where they are there."""
    started, ids = receipts.now(), kaggle.read_ids(room.raw.sample_submission)
    if not options:
        apply.write_blend(table, room.places, ids, inputs, started)
        return
    effect = postprocess.Effect(options, room.raw)

    def measured() -> Dict[str, object]:
        found = effect.found()
        if oof.has_all(room.places, table.artifacts):
            members = oof.of_artifacts(table.artifacts, room.places, room.raw, room.index)
            for option, pair in postprocess.on_validation(room.raw, members, apply.weights_of(table), options).items():
                found[option]["validation R2"] = pair
        return {"effect": found}

    apply.write_blend(table, room.places, ids, inputs, started, options, effect, measured)


def searched(search: plan.Search, artifacts: List[str], room: Room) -> tables.Table:
    """Weights searched on the out-of-fold predictions of the artifacts."""
    if not artifacts:
        raise KitError("the table %s needs artifacts to choose from" % search.name, "--artifacts",
                       "name them: %s=a,b" % search.among)
    members = oof.of_artifacts(artifacts, room.places, room.raw, room.index)
    inputs = oof.search_inputs(room.raw, members, room.index)
    target = plan.searched_path(room.places, search.name)
    verdict = receipts.judge(target, inputs, room.index)
    _say("weights of %s" % search.name, verdict)
    if not verdict.done:
        started = receipts.now()
        folded = errors_of(search.among, members, inputs, room)
        weights = forms.fit(folded, search.form, search.scope)
        details: Dict[str, object] = {"form": search.form, "scope": search.scope, "folds": list(folded.folds)}
        if search.form == "climb" and search.scope == "all":
            _, (path,) = climb.hill_climb(folded.whole, forms.STARTS["all"])
            for k, step, r2 in path:
                print("climb: %-*s step %5.2f  mean R2 %.6f over the 292 columns"
                      % (max(map(len, artifacts)), artifacts[k], step, r2))
            details["path"] = [[artifacts[k], step, r2] for k, step, r2 in path]
        forms.table_of(search, folded, weights).write(target)
        receipts.write(target, "weights", inputs, started, details)
    print("%s: weights searched on this world's validation predictions; they are not the published ones" % search.name,
          flush=True)
    read = tables.read(target)
    return tables.Table(search.name, read.rows, read.columns)


def errors_of(name: str, members: List[oof.OutOfFold], inputs: Dict[str, str], room: Room) -> gram.FoldedGram:
    """The validation errors' Gram matrices: one pass over the rows, kept for every further search and report."""
    kept = plan.gram_path(room.places, name)
    if not receipts.judge(kept, inputs, room.index).done:
        started = receipts.now()
        oof.validation_gram(room.raw.validation_pairs(), members).save(kept)
        receipts.write(kept, "errors", inputs, started)
    found = gram.load(kept)
    return found.choosing([found.artifacts.index(member.artifact) for member in members])  # perhaps in another order


def score(table: tables.Table, title: str, artifacts: List[str], target: Path, room: Room) -> List[Dict[str, object]]:
    """The score table of the artifacts and their blend, kept in scores_<title>.json until one of its inputs changes."""
    raw, places = room.raw, room.places
    kept = plan.scores_path(places, title)
    weights = {row[0]: row[1] for row in table.rows} if len(table.columns) == 1 else {}
    parquets = [places.parquet(artifact) for artifact in artifacts]
    inputs = {path.name: room.index.of(path) for path in parquets + [target, raw.truth, raw.test_csv]}
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
        write_json(kept, [dict(row, weight=weights.get(row["name"], 0.0)) for row in scores.as_rows(found)])
        receipts.write(kept, "scores", inputs, started)
    return list(read_json(kept))


def write_report(table: tables.Table, artifacts: List[str], room: Room) -> None:
    """The page on a blend: report_<table>.html, and its figures as they are in report_<table>.json."""
    raw, places = room.raw, room.places
    target = plan.report_path(places, table.name)
    parquets = [places.parquet(artifact) for artifact in artifacts]
    inputs = {"weights": table.sha256, "page": report.version(), "artifacts": sha256_json(artifacts),
              **{path.name: room.index.of(path) for path in parquets}}
    members: List[oof.OutOfFold] = []
    if oof.has_all(places, artifacts):
        members = oof.of_artifacts(artifacts, places, raw, room.index)
        inputs.update(oof.search_inputs(raw, members, room.index))
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
            rows = oof.search_inputs(raw, members, room.index)
            folded = errors_of(search.among if search else table.name, members, rows, room)
            test = scores.test_gram(artifacts, parquets, raw.truth) if raw.truth.exists() else None
        found = figures.of_blend(table, folded, test, {path.stem: inputs[path.name] for path in parquets})
        write_json(held, found)
        write_text(target, report.page(read_json(held)))
        receipts.write(target, "report", inputs, started)
    shown = read_json(held)
    if "validation" in shown:
        print(figures.forms_text(shown["validation"]["forms"]), flush=True)


def verify(raw: RawData, places: Submission, artifacts: List[str]) -> None:
    """Checks parquets against the contract and admits those from elsewhere by writing their receipts."""
    ids = kaggle.read_ids(raw.sample_submission)
    index, linear = HashIndex(), [INPUTS.index(name) for name in LINEAR_INPUTS]
    q0002 = np.concatenate([x[:, linear] for _, x in kaggle.test_rows(raw.test_csv)])
    refused = []
    for name in artifacts:
        artifact, started = tables.canonical(name), receipts.now()
        path, alias = places.parquet(artifact), places.parquet(name)
        own = receipts.receipt_path(path).exists()
        try:
            if alias != path and alias.exists():
                raise KitError("is another name of %s, which is the one that tables know" % artifact, alias,
                               "rename it to %s, or remove it where you have both" % path.name)
            if own:
                receipts.require_valid(path, index, plan.mend(artifact))
            submission.verify(path, ids, q0002, linear_rtol=0.0 if own else FOREIGN_RTOL)
        except KitError as error:
            refused.append(artifact)
            print("refused: %s" % error, flush=True)
            continue
        if not own:
            receipts.write(path, ADMITTED, {
                "sample_submission.csv": index.of(raw.sample_submission), "test.csv": index.of(raw.test_csv)},
                started, {"linear columns within": FOREIGN_RTOL})
        print("verified: %s%s" % (path, "" if own else ", receipt written"), flush=True)
    if refused or not artifacts:
        raise KitError("%d of %d parquets were refused" % (len(refused), len(artifacts)) if artifacts
                       else "there are no parquets to verify", places.subs, "see the lines above" if artifacts
                       else "put the parquets there")


def _say(step: str, verdict: receipts.Verdict) -> None:
    print("%-12s %s: %s" % (step, "is skipped" if verdict.done else "runs", verdict.reason), flush=True)


if __name__ == "__main__":
    run_cli(main)
