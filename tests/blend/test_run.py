"""Blending keeps tables to the last digit and sums as numpy does; it skips, refuses and admits."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
import pyarrow as pa
import pyarrow.parquet as pq

from blend import __main__ as command
from blend import (
    baseline,
    forms,
    gram,
    naming,
    tables,
    validation,
    validation_errors,
)
from blend.target_weights import weights_of
from leapkit.core import receipts
from leapkit.core.columns import (
    INPUTS,
    LINEAR,
    PREDICTED,
    TARGETS,
    ZERO,
    kaggle_positions,
)
from leapkit.core.errors import EXIT_REFUSED, KitError, run_cli
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from leapkit.data import submission
from leapkit.data.score import R2, score_network_order, validation_r2
from tests.helpers.small_blend import SEARCH, THREE, V10, Maker, blend, files, verdict_of

pytestmark = pytest.mark.process


def sentence(capsys, maker: Maker, results: Results, *more: str, verb: str = "run") -> str:
    """Assert that the command fails with one error line and no blend; return the line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        run_cli(lambda _: blend(maker, results, *more, verb=verb), [])
    output = capsys.readouterr()
    lines = [line for line in output.err.splitlines() if line.startswith("error: ")]
    assert ended.value.code == EXIT_REFUSED and len(lines) == 1 and "Traceback" not in output.err
    if results.blend.exists():
        assert not [
            p.name
            for p in results.blend.iterdir()
            if p.name.endswith((".parquet", ".csv", "receipt.json"))
        ]
    return lines[0]


@pytest.fixture(autouse=True)
def handlers():
    """Restore the handler of SIGTERM, which run_cli replaces."""
    import signal

    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


# ---- tables --------------------------------------------------------------------------------------

_NAMES = st.builds("{}{}".format, st.sampled_from("aZ9_"), st.text("abcXYZ019_.-", max_size=11))
_WEIGHTS = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(_NAMES, _WEIGHTS, min_size=1, max_size=6).filter(
        lambda table: any(table.values())
    )
)
def test_a_table_is_read_back_to_the_last_bit_and_in_order(weights):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.v2.csv"
        table = tables.WeightTable("mine.v2", tuple(weights.items()))
        table.write(path)
        again = tables.read(path)
    assert again == table and again.sha256 == table.sha256
    assert [math.copysign(1, w) for _, w in again.rows] == [
        math.copysign(1, w) for _, w in table.rows
    ]


def test_the_shipped_table_is_the_published_one_bit_for_bit(reference: Path) -> None:
    published = json.loads((reference / "columns.json").read_text())["blend_weights"]
    if isinstance(published, dict):
        published = list(published.items())
    published_rows = [
        (row["model"], row["weight"]) if isinstance(row, dict) else tuple(row) for row in published
    ]
    published_rows = [
        (name[: -len(".npy")] if name.endswith(".npy") else name, weight)
        for name, weight in published_rows
    ]
    assert [(name, weight.hex()) for name, weight in tables.find("v10").rows] == [
        (name, float(weight).hex()) for name, weight in published_rows
    ]


def test_the_shipped_weights_sum_to_one_and_an_ulp_or_two() -> None:
    assert sum(weight for _, weight in tables.find("v10").rows) == 1.0000000000000004


@pytest.mark.parametrize(
    "text",
    [
        "",
        "artifact,weight\n",
        "a,0.5\n",
        "artifact,weight\na\n",
        "artifact,weight\na,0.5,1\n",
        "artifact,weight\na,half\n",
        "artifact,weight\na,nan\n",
        "artifact,weight\na,inf\n",
        "artifact,weight\na,0.0\nb,-0.0\n",
        "weight,artifact\na,1\n",
        "artifact,weight\na,0.5\na,0.5\n",
        "artifact,weight\na,\n",
        "artifact,weight\na,1\x00\n",
        "artifact,weight\na,1",
    ],
)
def test_what_is_no_table_is_one_clear_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(KitError):
        tables.read(tmp_path / "t.csv")


def test_an_unknown_table_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="v10"):
        tables.find("v11")
    with pytest.raises(KitError):
        tables.find(str(tmp_path))


# ---- the search ----------------------------------------------------------------------------------


def test_a_search_on_results_made_here_is_skipped_the_second_time(
    maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blend(maker, sixteen, *SEARCH) == 0
    output = capsys.readouterr().out
    for words in (
        "weights of searched runs: not made yet",
        "blend searched runs",
        "ridge regression",
    ):
        assert words in output
    files = {
        p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in sixteen.blend.iterdir() if p.is_file()
    }
    assert {p.name for p in files} == {
        "final_blend_searched.parquet",
        "final_blend_searched.receipt.json",
        "weights_searched.csv",
        "weights_searched.receipt.json",
        "scores_searched.json",
        "scores_searched.receipt.json",
        "gram_searched.npz",
        "gram_searched.receipt.json",
        "report_searched.html",
        "report_searched.json",
        "report_searched.receipt.json",
    }
    assert blend(maker, sixteen, *SEARCH) == 0
    again = capsys.readouterr().out
    assert again.count("is skipped: its receipt proves it") == 4 and " runs" not in again
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in files} == files
    first, second = (
        [
            line
            for line in run_output[run_output.index("R2 on") :].splitlines()
            if not line.startswith("report  ")
        ]
        for run_output in (output, again)
    )
    assert first == second and any("<- this blend" in line for line in first)
    for run_output in (output, again):
        assert (
            run_output.count(
                "searched on this world's validation predictions; they are not the published ones"
            )
            == 1
        )


def test_searched_weights_are_those_of_the_validation_predictions(
    maker: Maker, sixteen: Results
) -> None:
    """Compare the pass over files, steps and families with whole arrays in raw units."""
    assert blend(maker, sixteen, *SEARCH) == 0
    saved_gram = gram.load(files("searched").errors(sixteen))
    truth = maker.validation_raw
    columns = kaggle_positions(PREDICTED)
    assert saved_gram.artifacts == tuple(THREE) and saved_gram.whole.truth.count == len(truth)
    for m, name in enumerate(THREE):
        errors = maker.validation_predictions_raw(sixteen, name) - truth
        spread = np.square(truth - truth.mean(axis=0)).sum(axis=0)[columns]
        r2 = np.where(
            spread > 0,
            1 - np.square(errors).sum(axis=0)[columns] / np.where(spread > 0, spread, 1),
            0.0,
        )
        squared_errors = saved_gram.whole.products[:, m, m]
        gram_r2 = np.where(
            spread > 0,
            1 - squared_errors / np.where(spread > 0, saved_gram.whole.truth.m2, 1.0),
            0.0,
        )
        np.testing.assert_allclose(
            gram_r2, r2, rtol=1e-9, atol=1e-9
        )  # float64 sums of errors in another order and unit
    weights = forms.fit(saved_gram, "climb")[0]
    table = tables.read(files("searched").weights(sixteen))
    assert dict(table.rows) == {name: w for name, w in zip(THREE, weights) if w}
    recorded = json.loads(receipts.receipt_path(files("searched").weights(sixteen)).read_text())[
        "details"
    ]
    assert recorded["form"] == "climb" and recorded["path"][0][1] == 1.0
    blended = sum(
        weight * maker.validation_predictions_raw(sixteen, name) for name, weight in table.rows
    )
    sums = R2()
    sums.add(truth, blended)
    expected = sums.per_column()[columns]
    floored = saved_gram.whole.metric(saved_gram.whole.errors(weights))
    np.testing.assert_allclose(
        np.maximum(expected, 0)[expected > 0], floored[expected > 0], rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize(
    "name", ["searched.sum-one", "searched.ridge.group", "searched.non-negative.target"]
)
def test_every_form_and_scope_is_searched_applied_and_recorded(
    name: str, maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blend(maker, sixteen, "--table", name, *SEARCH[2:]) == 0
    search = naming.parse_search(name)
    table = tables.read(files(name).weights(sixteen))
    assert search and table.fields == tables.FIELDS_OF_SCOPE[search.scope]
    expected = np.zeros((len(maker.ids), len(TARGETS)))
    for artifact, artifact_weights in zip(table.artifacts, weights_of(table)):
        expected += artifact_weights * maker.values(V10.index(artifact))
    linear = kaggle_positions(LINEAR)
    final_table = pq.read_table(str(files(name).final(sixteen)))
    values = np.stack([final_table.column(target).to_numpy() for target in TARGETS], axis=1)
    moves = np.abs(weights_of(table).sum(axis=0) - 1) > 1e-9
    expected[:, linear] = np.where(moves[linear], -maker.q0002 / 1200, expected[:, linear])
    assert values.tobytes() == np.ascontiguousarray(expected).tobytes()
    np.testing.assert_allclose(values[:, linear], -maker.q0002 / 1200, rtol=1e-9)
    details = json.loads(receipts.receipt_path(files(name).final(sixteen)).read_text())["details"]
    assert details["weights for"] == search.scope
    for table_row, recorded in zip(table.rows, details["weights"]):
        assert recorded["artifact"] == table_row[0] and recorded["sha256"] == sha256(
            sixteen.parquet(table_row[0])
        )
        assert ([recorded["weight"]] if search.scope == "all" else recorded["weight"]) == list(
            table_row[1:]
        )
    assert "<- this blend" in capsys.readouterr().out
    assert verdict_of(name, maker, sixteen, [], V10).done


def test_searches_among_the_same_artifacts_share_one_pass_over_the_rows(
    maker: Maker, sixteen: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    original = validation_errors.validation_gram
    monkeypatch.setattr(
        validation_errors, "validation_gram", lambda *a: passes.append(1) or original(*a)
    )
    assert (
        blend(maker, sixteen, "--table", "searched,searched.sum-one,searched.group", *SEARCH[2:])
        == 0
    )
    assert blend(maker, sixteen, "--table", "searched.simplex", *SEARCH[2:]) == 0
    assert len(passes) == 1
    (sixteen.subs / (THREE[0] + ".npy")).unlink()
    maker.write(sixteen, THREE[0], maker.values(3), seed=3)
    assert blend(maker, sixteen, "--table", "searched.simplex", *SEARCH[2:]) == 0
    assert len(passes) == 2


@pytest.mark.parametrize("workers", [1, 3])
def test_the_pass_gives_the_same_bits_with_any_number_of_workers(
    workers: int, maker: Maker, sixteen: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = validation.load_predictions(THREE, sixteen, maker.raw, HashIndex())
    pairs = maker.raw.validation_pairs()
    monkeypatch.setattr(validation_errors, "_STEPS_AT_ONCE", 1)
    expected = validation_errors.validation_gram(pairs, members)
    monkeypatch.setattr(validation_errors.allotment, "cores", lambda: workers)
    validation_gram = validation_errors.validation_gram(pairs, members)
    for a, b in zip(expected.grams, validation_gram.grams):
        assert (
            a.products.tobytes() == b.products.tobytes()
            and a.truth.m2.tobytes() == b.truth.m2.tobytes()
        )


def test_a_nan_in_validation_predictions_is_refused_by_the_files_name(
    maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sixteen.subs / (THREE[1] + ".npy")
    receipt = receipts.receipt_path(sixteen.parquet(THREE[1]))
    values = np.load(str(path))
    values[50, 100] = np.nan
    np.save(str(path), values)
    recorded = json.loads(receipt.read_text())
    recorded["details"]["oof"]["sha256"] = sha256(path)
    receipt.write_text(json.dumps(recorded))
    line = sentence(capsys, maker, sixteen, *SEARCH)
    assert path.name in line and "holds a NaN or an infinity" in line


def test_a_search_needs_validation_predictions_that_are_what_their_receipt_names(
    maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sixteen.subs / (THREE[0] + ".npy")
    path.write_bytes(path.read_bytes()[:-8])
    assert path.name in sentence(capsys, maker, sixteen, *SEARCH)
    path.unlink()
    assert path.name in sentence(capsys, maker, sixteen, *SEARCH)
    maker.write(sixteen, THREE[0], maker.values(0))  # of a published checkpoint: without them
    assert "published checkpoint" in sentence(capsys, maker, sixteen, *SEARCH)
    assert "--artifacts" in sentence(capsys, maker, sixteen, "--table", "searched")
    line = sentence(
        capsys, maker, sixteen, "--table", "searched-zuiye", "--artifacts", "searched=" + V10[0]
    )
    assert "searched-zuiye=a,b" in line


def test_validation_predictions_of_another_number_of_rows_are_refused(
    maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sixteen.subs / (THREE[1] + ".npy")
    receipt = receipts.receipt_path(sixteen.parquet(THREE[1]))
    for count, words in ((95, "95 rows for 96"), (97, "97 rows for 96")):
        np.save(str(path), np.zeros((count, 368), dtype=np.float32))
        recorded = json.loads(receipt.read_text())
        recorded["details"]["oof"]["sha256"] = sha256(path)
        receipt.write_text(json.dumps(recorded))
        assert words in sentence(capsys, maker, sixteen, *SEARCH)


def test_several_tables_run_in_order_each_search_among_its_own_artifacts(
    maker: Maker, sixteen: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifacts_of_search = {"searched": THREE, "searched-zuiye": V10[4:6]}
    (tmp_path / "half.csv").write_text("artifact,weight\nmax_exp22,0.5\nJo_exp912,0.5\n")
    names = ["searched-zuiye", str(tmp_path / "half.csv"), "searched"]
    options = (
        "--table",
        ",".join(names),
        "--artifacts",
        ";".join(
            f"{name}={','.join(artifacts)}" for name, artifacts in artifacts_of_search.items()
        ),
    )
    assert blend(maker, sixteen, *options) == 0
    output = capsys.readouterr().out
    titles = ["searched-zuiye", "half", "searched"]
    assert [
        line.split()[1]
        for line in output.splitlines()
        if line.startswith("blend ") and " runs" in line
    ] == titles
    for name, artifacts in artifacts_of_search.items():
        assert {artifact for artifact, _ in tables.read(files(name).weights(sixteen)).rows} <= set(
            artifacts
        )
    assert {p.name for p in sixteen.blend.iterdir() if p.is_file() and "receipt" not in p.name} == {
        "weights_searched.csv",
        "weights_searched-zuiye.csv",
        "gram_searched.npz",
        "gram_searched-zuiye.npz",
    } | {
        name
        for title in titles
        for name in (
            f"final_blend_{title}.parquet",
            f"scores_{title}.json",
            f"report_{title}.html",
            f"report_{title}.json",
        )
    }
    scores = json.loads((sixteen.blend / "scores_half.json").read_text())
    assert {score["name"] for score in scores} == {"ridge regression", "blend half", V10[3], V10[4]}
    assert blend(maker, sixteen, *options) == 0
    assert " runs: " not in capsys.readouterr().out
    assert all(verdict_of(name, maker, sixteen, [], V10).done for name in names)


@pytest.mark.parametrize("artifacts", ["a,b", "searched", "half=a,b", "=a", "searched=a;b"])
def test_artifacts_that_do_not_say_which_search_they_are_for_are_refused(
    artifacts: str, maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "which search" in sentence(
        capsys, maker, sixteen, "--table", "searched", "--artifacts", artifacts
    )


# ---- the sum -------------------------------------------------------------------------------------


@pytest.mark.parametrize("row_group", [8192, 50])
def test_the_blend_is_numpys_sum_in_the_tables_order_bit_for_bit(
    row_group: int, maker: Maker, sixteen: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "ROW_GROUP", row_group)
    if row_group != 8192:
        maker.all(sixteen, V10)  # row groups of the size that they are read with
    assert blend(maker, sixteen) == 0
    expected = np.zeros((len(maker.ids), len(TARGETS)))
    for seed, (artifact, weight) in enumerate(tables.find("v10").rows):
        assert artifact == V10[seed]
        expected += weight * maker.values(seed)
    final_table = pq.read_table(str(sixteen.blend / "final_blend_v10.parquet"))
    assert (
        final_table.schema.equals(submission.SCHEMA)
        and final_table.column("sample_id").to_pylist() == maker.ids
    )
    values = np.stack([final_table.column(name).to_numpy() for name in TARGETS], axis=1)
    assert values.tobytes() == np.ascontiguousarray(expected).tobytes()
    assert not values[:, kaggle_positions(ZERO)].any()
    np.testing.assert_allclose(values[:, kaggle_positions(LINEAR)], -maker.q0002 / 1200, rtol=1e-14)


def test_a_table_of_ones_own_makes_a_blend_of_its_own_name(
    maker: Maker, sixteen: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.half.csv").write_text(f"artifact,weight\n{V10[0]},0.5\n{V10[1]},0.5\n")
    assert blend(maker, sixteen, "--table", str(tmp_path / "my.half.csv")) == 0
    assert (sixteen.blend / "final_blend_my.half.parquet").exists()
    (tmp_path / "my.half.csv").write_text(f"artifact,weight\n{V10[0]},0.25\n{V10[1]},0.75\n")
    capsys.readouterr()
    assert blend(maker, sixteen, "--table", str(tmp_path / "my.half.csv")) == 0
    assert "blend my.half runs: weights has changed" in capsys.readouterr().out


def test_a_changed_artifact_blends_again_and_says_which(
    maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    assert blend(maker, sixteen) == 0
    maker.write(sixteen, V10[3], maker.values(77), seed=77)
    capsys.readouterr()
    assert blend(maker, sixteen) == 0
    output = capsys.readouterr().out
    assert (
        f"blend v10    runs: {V10[3]}.parquet has changed" in output
        and "scores       runs" in output
    )


def test_a_blend_that_was_stopped_before_its_receipt_is_made_again_with_the_same_bytes(
    maker: Maker, sixteen: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = sixteen.blend / "final_blend_v10.parquet"

    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(receipts, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            blend(maker, sixteen)
    first = target.read_bytes()
    assert not receipts.receipt_path(target).exists()
    assert blend(maker, sixteen) == 0
    assert target.read_bytes() == first and receipts.receipt_path(target).exists()


def test_a_search_stopped_again_and_again_goes_on_where_it_was_and_ends_in_the_same_bytes(
    maker: Maker, sixteen: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = Results(tmp_path / "whole")
    shutil.copytree(str(sixteen.root), str(uninterrupted.root))
    assert blend(maker, uninterrupted, *SEARCH) == 0
    original = receipts.write
    calls_left = [0]

    def stopped(*arguments, **options):
        calls_left[0] -= 1
        if calls_left[0] == 0:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(receipts, "write", stopped)
    stops = 0
    for _ in range(10):  # every run writes one receipt and is stopped before the next
        calls_left[0] = 2
        try:
            blend(maker, sixteen, *SEARCH)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops == 4  # errors | weights | blend | scores | report
    for name in (
        "weights_searched.csv",
        "final_blend_searched.parquet",
        "scores_searched.json",
        "report_searched.html",
    ):
        assert (sixteen.blend / name).read_bytes() == (uninterrupted.blend / name).read_bytes(), (
            name
        )
    assert not list(sixteen.root.rglob(".partial-*"))


def test_without_the_truth_the_blend_says_that_nobody_knows_its_score(
    maker: Maker, sixteen: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = tmp_path / "world"
    shutil.copytree(str(maker.raw.root), str(world))
    shutil.rmtree(str(world / "withheld"))
    assert command.main(["run", "--raw-data", str(world), "--submission", str(sixteen.root)]) == 0
    assert "not known here" in capsys.readouterr().out
    assert not (sixteen.blend / "scores_v10.json").exists()


def test_scores_are_those_of_the_values(maker: Maker, sixteen: Results) -> None:
    """Recompute R2 over 368 columns one by one; the zero columns count as 1."""
    assert blend(maker, sixteen) == 0
    scores = {
        score["name"]: score
        for score in json.loads((sixteen.blend / "scores_v10.json").read_text())
    }
    assert set(scores) == {"ridge regression", "blend v10", *V10}
    values = maker.values(3)
    r2 = []
    for k, name in enumerate(TARGETS):
        y = maker.truth[:, k]
        residual = ((y - values[:, k]) ** 2).sum()
        spread = ((y - y.mean()) ** 2).sum()
        r2.append(
            1.0 if name in ZERO else 1 - residual / spread if np.ptp(y) else float(residual == 0)
        )
    assert scores[V10[3]]["all_columns"] == pytest.approx(np.mean(r2), rel=1e-9)
    assert scores["blend v10"]["predicted"] > max(scores[name]["predicted"] for name in V10)


# ---- what it refuses -----------------------------------------------------------------------------


def _edit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _rewrite(
    maker: Maker,
    results: Results,
    artifact: str,
    ids: Optional[List[str]] = None,
    **changes: object,
) -> None:
    """Write the artifact with other ids or values, and a receipt that proves those."""
    values = maker.values(V10.index(artifact))
    order = list(range(len(maker.ids))) if ids is None else ids
    if ids is None:
        ids = list(maker.ids)
    for (row, name), value in changes.get("cells", {}).items():  # type: ignore[attr-defined]
        values[row, TARGETS.index(name)] = value
    if len(order) < len(values):
        values = values[: len(order)]
    if len(order) > len(values):
        values = np.concatenate([values, values])[: len(order)]
    maker.write(results, artifact, values, ids=ids, made_for=str(changes.get("made_for", "")))


def _restamp(results: Results, artifact: str, role: str, value: str) -> None:
    """Change a hash in the artifact's receipt, or its number of the arithmetic."""
    path = receipts.receipt_path(results.parquet(artifact))
    receipt = json.loads(path.read_text())
    if role:
        receipt["inputs"][role] = value
    else:
        receipt["numerics"] = int(value)
    path.write_text(json.dumps(receipt))


def _swapped(ids: Sequence[str]) -> List[str]:
    swapped = list(ids)
    swapped[7], swapped[8] = swapped[8], swapped[7]
    return swapped


_FIFTH = V10[4]
_REFUSALS = {
    "a missing parquet": (lambda m, p: p.parquet(_FIFTH).unlink(), "is missing"),
    "no receipt": (
        lambda m, p: receipts.receipt_path(p.parquet(_FIFTH)).unlink(),
        "has no receipt",
    ),
    "another artifact's receipt": (
        lambda m, p: shutil.copyfile(
            str(receipts.receipt_path(p.parquet(V10[5]))),
            str(receipts.receipt_path(p.parquet(_FIFTH))),
        ),
        f"its receipt is that of {V10[5]}.parquet",
    ),
    "a receipt that is none": (
        lambda m, p: receipts.receipt_path(p.parquet(_FIFTH)).write_text("[]"),
        "receipt",
    ),
    "a cut receipt": (
        lambda m, p: receipts.receipt_path(p.parquet(_FIFTH)).write_text('{"inputs"'),
        "receipt",
    ),
    "an edited parquet": (
        lambda m, p: _edit(p.parquet(_FIFTH)),
        "bytes are not those of its receipt",
    ),
    "a cut parquet": (
        lambda m, p: p.parquet(_FIFTH).write_bytes(p.parquet(_FIFTH).read_bytes()[:-9]),
        "bytes are not",
    ),
    "another sample_submission.csv": (
        lambda m, p: _rewrite(m, p, _FIFTH, made_for="f" * 64),
        "another sample_submission",
    ),
    "another test.csv": (
        lambda m, p: _restamp(p, _FIFTH, "test.csv", "f" * 64),
        "stale: it was made for another test.csv",
    ),
    "another arithmetic": (
        lambda m, p: _restamp(p, _FIFTH, "", "0"),
        "another version of the arithmetic",
    ),
    "an id twice": (
        lambda m, p: _rewrite(m, p, _FIFTH, ids=[*m.ids[:8], m.ids[7], *m.ids[9:]]),
        "row 9 has the sample_id",
    ),
    "reordered ids": (
        lambda m, p: _rewrite(m, p, _FIFTH, ids=_swapped(m.ids)),
        "row 8 has the sample_id",
    ),
    "a row short": (lambda m, p: _rewrite(m, p, _FIFTH, ids=m.ids[:-1]), "fewer rows"),
    "a row too many": (lambda m, p: _rewrite(m, p, _FIFTH, ids=[*m.ids, "test_x"]), "more rows"),
    "a NaN": (
        lambda m, p: _rewrite(m, p, _FIFTH, cells={(3, "ptend_t_5"): np.nan}),
        "NaN or infinite",
    ),
    "an infinity": (
        lambda m, p: _rewrite(m, p, _FIFTH, cells={(3, "cam_out_SOLL"): np.inf}),
        "NaN or infinite",
    ),
    "a zero column that is not": (
        lambda m, p: _rewrite(m, p, _FIFTH, cells={(9, "ptend_u_3"): 1e-9}),
        "is not 0",
    ),
    "a wrong linear column": (
        lambda m, p: _rewrite(m, p, _FIFTH, cells={(9, "ptend_q0002_27"): 1.0}),
        "its linear target ptend_q0002_27 is not that of",
    ),
}


@pytest.mark.parametrize("refusal", sorted(_REFUSALS))
def test_a_damaged_artifact_is_one_error_line_and_leaves_no_blend(refusal, maker, sixteen, capsys):
    damage, words = _REFUSALS[refusal]
    damage(maker, sixteen)
    line = sentence(capsys, maker, sixteen)
    assert words in line and _FIFTH in line
    assert (
        "make infer-only EXPERIMENTS=" + _FIFTH in line
        and "make reproduce EXPERIMENTS=" + _FIFTH in line
    )
    assert not [p for p in sixteen.root.rglob(".partial-*")]


def test_an_error_names_the_other_name_under_which_a_missing_artifact_exists(
    maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    sixteen.parquet(V10[3]).rename(sixteen.parquet("exp022_fork14_deeper_gf"))
    line = sentence(capsys, maker, sixteen)
    assert (
        V10[3] in line
        and "exp022_fork14_deeper_gf.parquet exists" in line
        and "make verify" in line
    )
    with pytest.raises(KitError, match=r"exp022_fork14_deeper_gf\.parquet exists: rename it"):
        verdict_of("v10", maker, sixteen, [], [])


@pytest.mark.parametrize(
    "name, words",
    [
        ("max_022_deeper_gf_cv7908_lbUnknwon", "is max_022_deeper_gf_cv7908_lbUnknown meant?"),
        ("nobody", "no member of this kit makes it;"),
    ],
)
def test_weights_for_an_unknown_artifact_name_the_table_and_what_was_perhaps_meant(
    name: str,
    words: str,
    maker: Maker,
    sixteen: Results,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mine.csv").write_text(f"artifact,weight\n{V10[0]},0.5\n{name},0.5\n")
    line = sentence(capsys, maker, sixteen, "--table", str(tmp_path / "mine.csv"))
    assert (
        line.startswith(f"error: {tmp_path / 'mine.csv'}: names the artifact {name}")
        and words in line
    )
    assert "make verify" in line


@pytest.mark.parametrize(
    "weights, words",
    [
        ("0,0", "holds only zeros"),
        ("nan,1", "is not finite"),
        ("1,-inf", "is not finite"),
        ("1e308,1e308", "the sum is not finite"),
    ],
)
def test_weights_that_are_no_weights_are_refused_by_the_tables_file(
    weights: str,
    words: str,
    maker: Maker,
    sixteen: Results,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [f"{artifact},{weight}\n" for artifact, weight in zip(V10, weights.split(","))]
    (tmp_path / "mine.csv").write_text("artifact,weight\n" + "".join(lines))
    line = sentence(capsys, maker, sixteen, "--table", str(tmp_path / "mine.csv"))
    assert words in line and "mine.csv" in line
    assert not list(sixteen.root.rglob(".partial-*"))


def test_ids_that_are_not_those_of_this_world_are_refused(
    maker: Maker, sixteen: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All sixteen artifacts agree with one another, but not with this sample_submission.csv."""
    world = tmp_path / "world"
    shutil.copytree(str(maker.raw.root), str(world))
    path = world / "kaggle-data" / "sample_submission.csv"
    lines = path.read_text().splitlines(True)
    lines[3], lines[4] = lines[4], lines[3]
    path.write_text("".join(lines))
    with pytest.raises(KitError, match="sample_submission"):
        command.main(["run", "--raw-data", str(world), "--submission", str(sixteen.root)])
    assert not (sixteen.blend / "final_blend_v10.parquet").exists()


def test_a_blend_made_for_another_sample_submission_is_not_taken_for_done(
    maker: Maker, sixteen: Results, tmp_path: Path
) -> None:
    assert blend(maker, sixteen) == 0
    world = tmp_path / "world"
    shutil.copytree(str(maker.raw.root), str(world))
    path = world / "kaggle-data" / "sample_submission.csv"
    lines = path.read_text().splitlines(True)
    lines[3], lines[4] = lines[4], lines[3]
    path.write_text("".join(lines))
    with pytest.raises(KitError, match="sample_submission"):
        command.main(["run", "--raw-data", str(world), "--submission", str(sixteen.root)])


def test_a_full_disk_leaves_no_blend(
    maker: Maker, sixteen: Results, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sixteen.blend.symlink_to(small_disk)
    assert "the disk is full" in sentence(capsys, maker, sixteen)
    assert not list(small_disk.glob("*.parquet")) and not list(small_disk.glob(".partial-*"))


# ---- verify --------------------------------------------------------------------------------------


def _foreign(
    maker: Maker,
    path: Path,
    changes: Optional[Dict[str, pa.Array]] = None,
    drop: str = "",
    names: Optional[Sequence[str]] = None,
    length: int = 0,
) -> Path:
    """Write a parquet as pandas does: int64 zeros, snappy, large_string, other row groups."""
    values = maker.values(1)
    columns = {"sample_id": pa.array(maker.ids, pa.large_string())}
    for k, name in enumerate(TARGETS):
        columns[name] = (
            pa.array(np.zeros(len(values), np.int64))
            if name in ZERO
            else pa.array(values[:, k].copy())
        )
    columns.update(changes or {})
    columns.pop(drop, None)
    names = list(names or columns)
    table = pa.Table.from_arrays([columns[name] for name in names], names=names)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.slice(0, length or len(table)), str(path), row_group_size=37)
    return path


def test_a_parquet_from_elsewhere_is_admitted_with_a_receipt_and_blended(
    maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sixteen.parquet(V10[1])
    for file in (path, receipts.receipt_path(path)):
        file.unlink()
    _foreign(maker, path)
    assert "has no receipt" in sentence(capsys, maker, sixteen)
    assert blend(maker, sixteen, "--artifacts", V10[1], verb="verify") == 0
    assert "receipt written" in capsys.readouterr().out
    receipt = receipts.require_valid(path, HashIndex(), "")
    assert receipt["kind"] == "admitted" and set(receipt["inputs"]) == {
        "sample_submission.csv",
        "test.csv",
    }
    assert blend(maker, sixteen) == 0
    expected = np.zeros(len(maker.ids))
    for seed, (_, weight) in enumerate(tables.find("v10").rows):
        expected += weight * maker.values(seed)[:, 0]
    final_table = pq.read_table(
        str(sixteen.blend / "final_blend_v10.parquet"), columns=[TARGETS[0]]
    )
    assert np.array_equal(final_table.column(0).to_numpy(), expected)


def test_linear_columns_of_the_teams_csv_parser_are_admitted(maker: Maker, tmp_path: Path) -> None:
    """The parser's decimals are wrong by up to 1e-13; 1e-9 would be damage."""
    results = Results(tmp_path)
    for factor, fits in ((1 + 3e-13, True), (1 + 1e-9, False)):
        _foreign(
            maker, results.parquet("a"), {LINEAR[15]: pa.array(-maker.q0002[:, 15] / 1200 * factor)}
        )
        if fits:
            assert blend(maker, results, verb="verify") == 0
            receipts.receipt_path(results.parquet("a")).unlink()
        else:
            with pytest.raises(KitError, match="1 of 1 parquets were refused"):
                blend(maker, results, verb="verify")


_DAMAGED = {
    "a NaN": dict(changes={"ptend_t_0": pa.array([math.nan] * 144)}),
    "a missing value": dict(changes={"ptend_t_0": pa.array([None] + [1.0] * 143, pa.float64())}),
    "a zero column that is not": dict(changes={ZERO[17]: pa.array([0] * 143 + [1])}),
    "a missing column": dict(drop="cam_out_SOLS"),
    "a foreign column": dict(changes={"index": pa.array(range(144))}),
    "columns in network order": dict(names=["sample_id", *TARGETS[360:], *TARGETS[:360]]),
    "text in a column": dict(changes={"ptend_t_0": pa.array(["1.0"] * 144)}),
    "one row fewer": dict(length=143),
    "other ids": dict(changes={"sample_id": pa.array([f"test_{k}" for k in range(1000, 1144)])}),
    "a missing id": dict(
        changes={"sample_id": pa.array([None] + [f"test_{k}" for k in range(143)])}
    ),
    "ids that are numbers": dict(changes={"sample_id": pa.array(range(144))}),
}


@pytest.mark.parametrize("damage", sorted(_DAMAGED))
def test_a_damaged_parquet_from_elsewhere_gets_no_receipt(damage, maker, tmp_path, capsys):
    results = Results(tmp_path)
    _foreign(maker, results.parquet("a"), **_DAMAGED[damage])
    assert "1 of 1 parquets were refused" in sentence(capsys, maker, results, verb="verify")
    assert not receipts.receipt_path(results.parquet("a")).exists()


def test_a_parquet_cut_anywhere_gets_no_receipt(
    maker: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = Results(tmp_path)
    content = _foreign(maker, results.parquet("a")).read_bytes()
    for share in (0, 0.001, 0.3, 0.9, 0.9999):
        results.parquet("a").write_bytes(content[: int(share * len(content))])
        sentence(capsys, maker, results, verb="verify")
        assert not receipts.receipt_path(results.parquet("a")).exists()


def test_a_parquet_under_another_name_of_its_artifact_is_refused_until_it_is_renamed(
    maker: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = Results(tmp_path)
    artifact = "max_022_deeper_gf_cv7908_lbUnknown"
    for name in ("max_exp22", artifact + ".npy"):
        _foreign(maker, results.parquet(name))
        with pytest.raises(KitError, match="1 of 1 parquets were refused"):
            blend(maker, results, verb="verify")
        output = capsys.readouterr().out
        assert f"{name}.parquet: is another name of {artifact}" in output
        assert f"rename it to {artifact}.parquet" in output
        assert [p.name for p in results.subs.iterdir()] == [name + ".parquet"]
        results.parquet(name).unlink()
    _foreign(maker, results.parquet(artifact))
    assert blend(maker, results, "--artifacts", "max_exp22", verb="verify") == 0
    assert receipts.receipt_path(results.parquet(artifact)).exists()


def test_verify_goes_through_all_and_names_the_bad_ones(
    maker: Maker, sixteen: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    _edit(sixteen.parquet(V10[2]))
    with pytest.raises(KitError, match="1 of 16 parquets were refused"):
        blend(maker, sixteen, verb="verify")
    output_lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("verified: ") for line in output_lines) == 15
    assert [V10[2] in line for line in output_lines if line.startswith("refused: ")] == [True]


def test_what_a_killed_run_left_under_a_temporary_name_is_not_verified(
    maker: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = Results(tmp_path)
    _foreign(maker, results.parquet("a"))
    (results.subs / ".partial-b.parquet").write_bytes(b"half")
    assert blend(maker, results, verb="verify") == 0
    assert "partial" not in capsys.readouterr().out


def test_verify_with_nothing_to_verify_says_so(maker: Maker, tmp_path: Path) -> None:
    with pytest.raises(KitError, match="there are no parquets to verify"):
        blend(maker, Results(tmp_path), verb="verify")
    with pytest.raises(KitError, match="refused"):
        blend(maker, Results(tmp_path), "--artifacts", "nothing", verb="verify")


# ---- the plan ------------------------------------------------------------------------------------


def test_the_plan_says_what_the_blend_would_do(maker: Maker, sixteen: Results) -> None:
    assert verdict_of("v10", maker, sixteen, [], V10).reason == "not made yet"
    assert (
        "2 of its parquets are about to be made"
        in verdict_of("v10", maker, sixteen, V10[:2], V10).reason
    )
    assert blend(maker, sixteen) == 0
    assert verdict_of("v10", maker, sixteen, [], V10).done
    sixteen.parquet(V10[0]).unlink()
    assert not verdict_of("v10", maker, sixteen, [V10[0]], V10).done
    with pytest.raises(KitError, match="1 of 16 parquets are missing"):
        verdict_of("v10", maker, sixteen, [], V10)


# ---- the baseline --------------------------------------------------------------------------------


def test_the_ridge_is_the_solution_of_its_normal_equations(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare with numpy.linalg.solve on centred data, at the penalty that validates best."""
    x, y = (
        np.concatenate(chunks)
        for chunks in zip(*baseline.standardised_rows(maker.raw.training_pairs(), maker.scaling))
    )
    v, truth = (
        np.concatenate(chunks)
        for chunks in zip(*baseline.standardised_rows(maker.raw.validation_pairs(), maker.scaling))
    )
    xc = x - x.mean(axis=0)
    yc = y - y.mean(axis=0)
    scores = {}
    for penalty in (1e1, 1e3, 1e5):
        slope = np.linalg.solve(xc.T @ xc + penalty * np.eye(len(INPUTS)), xc.T @ yc)
        expected = (v - x.mean(axis=0)) @ slope + y.mean(axis=0)
        monkeypatch.setattr(baseline, "PENALTIES", (penalty,))
        ridge = baseline.fit(maker.raw, maker.scaling)
        assert ridge.penalty == penalty
        np.testing.assert_allclose(
            ridge.predict(v), expected, rtol=0, atol=1e-7 * max(1.0, np.abs(expected).max())
        )
        sums = R2()
        sums.add(truth, expected)
        scores[penalty] = score_network_order(validation_r2(sums, maker.scaling)).all_columns
    monkeypatch.setattr(baseline, "PENALTIES", tuple(scores))
    assert baseline.fit(maker.raw, maker.scaling).penalty == max(
        scores, key=lambda penalty: scores[penalty]
    )
