"""Runs whose reports are made: networks trained on the tiny world, and blends of parquets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict

import pytest

from leapkit.core.layout import Results
from tests.helpers import small_run
from tests.helpers.small_blend import SEARCH, Maker, blend


@pytest.fixture(scope="session")
def trained_once(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of a network and of one that is fine-tuned from it per group."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("trained") / "submission"
    argv = small_run.arguments("reproduce", tiny_world, folder)
    tuning = [*argv, "--alone", "--experiments", small_run.TUNED.id]
    ended = small_run.in_children([("", argv), ("", tuning)])
    assert [code for code, _ in ended] == [0, 0], ended
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Results:
    """Return a copy of those results to change."""
    shutil.copytree(str(trained_once), str(tmp_path / "trained"))
    return Results(tmp_path / "trained")


@pytest.fixture(scope="session")
def blended_once(
    maker: Maker, sixteen_once: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return sixteen parquets, their published blend and a searched one."""
    folder = tmp_path_factory.mktemp("blended") / "submission"
    shutil.copytree(str(sixteen_once), str(folder))
    results = Results(folder)
    assert blend(maker, results, *SEARCH) == 0
    assert blend(maker, results) == 0
    return folder


@pytest.fixture
def blended(blended_once: Path, tmp_path: Path) -> Results:
    """Return a copy of those results to change."""
    shutil.copytree(str(blended_once), str(tmp_path / "blended"))
    return Results(tmp_path / "blended")


def report(results: Results, to: Path, asked: Dict[str, Any]) -> Dict[str, Any]:
    """Make the report as the command does, and return what run.json holds."""
    from reports.__main__ import main
    from reports.traces import ASKED

    folder = to / "asked"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ASKED).write_text(json.dumps(asked))
    argv = [f"--submission={results.root}", f"--asked={folder}", f"--to={to}"]
    assert main(argv) == 0
    run: Dict[str, Any] = json.loads((to / "run.json").read_text())
    return run


def asked_of(results: Results, raw: Path) -> Dict[str, Any]:
    """Return what the launcher asks `make plan` about a run on the tiny world."""
    from launch import reporting, settings
    from reports import traces

    requested = {"SUBMISSION": str(results.root), "RAW_DATA": str(raw), "PROFILE": "sample"}
    found = traces.of_results(results)
    chosen = settings.choose(*reporting._like_the_run(found, requested), needs_runtime=False)
    return {"plan": reporting._plan(chosen, found, requested), "kit": reporting._kit()}
