"""The end of a loop's log says which tests failed, and why the skipped ones were."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from launch import suite_reports, testing
from leapkit.core import job_runner

pytestmark = pytest.mark.process

TESTS = """
import os, pytest
def test_passes(): pass
@pytest.mark.parametrize("x", [1])
def test_differs(x): assert x == 2, "one is not two"
@pytest.fixture
def broken(): raise OSError("no such world")
def test_set_up(broken): pass
@pytest.mark.skip(reason="no engine")
def test_skipped(): pass
@pytest.mark.skip(reason="no engine")
def test_skipped_too(): pass
"""


def suite(name: str, folder: Path, **files: str) -> testing.Suite:
    folder.mkdir()
    for module, text in files.items():
        (folder / f"test_{module}.py").write_text(text)
    options = ["-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={folder}", str(folder)]
    return testing.Suite(name, Path(sys.executable), options)


def test_the_end_says_every_reason_of_a_skip_what_the_linters_said_and_every_failure(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    absent = "import pytest; pytest.skip('no torch', allow_module_level=True)"
    suites = [
        suite("broken", tmp_path / "broken", late="import nothing_of_this_name"),
        suite("new", tmp_path / "new", some=TESTS),
        suite("old", tmp_path / "old", some=TESTS, absent=absent),
        suite("killed", tmp_path / "killed", ends="import os; os._exit(3)"),
    ]
    tools = [job_runner.Job("linter", [sys.executable, "-c", "print('line 3 is too long')"])]
    assert testing.run(suites, tools) != 0
    lines = capfd.readouterr().out.splitlines()
    begin = lines.index("skipped: test_absent.py: no torch (1 in old)")
    assert lines[begin + 1 : begin + 3] == [
        "skipped: test_some.py: no engine (2 in new, 2 in old)",
        "line 3 is too long",
    ]
    failures, counts = lines[begin + 3 : -4], lines[-4:]
    assert [line.partition(": ")[0] for line in failures] == [
        "FAILED [broken] test_late.py",
        "FAILED [new] test_some.py::test_differs[1]",
        "FAILED [new] test_some.py::test_set_up",
        "FAILED [old] test_some.py::test_differs[1]",
        "FAILED [old] test_some.py::test_set_up",
        "FAILED [killed] it ended before it wrote its report",
    ]
    said = ("No module named 'nothing_of_this_name'", "one is not two", "no such world")
    assert all(words in line for words, line in zip(said, failures))
    assert [line.rpartition(" in ")[0] for line in counts] == [
        "broken: 0 passed, 0 skipped, 1 failed",
        "new: 1 passed, 2 skipped, 2 failed",
        "old: 1 passed, 3 skipped, 2 failed",
        "killed: 0 passed, 0 skipped, 1 failed",
    ]


def test_a_long_message_is_cut(tmp_path: Path) -> None:
    case = f'<testcase classname="a.b" name="c"><failure message="{"x " * 900}"/></testcase>'
    (tmp_path / "r.xml").write_text(f"<testsuites><testsuite>{case}</testsuite></testsuites>")
    [line] = suite_reports.read("units", tmp_path / "r.xml").failed
    assert line.startswith("a/b.py::c: x x") and len(line) < 300
