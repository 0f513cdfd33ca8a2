"""The Python in the documents runs, in a folder as `make reproduce` leaves it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.docs.markdown import DOCUMENTS, ROOT, blocks

torch = pytest.importorskip("torch")
pytest.importorskip("netCDF4")

from leapkit.core.columns import TARGETS  # noqa: E402
from leapkit.core.experiments import Experiment  # noqa: E402
from leapkit.core.layout import Results, RunFiles  # noqa: E402
from leapkit.core.registry import discover  # noqa: E402
from leapkit.data import checkpoints  # noqa: E402
from leapkit.sampleworld.steptime import StepTime  # noqa: E402
from leapkit.sampleworld.write import write_steps  # noqa: E402
from tests.helpers import plausible  # noqa: E402

EXAMPLES = [
    pytest.param(code, id=name)
    for name, text in DOCUMENTS.items()
    for code in blocks(text, "python")
]
MEMBERS = tuple(discover(ROOT))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one step of the sample world, plain statistics and untrained networks."""
    root = tmp_path_factory.mktemp("example")
    world = root / "raw_data" / "sample"
    write_steps(world / "ClimSim_low-res" / "train", [StepTime(8, 1, 3, 0)], seed=7, columns=48)
    for family in ("adam", "fdzm"):
        statistics = world / "statistics" / family
        statistics.mkdir(parents=True)
        for name, table in plausible.tables(family).items():
            (statistics / name).write_text(json.dumps(table))
    (world / "kaggle-data").mkdir()
    (world / "kaggle-data" / "sample_submission_old.csv").write_text(
        ",".join(["sample_id", *TARGETS])
        + "\n"
        + ",".join(["test_0", *map(repr, plausible.weights().tolist())])
        + "\n"
    )
    for member in MEMBERS:
        for experiment in importlib.import_module(f"members.{member}.experiments").EXPERIMENTS:
            if any(experiment.name in str(example.values[0]) for example in EXAMPLES):
                save_untrained(Results(root / "submission"), experiment)
    return root


def save_untrained(results: Results, experiment: Experiment) -> None:
    """Save the sample network of an experiment as its training would, with fresh weights."""
    build = importlib.import_module(f"members.{experiment.member}.networks").build
    network = build(experiment.network["sample"])
    home = results.experiment(experiment.member, experiment.id)
    home.mkdir(parents=True)
    for group in experiment.checkpoint_groups:
        checkpoints.save(network, RunFiles(home, experiment.id, group).checkpoint)


def test_the_readme_and_every_member_have_an_example() -> None:
    names = {str(example.id) for example in EXAMPLES}
    assert {"README.md", *(f"members/{member}/README.md" for member in MEMBERS)} <= names


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs_and_predicts(
    code: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    names: Dict[str, Any] = {}
    exec(compile(code, "example", "exec"), names)
    prediction = names["prediction"]
    if hasattr(prediction, "sizes"):  # a Dataset
        assert dict(prediction.sizes) == {"lev": 60, "ncol": 48} and "ptend_t" in prediction
    else:
        assert prediction.shape == (48, len(TARGETS))
    assert capsys.readouterr().out
