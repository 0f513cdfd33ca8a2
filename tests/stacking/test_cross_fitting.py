"""No network sees the fold that it predicts, and what was trained is not trained again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from blend import validation
from blend.tables import WeightTable
from blend.target_weights import weights_of
from leapkit.core.columns import LINEAR, ZERO, network_positions
from leapkit.core.errors import KitError
from leapkit.core.files import sha256
from leapkit.core.hash_index import HashIndex
from leapkit.core.layout import Results
from stacking import training
from stacking.cross_fitting import CrossFit, cross_predict
from stacking.networks import StackConfig
from stacking.rows import Rows, ValidationRows
from stacking.training import StackRecipe
from stacking.units import Unit
from tests.helpers.refusals import refused
from tests.helpers.small_blend import Maker

CPU = torch.device("cpu")
RECIPE = StackRecipe(batch=16, updates=12)


@pytest.fixture
def rows(maker: Maker, trained: Results, table: WeightTable) -> ValidationRows:
    members = validation.load_predictions(table.artifacts, trained, maker.raw, HashIndex())
    pairs = maker.raw.validation_pairs()
    return ValidationRows(pairs, members, weights_of(table), Unit(members[0].scaling))


def fit(folder: Path) -> CrossFit:
    return CrossFit(3, StackConfig(hidden=4), RECIPE, folder, {"rows": "1"}, CPU)


def spoiled(rows: ValidationRows, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all that is known of a step's rows NaN; of others, the truth that is not predicted."""
    read = rows.read
    formulas = network_positions(ZERO + LINEAR)

    def read_spoiled(k: int) -> Rows:
        found = read(k)
        if k == step:
            return Rows(*(np.full_like(part, np.nan) for part in found))
        truth = found.truth.copy()
        truth[:, formulas] = np.nan
        return found._replace(truth=truth)

    monkeypatch.setattr(rows, "read", read_spoiled)


def test_a_fold_is_nothing_to_its_own_network(
    rows: ValidationRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rows.names == ["part 1 of 2", "part 2 of 2"]
    fit(tmp_path / "whole").networks(rows, HashIndex())
    spoiled(rows, 0, monkeypatch)
    with pytest.raises(KitError, match="NaN"):  # of the second fold's network, which learns from it
        fit(tmp_path / "spoiled").networks(rows, HashIndex())
    files = [tmp_path / name / "fold_0.pt" for name in ("whole", "spoiled")]
    assert sha256(files[0]) == sha256(files[1])


def test_every_row_is_predicted_by_the_network_that_has_not_seen_it(
    rows: ValidationRows, tmp_path: Path
) -> None:
    networks = fit(tmp_path).networks(rows, HashIndex())
    blocks: List[Any] = []
    cross_predict(rows, networks, CPU, lambda place, block: blocks.append((place, block)))
    assert [place for place, _ in blocks] == [slice(0, 48), slice(48, 96)]
    for k, (_, block) in enumerate(blocks):
        read = rows.read(k)
        with torch.no_grad():
            given = [torch.from_numpy(part) for part in read[:3]]
            own, other = (read.blend + networks[n](*given).numpy() for n in (k, 1 - k))
        np.testing.assert_allclose(block, own, atol=1e-6)
        assert np.abs(block - other).max() > 1e-3


def test_training_begins_at_the_blend_and_comes_nearer_to_the_truth(
    rows: ValidationRows, tmp_path: Path
) -> None:
    longer = replace(fit(tmp_path), recipe=replace(RECIPE, updates=60))
    networks = longer.networks(rows, HashIndex())
    fitted = cross_predict(rows, networks, CPU, lambda *_: None, fitted=True)
    assert fitted["stack"].predicted > fitted["blend"].predicted


@pytest.mark.parametrize("updates, made", [(1, 6), (8, 8)])
def test_a_network_sees_its_rows_twice_and_has_a_least_number_of_updates(
    rows: ValidationRows, updates: int, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: List[int] = []
    monkeypatch.setattr(training, "_update", lambda *given: seen.append(len(given[2].truth)))
    recipe = StackRecipe(batch=16, passes=2, updates=updates)
    training.train(rows, [0], 3, StackConfig(hidden=4), recipe, CPU)  # 48 rows
    assert seen == [16] * made


def test_networks_are_the_same_bytes_again_and_are_not_trained_twice(
    rows: ValidationRows, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("one", "two"):
        fit(tmp_path / folder).networks(rows, HashIndex())
    one, two = (sha256(tmp_path / name / "fold_1.pt") for name in ("one", "two"))
    assert one == two
    (tmp_path / "two" / "fold_0.pt").unlink()  # as if it had been killed before
    capsys.readouterr()
    fit(tmp_path / "two").networks(rows, HashIndex())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].split()[-1] for line in lines] == ["runs", "skipped"]
    assert sha256(tmp_path / "two" / "fold_0.pt") == sha256(tmp_path / "one" / "fold_0.pt")


def test_shuffled_batches_hold_every_row_once(rows: ValidationRows) -> None:
    batches = list(rows.batches([0, 1], 20, seed=1, epoch=0))
    assert [len(batch.truth) for batch in batches] == [24] * 4
    whole = np.concatenate([rows.read(step).truth for step in (0, 1)])
    drawn = np.concatenate([batch.truth for batch in batches])
    assert sorted(map(bytes, drawn)) == sorted(map(bytes, whole))
    again = next(iter(rows.batches([0, 1], 20, seed=1, epoch=1)))
    assert again.truth.tobytes() != batches[0].truth.tobytes()


def test_one_step_is_refused_as_nothing_could_be_held_out(
    rows: ValidationRows, tmp_path: Path
) -> None:
    rows.folds = rows.folds[:1]
    with refused("the validation steps", "nothing could be held out"):
        fit(tmp_path).networks(rows, HashIndex())
