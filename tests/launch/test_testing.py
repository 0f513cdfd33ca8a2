"""Which tests a loop runs, and in which jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List

import pytest

from launch import testing
from leapkit.core.stacks import MODERN

FILES = sorted(str(path) for path in testing.WHOLE_RUNS.glob("test_*.py"))


@pytest.fixture
def suites(monkeypatch: pytest.MonkeyPatch) -> List[testing.Suite]:
    """Return the list that the suites of a loop are put in instead of being run."""
    jobs: List[testing.Suite] = []
    monkeypatch.setattr(testing, "run", lambda of, tools=(): jobs.extend(of) or 0)
    monkeypatch.setattr(testing, "modern_python", lambda: Path(sys.executable))
    monkeypatch.setattr(testing, "tests_pythons", lambda: {MODERN: Path(sys.executable)})
    return jobs


def test_every_file_of_whole_runs_is_one_job_and_the_longest_are_first(
    suites: List[testing.Suite],
) -> None:
    testing.end_to_end(["-x"])
    assert sorted(suite.arguments[-1] for suite in suites) == FILES
    assert [suite.name for suite in suites][: len(testing.LONGEST)] == [*testing.LONGEST]
    assert {tuple(suite.arguments[:-1]) for suite in suites} == {("-x",)}


@pytest.mark.parametrize("named", [FILES[0], f"{FILES[0]}::test_one", "tests/end_to_end"])
def test_tests_that_are_named_are_run_once(suites: List[testing.Suite], named: str) -> None:
    testing.end_to_end([named])
    assert [suite.arguments[-1] for suite in suites] == [named]
    suites.clear()
    testing.test([named])
    assert {suite.arguments[-1] for suite in suites} == {named}


def test_a_suite_collects_the_folder_that_its_tests_are_in(suites: List[testing.Suite]) -> None:
    testing.test(["-k", "a word"])
    folders = {suite.name: suite.arguments[-1] for suite in suites}
    [clients] = [suite for suite in suites if suite.name == "clients"]
    assert clients.arguments[-2:] == ["tests/fetch", "tests/submitting"]
    assert folders["trainings"] == "tests/run" and folders["faults"] == "tests/faults"
    assert folders["processes"] == folders["units"] == "tests"


@pytest.mark.process
def test_a_loop_that_failed_names_the_disks_that_are_almost_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fails = testing.Suite("fails", Path("/bin/false"), [])
    assert testing.run([fails]) != 0
    assert " free, and tests fail" not in capfd.readouterr().out
    monkeypatch.setattr(testing, "NARROW", 1 << 60)
    monkeypatch.setattr(testing.tempfile, "gettempdir", lambda: str(tmp_path))
    assert testing.run([fails]) != 0
    last = capfd.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{tmp_path}: its disk has ") and " free, and tests fail" in last
