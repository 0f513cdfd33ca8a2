"""python -m stacking: from parquets to one that the blend and make verify take; what it refuses."""

from __future__ import annotations

import json
import shutil
from typing import Any, Callable, Dict

import numpy as np
import pytest

pytest.importorskip("torch")

from blend import validation
from blend.tables import WeightTable
from leapkit.core import receipts
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import RawData, Results
from leapkit.data import submission
from stacking import run as stacking_run
from stacking.__main__ import main
from stacking.training import StackRecipe
from tests.helpers import small_blend
from tests.helpers.refusals import refused
from tests.helpers.small_blend import THREE, V10, Maker
from tests.stacking.conftest import digest_of, prove_training

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a command train for half a second."""
    recipe = StackRecipe(batch=16, updates=20)
    monkeypatch.setattr(stacking_run.Request, "__init__", _with(recipe))


def _with(recipe: StackRecipe) -> Callable[..., None]:
    init = stacking_run.Request.__init__

    def short_init(self: Any, *values: Any) -> None:
        init(self, *values, recipe=recipe)

    return short_init


def stack(maker: Maker, results: Results, *more: str) -> int:
    folders = [f"--raw-data={maker.raw.root}", f"--submission={results.root}"]
    return main([f"--table={results.root.parent / 'mine.csv'}", "--threads=1", *folders, *more])


def test_a_stack_is_an_artifact_that_blends_and_verify_take(
    maker: Maker, trained: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stack(maker, trained) == 0
    assert "out of fold: blend" in capsys.readouterr().out
    parquet = trained.parquet("stack_mine")
    receipt = receipts.read(parquet)
    named = {f"{name}.{suffix}" for name in THREE for suffix in ("parquet", "npy")}
    roles = {"weights", "stack", "validation steps", "test.csv", "sample_submission.csv"}
    assert named | roles <= set(receipt["inputs"])
    assert receipt["inputs"][f"{THREE[0]}.npy"] == sha256(trained.validation_predictions(THREE[0]))
    pytest.importorskip("plotly", reason="the blend runs on Python 3.11 alone")
    assert small_blend.blend(maker, trained, verb="verify") == 0
    assert "verified: " + str(parquet) in capsys.readouterr().out
    WeightTable("both", (("stack_mine", 0.5), (THREE[0], 0.5))).write(trained.root / "both.csv")
    assert small_blend.blend(maker, trained, "--table", str(trained.root / "both.csv")) == 0
    ((_, blended),) = submission.blocks(trained.blend / "final_blend_both.parquet")
    ((_, stacked),) = submission.blocks(parquet)
    ((_, first),) = submission.blocks(trained.parquet(THREE[0]))
    np.testing.assert_allclose(blended, (stacked + first) / 2, rtol=1e-12)
    # Its own predictions of the validation rows are cross-fitted, so a search may weigh it too.
    search = ("--table", "searched", "--artifacts", f"searched=stack_mine,{THREE[0]}")
    assert small_blend.blend(maker, trained, *search) == 0


def test_the_same_command_does_nothing_and_a_lost_parquet_comes_back_without_training(
    maker: Maker, trained: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    stack(maker, trained)
    parquet = trained.parquet("stack_mine")
    digest = sha256(parquet)
    capsys.readouterr()
    stack(maker, trained)
    assert "nothing to do" in capsys.readouterr().out
    receipts.receipt_path(parquet).unlink()  # as if it had been killed before its receipt
    stack(maker, trained)
    output = capsys.readouterr().out
    assert output.count("is skipped: its receipt proves it") == 2 and sha256(parquet) == digest
    predictions = trained.validation_predictions("stack_mine")
    kept = sha256(predictions)
    np.save(str(predictions), np.load(str(predictions)) + 1)
    with refused(predictions.name, "is not what its receipt names; run `make stack` with its"):
        validation.load_predictions(["stack_mine"], trained, maker.raw, HashIndex())
    stack(maker, trained)
    assert "its validation predictions are not those of its receipt" in capsys.readouterr().out
    assert sha256(predictions) == kept


def test_a_further_network_is_seen_and_not_weighed(
    maker: Maker, trained: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(RawData, "training_pairs")  # hundreds of GB, which a stack never hashes
    further = V10[4]
    maker.write(trained, further, maker.values(9), seed=9)
    prove_training(trained, maker, further, "9")
    stack(maker, trained, f"--artifacts={further}")
    details = receipts.read(trained.parquet("stack_mine"))["details"]
    assert details["networks"] == [*THREE, further]


def _without_predictions(maker: Maker, results: Results) -> None:
    _edit(results, THREE[1], lambda receipt: receipt["details"].pop("oof"))


def _other_rows(maker: Maker, results: Results) -> None:
    path = results.validation_predictions(THREE[1])
    np.save(str(path), np.load(str(path))[:-1])
    digest = sha256(path)
    _edit(results, THREE[1], lambda receipt: receipt["details"]["oof"].update(sha256=digest))


def _other_split(maker: Maker, results: Results) -> None:
    checkpoint = results.experiment("adam", "1") / "1.pt"
    receipts.write(checkpoint, "training", {"split": "other"}, receipts.now())


def _trained_again(maker: Maker, results: Results) -> None:
    """Train the second network again; its predictions are those of the one before."""
    checkpoint = results.experiment("adam", "1") / "1.pt"
    inputs = receipts.read(checkpoint)["inputs"]
    checkpoint.write_text("other weights")
    receipts.write(checkpoint, "training", inputs, receipts.now())


def _no_checkpoints(maker: Maker, results: Results) -> None:
    _edit(results, THREE[1], lambda receipt: receipt["details"].update(checkpoints=[]))


def _no_training(maker: Maker, results: Results) -> None:
    shutil.rmtree(str(results.experiment("adam", "1")))


def _nameless(maker: Maker, results: Results) -> None:
    _edit(results, THREE[1], lambda receipt: receipt["details"].pop("experiment"))


def _grandparent_of_another_split(maker: Maker, results: Results) -> None:
    """Fine-tune the second network twice from one of another split; it keeps its parent's weights.

    The receipt that comes first among those of these weights is then its own.
    """
    oldest = results.experiment("adam", "0") / "0.pt"
    receipts.write(oldest, "training", {"split": "other"}, receipts.now())
    prove_training(results, maker, THREE[1], "7", digest_of(results, "0"))
    prove_training(results, maker, THREE[1], "1", digest_of(results, "7"), "weights of 7")
    # The first artifact is the third network's, and asks no more for the parent.
    prove_training(results, maker, THREE[0], "2")


def _lost_parent(maker: Maker, results: Results) -> None:
    prove_training(results, maker, THREE[1], "1", "0" * 64)


def _own_file(maker: Maker, results: Results) -> None:
    shutil.copy(str(results.parquet(THREE[0])), str(results.parquet("stack_mine")))


def _edit(results: Results, artifact: str, change: Callable[[Dict[str, Any]], object]) -> None:
    path = receipts.receipt_path(results.parquet(artifact))
    receipt = json.loads(path.read_text())
    change(receipt)
    path.write_text(json.dumps(receipt))


@pytest.mark.parametrize(
    "spoil, where, word",
    [
        (_without_predictions, THREE[1], "without validation predictions"),
        (_other_rows, f"{THREE[1]}.npy", "has 95 rows for 96 validation rows"),
        (_other_split, "1.pt", "was trained with another split"),
        (_trained_again, "1.pt", f"is not the one that predicted {THREE[1]}"),
        (_no_checkpoints, THREE[1], "does not say which network"),
        (_no_training, "1.pt", "no receipt of its training"),
        (_nameless, THREE[1], "does not say which network"),
        (_grandparent_of_another_split, "0.pt", "was trained with another split"),
        (_lost_parent, "outputs/adam", "fine-tuned from"),
        (_own_file, "stack_mine.parquet", "may be your own download"),
    ],
)
def test_what_cannot_be_stacked_is_refused_and_nothing_is_written(
    maker: Maker,
    trained: Results,
    spoil: Callable[[Maker, Results], None],
    where: str,
    word: str,
) -> None:
    spoil(maker, trained)
    before = sorted(trained.subs.iterdir())
    with refused(where, word):
        stack(maker, trained)
    assert sorted(trained.subs.iterdir()) == before
    assert not list((trained.root / "stacks").glob("*/*.pt"))
