"""python -m blend run|verify: searches weights where asked, applies them, scores the results where truth is known."""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Dict, List

import numpy as np

from blend import apply, climb, gram, oof, plan, scores, scores_text, tables
from leapkit import kaggle, receipts, submission
from leapkit.columns import INPUTS, LINEAR_INPUTS
from leapkit.errors import KitError, run_cli
from leapkit.files import TEMPORARY, HashIndex, read_json, write_json
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
    options = parser.parse_args(argv)
    raw, places = RawData(options.raw_data), Submission(options.submission)
    index = HashIndex(places.blend / ".cache" / "hashes.json")
    try:
        if options.command == "verify":
            found = [p.stem for p in sorted(places.subs.glob("*.parquet")) if not p.name.startswith(TEMPORARY)]
            verify(raw, places, _names(options.artifacts) or found)
        else:
            choices = _choices(options.artifacts)
            for name in plan.requested(options.table):
                run(name, choices.get(name, []), raw, places, index)
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
        if "=" not in entry or not plan.is_searched(name):
            raise KitError("%r does not say which search it is for" % entry, "--artifacts",
                           "write searched=a,b or searched-<group>=a,b, joined by ;")
        found[name] = _names(names)
    return found


def run(name: str, artifacts: List[str], raw: RawData, places: Submission, index: HashIndex) -> None:
    """Search (where the table is a searched one), apply, score: each step only when its receipt does not hold."""
    table = searched(name, artifacts, raw, places, index) if plan.is_searched(name) else tables.find(name)
    inputs = apply.require_inputs(table, places, raw.sample_submission, index)
    target = plan.final_path(places, table.name)
    verdict = receipts.judge(target, inputs, index)
    _say("blend %s" % table.name, verdict)
    if not verdict.done:
        started = receipts.now()
        apply.write_blend(table, places, kaggle.read_ids(raw.sample_submission), inputs, started)
        print("blend: %d parquets -> %s" % (len(table.rows), target), flush=True)
    if raw.truth.exists():
        rows = score(table, artifacts or [artifact for artifact, _ in table.rows], target, raw, places, index)
        print(scores_text.table(rows), flush=True)
    else:
        print("score: not known here, Kaggle never published the truth of test.csv", flush=True)


def searched(name: str, artifacts: List[str], raw: RawData, places: Submission, index: HashIndex) -> tables.Table:
    """Weights climbed on the out-of-fold predictions of the artifacts."""
    if not artifacts:
        raise KitError("the table %s needs artifacts to choose from" % name, "--artifacts", "name them: %s=a,b" % name)
    members = {artifact: oof.OutOfFold(artifact, places, raw, index) for artifact in artifacts}
    inputs = oof.search_inputs(raw, members, index)
    target = plan.searched_path(places, name)
    verdict = receipts.judge(target, inputs, index)
    _say("weights of %s" % name, verdict)
    if not verdict.done:
        started = receipts.now()
        found = gram.error_gram(oof.blocks(raw, list(members.values())), len(members))
        weights, path = climb.hill_climb(found.matrix)
        width = max(map(len, artifacts))
        for k, step, r2 in path:
            print("climb: %-*s step %5.2f  mean R2 %.6f over %d targets"
                  % (width, artifacts[k], step, r2, len(found.counted)))
        if found.left_out:
            print("climb: %d targets are left out, constant or hopeless for an artifact: %s"
                  % (len(found.left_out), ", ".join(found.left_out)), flush=True)
        order = sorted(np.flatnonzero(weights), key=lambda k: -weights[k])
        tables.Table(name, tuple((artifacts[k], float(weights[k])) for k in order)).write(target)
        receipts.write(target, "weights", inputs, started, {
            "method": "hill climb", "targets": len(found.counted), "left out": list(found.left_out),
            "path": [[artifacts[k], s, r2] for k, s, r2 in path]})
    print("%s: weights searched on this world's validation predictions; they are not the published ones" % name, flush=True)
    return tables.Table(name, tables.read(target).rows)


def score(table: tables.Table, artifacts: List[str], target: Path, raw: RawData, places: Submission, index: HashIndex
          ) -> List[Dict[str, object]]:
    """The score table of the artifacts and their blend, kept in scores_<table>.json until one of its inputs changes."""
    kept, weights = plan.scores_path(places, table.name), dict(table.rows)
    parquets = [places.parquet(artifact) for artifact in artifacts]
    inputs = {path.name: index.of(path) for path in parquets + [target, raw.truth, raw.test_csv]}
    verdict = receipts.judge(kept, inputs, index)
    _say("scores", verdict)
    if not verdict.done:
        started, found = receipts.now(), {}
        if raw.steps.is_dir():
            found["ridge regression"] = scores.of_ridge(raw, "adam")
        for artifact, path in sorted(zip(artifacts, parquets)):
            found[artifact] = scores.of_parquet(path, raw.truth)
        found["blend " + table.name] = scores.of_parquet(target, raw.truth)
        weights.update({"ridge regression": 0.0, "blend " + table.name: sum(weights.values())})
        write_json(kept, [dict(row, weight=weights.get(row["name"], 0.0)) for row in scores.as_rows(found)])
        receipts.write(kept, "scores", inputs, started)
    return list(read_json(kept))


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
                receipts.require_valid(path, index, apply.MEND)
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
