"""Two networks and their blend on the tiny world, judged by the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from leapkit.core.layout import RawData, Results
from tests.helpers.small_blend import THREE, Maker, blend

TWO = (THREE[0], THREE[1])


def evaluate(raw: RawData, results: Results, *more: str) -> int:
    from evaluation.__main__ import main

    return main([f"--raw-data={raw.root}", f"--submission={results.root}", *more])


def figures(results: Results, name: str) -> Dict[str, Any]:
    return json.loads((results.evaluation / f"{name}.json").read_text())


def validation_steps(raw: RawData) -> List[Any]:
    """Return (stamp, inputs, truth) of every validation step."""
    from leapkit.data.step_reader import StepReader

    return [(pair.stamp, *StepReader().read(pair)) for pair in raw.validation_pairs()]


def validation_values(maker: Maker, results: Results, artifact: str) -> np.ndarray:
    """Return a network's validation predictions (96, 368), raw, as its parquet would hold them."""
    from leapkit.core.columns import INPUTS, LINEAR_INPUTS

    z = np.load(str(results.validation_predictions(artifact)))
    x = np.concatenate([inputs for _, inputs, _ in validation_steps(maker.raw)])
    return maker.scaling.raw(z, x[:, [INPUTS.index(name) for name in LINEAR_INPUTS]])


@pytest.fixture(scope="session")
def judged(maker: Maker, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return results whose test rows were judged, and then their validation rows."""
    pytest.importorskip("plotly")
    root = tmp_path_factory.mktemp("judged")
    results = Results(root / "submission")
    maker.all(results, TWO, TWO)
    (root / "half.csv").write_text(f"artifact,weight\n{TWO[0]},0.75\n{TWO[1]},0.5\n")
    table = ("--table", str(root / "half.csv"), "--postprocess", "positivity")
    assert blend(maker, results, *table) == 0
    assert evaluate(maker.raw, results) == 0
    assert evaluate(maker.raw, results, "--rows=validation") == 0
    return results


@pytest.fixture
def mine(judged: Results, tmp_path: Path) -> Results:
    """Return a copy of those results to change."""
    shutil.copytree(str(judged.root), str(tmp_path / "submission"))
    return Results(tmp_path / "submission")
