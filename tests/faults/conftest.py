"""The shim, a runner that forks commands under it, and the counts that are printed at the end."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest

from tests.faults.forked_runs import Runner
from tests.faults.scenarios import Scenario, make_all

_SUMMARY: List[str] = []


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled shim."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("there is no C compiler here, so no system call can be made to fail")
    if sys.platform != "linux":
        pytest.skip("the shim is for Linux")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = [compiler, "-O1", "-Wall", "-shared", "-fPIC", str(source), "-o", str(library)]
    subprocess.run([*command, "-ldl"], check=True)
    return library


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory where there is room: hundreds of runs wait for no disk.

    What the calls answer is the shim's; a killed process loses nothing on either.
    """
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(str(memory)).free < 1 << 30:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="leap-faults-", dir=str(memory)) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def runner(shim: Path) -> Iterator[Runner]:
    pytest.importorskip("torch")
    runner = Runner(shim)
    yield runner
    runner.end()


@pytest.fixture(scope="session")
def scenarios(
    tiny_world: Path, runner: Runner, tmp_path_factory: pytest.TempPathFactory
) -> Dict[str, Scenario]:
    return make_all(tiny_world, runner, tmp_path_factory.mktemp("scenarios"))


@pytest.fixture
def state() -> Callable[[str], None]:
    """Return what prints a line at the end of the session."""
    return _SUMMARY.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _SUMMARY:
        terminalreporter.write_line(line)
