"""Post-processing is off by default, moves values exactly to its bound, and measures its effect."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
import pyarrow.parquet as pq

from blend import naming, postprocess
from blend.__main__ import main
from blend.reblocked import Reblocked
from leapkit.core import receipts
from leapkit.core.columns import INPUTS, LINEAR, PREDICTED, TARGETS, ZERO, kaggle_positions
from leapkit.core.errors import KitError
from leapkit.core.step_files import list_pairs
from leapkit.data import kaggle_csv
from tests.helpers.small_blend import TRAINED, V10, blend, files, verdict_of

pytestmark = pytest.mark.process

BOTH = ("--postprocess", "fluxes,positivity")


def values_of(path) -> np.ndarray:
    table = pq.read_table(str(path))
    return np.stack([table.column(name).to_numpy() for name in TARGETS], axis=1)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31), st.sampled_from([("positivity",), ("fluxes",), ("positivity", "fluxes")])
)
def test_the_bounds_are_exactly_theirs_and_applying_them_again_moves_nothing(seed, options):
    random = np.random.RandomState(seed)
    values = random.standard_normal((7, 368)) * 1e-6
    states = np.abs(random.standard_normal((7, len(postprocess.STATES)))) * 1e-3
    expected = values.copy()
    for k, name in enumerate(TARGETS):
        if name in PREDICTED and name.startswith("ptend_q") and "positivity" in options:
            q = states[:, postprocess.STATES.index(INPUTS.index(name.replace("ptend", "state")))]
            expected[:, k] = np.maximum(values[:, k], -q / 1200)
        elif name.startswith("cam_out") and "fluxes" in options:
            expected[:, k] = np.maximum(values[:, k], 0)
    before = values.copy()
    moved = postprocess.bound(values, states, options)
    assert values.tobytes() == expected.tobytes()
    np.testing.assert_array_equal(moved, (before != values).sum(axis=0))
    assert not postprocess.bound(values, states, options).any()


def test_no_true_value_of_real_steps_is_moved_by_more_than_rounding(real_steps):
    """The truth keeps both bounds, so what they move is not physics."""
    from leapkit.data.step_reader import StepReader

    reader = StepReader()
    for pair in list_pairs(real_steps)[::8]:
        x, y = reader.read(pair)
        bounded = y.copy()
        postprocess.bound(bounded, x[:, postprocess.STATES], naming.OPTIONS)
        assert np.abs(bounded - y).max() < 1e-20  # kg/kg/s; 7e-21 kg/kg a step was seen


def test_a_bounded_blend_is_a_file_of_its_own_and_the_published_one_is_untouched(
    maker, sixteen, capsys
):
    assert blend(maker, sixteen) == 0
    plain = values_of(files("v10").final(sixteen))
    capsys.readouterr()
    assert blend(maker, sixteen, *BOTH) == 0
    output = capsys.readouterr().out
    bounded = values_of(files("v10+positivity+fluxes").final(sixteen))
    assert values_of(files("v10").final(sixteen)).tobytes() == plain.tobytes()
    ((_, x),) = kaggle_csv.read_test_csv(maker.raw.test_csv)
    expected = plain.copy()
    postprocess.bound(expected, x[:, postprocess.STATES], naming.OPTIONS)
    assert bounded.tobytes() == expected.tobytes() and (bounded != plain).any()
    unmoved = kaggle_positions(ZERO + LINEAR)
    assert bounded[:, unmoved].tobytes() == plain[:, unmoved].tobytes()
    for option in naming.OPTIONS:
        assert f"{option}: moved " in output and f"{option}: test R2 over the 292 targets" in output
    details = json.loads(
        receipts.receipt_path(files("v10+positivity+fluxes").final(sixteen)).read_text()
    )["details"]
    assert details["post-processing"] == ["positivity", "fluxes"] and details[
        "effect"
    ].keys() == set(naming.OPTIONS)
    assert verdict_of("v10", maker, sixteen, [], V10, ("positivity",)).reason == "not made yet"
    assert verdict_of("v10", maker, sixteen, [], V10, naming.OPTIONS).done
    assert blend(maker, sixteen, *BOTH) == 0
    again = capsys.readouterr().out
    assert "blend v10+positivity+fluxes is skipped" in again and "positivity: moved " in again


def test_the_measured_effect_is_the_difference_of_the_scores(maker, sixteen, tmp_path):
    """Check each option alone and both together, on test rows and on validation rows."""
    (tmp_path / "mine.csv").write_text(f"artifact,weight\n{TRAINED[0]},0.5\n{TRAINED[2]},0.5\n")
    scores = {}
    for options in ("", "positivity", "fluxes", "positivity,fluxes"):
        assert (
            blend(maker, sixteen, "--table", str(tmp_path / "mine.csv"), "--postprocess", options)
            == 0
        )
        title = "+".join(("mine", *naming.parse_options(options)))
        rows = json.loads(files(title).scores(sixteen).read_text())
        scores[options] = next(score for score in rows if score["name"] == "blend " + title)[
            "predicted"
        ]
    effect = json.loads(
        receipts.receipt_path(files("mine+positivity+fluxes").final(sixteen)).read_text()
    )["details"]["effect"]
    for option in naming.OPTIONS:
        before, after = effect[option]["test R2"]
        assert before == pytest.approx(scores[""], abs=1e-9) and after == pytest.approx(
            scores[option], abs=1e-9
        )
    gains = sum(
        after - before for before, after in (effect[option]["test R2"] for option in naming.OPTIONS)
    )
    assert gains == pytest.approx(scores["positivity,fluxes"] - scores[""], abs=1e-9)

    rows = 0.5 * maker.validation_predictions_raw(
        sixteen, TRAINED[0]
    ) + 0.5 * maker.validation_predictions_raw(sixteen, TRAINED[2])
    columns = kaggle_positions(PREDICTED)
    raw = np.zeros_like(rows)
    truth = maker.validation_raw.copy()
    raw[:, columns], truth[:, columns] = (
        v[:, columns] / maker.scaling.weight[columns] for v in (rows, truth)
    )
    from leapkit.data.step_reader import StepReader

    x = np.concatenate([StepReader().read(pair)[0] for pair in maker.raw.validation_pairs()])

    def mean(values: np.ndarray) -> float:
        spread = np.square(truth - truth.mean(axis=0)).sum(axis=0)[columns]
        residual = np.square(truth - values).sum(axis=0)[columns]
        r2 = np.where(spread > 0, 1 - residual / np.where(spread > 0, spread, 1), residual == 0)
        return float(np.maximum(r2, 0).mean())

    for option in naming.OPTIONS:
        bounded = raw.copy()
        postprocess.bound(bounded, x[:, postprocess.STATES], (option,))
        assert effect[option]["validation R2"] == pytest.approx(
            [mean(raw), mean(bounded)], abs=1e-8
        )


def test_without_the_truth_and_without_validation_the_effect_is_said_to_be_unknown(
    maker, sixteen, tmp_path, capsys
):
    world = tmp_path / "world"
    shutil.copytree(str(maker.raw.root), str(world))
    shutil.rmtree(str(world / "withheld"))
    assert (
        main(
            [
                "run",
                "--raw-data",
                str(world),
                "--submission",
                str(sixteen.root),
                "--postprocess",
                "positivity",
            ]
        )
        == 0
    )
    output = capsys.readouterr().out
    assert "positivity: moved " in output and "positivity: its effect on R2 is not known" in output


def test_an_unknown_option_is_refused_before_anything_is_made(maker, sixteen):
    with pytest.raises(KitError, match="'clip' is not a post-processing option"):
        blend(maker, sixteen, "--postprocess", "clip")
    assert not list(sixteen.blend.glob("*.parquet"))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.lists(st.integers(1, 7), min_size=1, max_size=8),
)
def test_rows_come_in_any_sizes(blocks, takes):
    total = sum(blocks)
    ids = [f"test_{k}" for k in range(total)]
    values = np.arange(total * 2.0).reshape(total, 2)
    ends = np.cumsum([0, *blocks])
    rows = Reblocked("f", ((ids[a:b], values[a:b]) for a, b in zip(ends, ends[1:])))
    start = 0
    for size in takes:
        requested_ids = ids[start : start + size]
        if len(requested_ids) < size or not requested_ids:
            break
        assert rows.take(requested_ids).tobytes() == values[start : start + size].tobytes()
        start += size
    with pytest.raises(KitError):
        rows.take(["other"] if start < total else [f"test_{total}"])
