"""The record of a run holds what its results say, whatever state they are in."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

pytest.importorskip("plotly", reason="reports are made on Python 3.11 alone")
from leapkit.core import receipts, score_receipts
from leapkit.core.columns import TARGETS
from leapkit.core.files import sha256
from leapkit.core.layout import RawData, Results, RunFiles
from leapkit.core.score_receipts import COMPLETE, PENDING, ScoreReceipt
from leapkit.data.score import R2, score_network_order, validation_r2
from reports import collection, record
from reports.record import NO_RECEIPT, RUNNING, STALE, UNCHECKED, VALID, Record
from tests.helpers import small_run
from tests.helpers.refusals import refused
from tests.helpers.small_blend import V10, Maker, blend
from tests.reports.conftest import asked_of

pytestmark = pytest.mark.process


def collect(results: Results, table: str = "") -> Record:
    return collection.collect(results, {}, table)


def texts(run: Record) -> str:
    return "\n".join(remark.text for remark in run.remarks)


# ---- a training ----------------------------------------------------------------------------------


def test_a_training_is_recorded_with_what_its_receipts_say(trained: Results) -> None:
    run = collect(trained)
    assert run.kind == "training" and run.table == ""
    train = run.step("train adam/200")
    infer = run.step("infer adam/200")
    assert train and infer
    receipt = receipts.read(trained.experiment("adam", "200") / "200.pt")
    assert train.product.sha256 == receipt["sha256"] == infer.inputs["checkpoint 200"]
    assert train.inputs == receipt["inputs"] and train.started == receipt["started"]
    assert train.seconds == receipt["details"]["seconds"] and train.device == "cpu"
    assert train.environment["lock"] == receipt["environment"]["lock"]
    assert train.memory["GB"] > 0.05 and infer.memory["GB"] > 0.05
    assert train.why == "not made yet"
    assert infer.made_from == ("outputs/adam/200/200.pt",)
    made = {file.path: file for file in train.outputs}
    oof = trained.root / "outputs/adam/200/oof.npy"
    assert made["outputs/adam/200/oof.npy"].sha256 == sha256(oof)
    assert made["outputs/adam/200/history.json"].bytes
    assert record.standings(run.steps) == {VALID: len(run.steps)}
    assert run.step("train adam/200gf group 3 (ptend_q0002)")
    json.dumps(record.to_json(run), allow_nan=False)


def test_the_score_of_a_network_tuned_per_group_is_that_of_its_predictions(
    trained: Results, maker: Maker
) -> None:
    """One group keeps its parent's weights by rule, others if these are better."""
    run = collect(trained)
    by_name = {network.name: network for network in run.networks}
    parent = receipts.read(trained.experiment("adam", "200") / "200.pt")["details"]["validation"]
    assert by_name["adam/200"].validation == parent["all_columns"]
    tuned = np.load(str(trained.validation_predictions(small_run.TUNED.artifact)))
    sums = R2(len(TARGETS))
    sums.add(maker.validation, tuned)
    expected = score_network_order(validation_r2(sums, maker.scaling)).all_columns
    assert by_name["adam/200gf"].validation == pytest.approx(expected, abs=1e-9)
    assert by_name["adam/200"].published == {"cv": 0.7836, "public": 0.7801, "private": 0.77434}


def test_curves_are_those_of_the_history_and_of_older_runs_those_of_the_log(
    trained: Results,
) -> None:
    [curve] = [each for each in collect(trained).curves if each.network == "adam/200"]
    history = json.loads((trained.root / "outputs/adam/200/history.json").read_text())
    assert curve.source == "history" and list(curve.losses) == history["losses"]
    assert [point.update for point in curve.evaluations] == [3, 6, 9, 12, 15, 18]
    (trained.root / "outputs/adam/200/history.json").unlink()
    run = collect(trained)
    [logged] = [each for each in run.curves if each.network == "adam/200"]
    assert logged.source == "log" and logged.updates == (3, 6, 9, 12, 15, 18)
    assert "1 training left no history" in texts(run)
    for k, loss in enumerate(logged.losses):  # three updates a point
        assert loss == pytest.approx(sum(curve.losses[3 * k : 3 * k + 3]) / 3, abs=4e-6)
    for ours, theirs in zip(logged.evaluations, curve.evaluations):
        assert ours.r2 == pytest.approx(theirs.r2, abs=1e-5) and ours.is_best == theirs.is_best


def test_a_history_that_goes_on_from_an_older_state_has_the_logs_earlier_evaluations(
    trained: Results,
) -> None:
    path = trained.root / "outputs/adam/200/history.json"
    history = json.loads(path.read_text())
    history["begins"] = 6
    history["evaluations"] = history["evaluations"][2:]
    path.write_text(json.dumps(history))
    run = collect(trained)
    [curve] = [each for each in run.curves if each.network == "adam/200"]
    assert [point.update for point in curve.evaluations] == [3, 6, 9, 12, 15, 18]
    assert curve.begins == 6 and "losses before are unknown" in texts(run)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"form": 99}', "{" * 5000, "\x00"])
def test_a_history_that_cannot_be_read_is_said_and_the_log_drawn(
    trained: Results, content: str
) -> None:
    (trained.root / "outputs/adam/200/history.json").write_text(content)
    run = collect(trained)
    assert "the history of 200 cannot be read" in texts(run)
    assert [each.source for each in run.curves if each.network == "adam/200"] == ["log"]


# ---- what holds ----------------------------------------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()  # parquets are hard links of each other
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    content = path.read_bytes()[:-10]
    path.unlink()
    path.write_bytes(content)


def of_another(path: Path) -> None:
    receipt = receipts.receipt_path(path)
    receipt.write_text(receipt.read_text().replace('"200.pt"', '"195.pt"'))


def garbage(path: Path) -> None:
    receipts.receipt_path(path).write_text("{")


def bare(path: Path) -> None:
    receipts.receipt_path(path).unlink()


@pytest.mark.parametrize(
    "spoil, state, reason",
    [
        (flip, STALE, "its bytes are not those of its receipt"),
        (cut, STALE, "its size is not that of its receipt"),
        (Path.unlink, STALE, "the file is missing"),
        (of_another, STALE, "its receipt is that of 195.pt"),
        (garbage, NO_RECEIPT, "its receipt cannot be read"),
        (bare, NO_RECEIPT, "it has no receipt"),
    ],
)
def test_a_checkpoint_that_does_not_count_is_told_with_the_reason(
    trained: Results, spoil: Callable[[Path], None], state: str, reason: str
) -> None:
    spoil(trained.experiment("adam", "200") / "200.pt")
    step = collect(trained).step("train adam/200")
    assert step and (step.standing.state, step.standing.reason) == (state, reason)


def test_a_parquet_is_stale_once_its_checkpoint_is_another(trained: Results) -> None:
    path = receipts.receipt_path(trained.experiment("adam", "200") / "200.pt")
    receipt = json.loads(path.read_text())
    path.write_text(json.dumps({**receipt, "sha256": "0" * 64}))
    step = collect(trained).step("infer adam/200")
    assert step and step.standing == record.Standing(STALE, "checkpoint 200 has changed", "receipt")


def test_what_make_plan_says_decides_where_it_can_say_something(
    trained: Results, tiny_world: Path, tmp_path: Path
) -> None:
    """The tiny network is not that of the member, so the plan would train it again."""
    asked = asked_of(trained, tiny_world)
    run = collection.collect(trained, asked)
    train = run.step("train adam/200")
    assert train and train.standing == record.Standing(STALE, "network has changed", "plan")
    assert run.plan.mode == "reproduce" and run.plan.profile == "sample" and run.plan.made
    assert any("adam/200" in line for line in run.plan.lines)
    assert run.kit.locks and run.kit.machine["cores"] >= 1 and run.kit.user
    assert "network has changed" not in texts(run) and "would be made again" in texts(run)
    without = collection.collect(trained, asked_of(trained, tmp_path / "no data"))
    assert "cannot be planned" in without.plan.problem or without.plan.problem
    step = without.step("train adam/200")
    assert step and step.standing.state == VALID and step.standing.source == "receipt"


@pytest.mark.parametrize("limit", ["READ_AGAIN", "LARGEST"])
def test_what_is_large_is_not_read_again(
    trained: Results, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports import standings

    monkeypatch.setattr(standings, limit, 1000)
    run = collect(trained)
    step = run.step("train adam/200")
    assert step and step.standing.state == UNCHECKED and "were not read again" in texts(run)


def test_an_unfinished_training_is_told_with_how_far_it_is(trained: Results) -> None:
    """It has a state, and a checkpoint of its best evaluation so far, but no receipt."""
    files = RunFiles(trained.experiment("adam", "200"), "200")
    receipts.receipt_path(files.checkpoint).unlink()
    files.state.write_bytes(b"a state")
    progress = {"done": 7, "total": 18, "parts": 1, "resumed": 0, "began": 1.0, "updated": 2.0}
    files.progress.write_text(json.dumps(progress))
    run = collect(trained)
    [step] = [step for step in run.steps if step.standing.state == RUNNING]
    assert step.name == "train adam/200" and "39% done" in step.standing.reason
    [network] = [network for network in run.networks if network.name == "adam/200"]
    [curve] = [curve for curve in run.curves if curve.network == "adam/200"]
    assert network.state == RUNNING and network.validation == curve.evaluations[-1].r2
    assert "begun and not finished" in texts(run)


# ---- blends --------------------------------------------------------------------------------------


def test_blends_of_parquets_are_recorded_with_weights_and_scores(
    blended: Results, maker: Maker
) -> None:
    run = collect(blended)
    assert run.kind == "inference" and run.table == "searched" and not run.curves
    final = run.final()
    assert final and final.product.sha256 == sha256(blended.root / final.product.path)
    assert set(final.made_from) <= {f"subs/{artifact}.parquet" for artifact in V10} | {
        "subs/adam_195_78569.oof.parquet"
    }
    rows = json.loads((blended.blend / "scores_searched.json").read_text())
    reached = {score.name: score.all for score in run.scores if score.rows == "test"}
    assert {row["name"]: row["all_columns"] for row in rows}.items() <= reached.items()
    weighted = {network.artifact: network.weight for network in run.networks if network.weight}
    assert weighted == {
        each["artifact"]: each["weight"] for each in final.details["weights"] if each["weight"]
    }
    assert collect(blended, "v10").table == "v10"
    with refused("TABLE", "there is no blend of the table v9", "choose searched or v10"):
        collect(blended, "v9")


def test_parquets_of_ones_own_are_a_run_too(maker: Maker, tmp_path: Path) -> None:
    results = Results(tmp_path / "s")
    path = maker.write(results, V10[0], maker.values(0))
    receipts.receipt_path(path).unlink()
    assert blend(maker, results, verb="verify") == 0
    run = collect(results)
    assert run.kind == "blend" and [step.kind for step in run.steps] == ["admitted"]
    assert "nothing is known of the training" in texts(run)
    receipts.receipt_path(path).unlink()
    assert collect(results).steps[0].standing.state == NO_RECEIPT


def test_kaggles_answers_count_for_the_bytes_that_they_are_of(blended: Results) -> None:
    product = "final_blend_v10.parquet"
    digest = sha256(blended.blend / product)
    sent = ScoreReceipt(product, digest, "c", product, digest, "d", "kaggle", "t")
    answered = dataclasses.replace(sent, state=COMPLETE, public="0.79211", private="0.78856")
    score_receipts.write(blended, answered)
    artifact = dataclasses.replace(sent, product=V10[0] + ".parquet", state=PENDING)
    score_receipts.write(blended, artifact)
    run = collect(blended)
    kaggle = {score.rows: score.all for score in run.scores if score.name == "final_blend_v10"}
    assert kaggle == {"public": 0.79211, "private": 0.78856}
    assert f"Kaggle's answer to {V10[0]} is of other bytes" in texts(run)


# ---- what is no run ------------------------------------------------------------------------------


@pytest.mark.parametrize("has_folders", [False, True])
def test_an_empty_folder_is_one_clear_sentence(tmp_path: Path, has_folders: bool) -> None:
    results = Results(tmp_path / "submission")
    if has_folders:
        results.subs.mkdir(parents=True)
        (results.root / "README.md").write_text("# submission\n")
    with refused(results.root, "holds nothing of a run", "run `make reproduce`"):
        collect(results)


def hostile(receipt: Dict[str, Any], changes: Dict[str, Any]) -> str:
    return json.dumps({**receipt, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"details": {}},
        {"details": {"validation": [], "peak memory": "much", "environments": {"a": 1}}},
        {"environment": "none", "started": 7, "finished": "yesterday"},
        {"started": "2024-01-01", "finished": "2024-01-01T00:00:00"},
        {"kind": "\u202e<script>", "artifact": "../../x"},
        {"details": {"seconds": True, "weights": 3, "table": ["searched"], "profile": {}}},
        {"inputs": {"x" * 5000: "y" * 5000}, "bytes": "many", "numerics": None},
        {"product": "../../../etc/passwd"},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_receipts_of_anybody_do_no_harm(trained: Results, changes: Dict[str, Any]) -> None:
    for path in trained.root.rglob("*.receipt.json"):
        path.write_text(hostile(json.loads(path.read_text()), changes))
    run = collect(trained)
    assert run.steps and json.dumps(record.to_json(run), allow_nan=False)


def test_collecting_changes_nothing(blended: Results) -> None:
    def state() -> List[Any]:
        files = [path for path in blended.root.rglob("*") if path.is_file()]
        return sorted((str(path), path.stat().st_mtime_ns, sha256(path)) for path in files)

    before = state()
    collect(blended)
    assert state() == before


def test_the_records_of_two_copies_of_a_run_are_the_same(
    trained: Results, tiny_world: Path, tmp_path: Path
) -> None:
    assert RawData(tiny_world).test_csv.exists()
    shutil.copytree(str(trained.root), str(tmp_path / "copy"))
    one, other = collect(trained), collect(Results(tmp_path / "copy"))
    kit = one.kit
    assert dataclasses.replace(one, kit=kit) == dataclasses.replace(other, kit=kit)
