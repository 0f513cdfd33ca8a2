"""What all tests share: data beside the project, a tiny world made once, marks and their limits."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List

import pytest

from leapkit.core import stops

if TYPE_CHECKING:
    from leapkit.core.layout import Results
    from tests.helpers.small_blend import Maker

REPOSITORY = Path(__file__).resolve().parent.parent
BESIDE = REPOSITORY.parent / "shared"
# {mark: the folders whose processes have it}
SUITES = {"training": ("run",), "client": ("fetch", "submitting")}
NOT_UNIT = ("process", "docker", "end_to_end")
UNIT_CPU_SECONDS = 5.0  # of one test; what needs more is no unit test and says so by its mark


def pytest_configure() -> None:
    """Let tests stop what they start: under nohup, and behind a shell's &, stops are ignored."""
    defaults = {signal.SIGINT: signal.default_int_handler}
    for number in stops.SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, defaults.get(number, signal.SIG_DFL))


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    for item in items:
        if not any(item.get_closest_marker(name) for name in NOT_UNIT):
            item.add_marker(pytest.mark.unit)
        for mark, folders in SUITES.items():
            if item.get_closest_marker("process") and item.path.parent.name in folders:
                item.add_marker(mark)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a unit test that computes for seconds, in `make check`, the loop of a minute.

    It is CPU time, which a core that others share stretches too: CI does not fail by it.
    """
    start = time.process_time()
    outcome = yield
    seconds = time.process_time() - start
    is_too_long = bool(os.environ.get("LEAP_UNITS_ARE_SHORT")) and seconds > UNIT_CPU_SECONDS
    if item.get_closest_marker("unit") and is_too_long and not outcome.excinfo:
        outcome.force_exception(
            pytest.fail.Exception(f"a unit test took {seconds:.1f} s of CPU: mark it `process`")
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """`make test ARGS=...` runs several environments: one that has none of the tests is fine."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and os.environ.get("LEAP_ONE_OF_SEVERAL"):
        session.exitstatus = pytest.ExitCode.OK


@pytest.fixture(autouse=True)
def _stops() -> Iterator[None]:
    """Give stops their handlers back: a command that ended in this process ignores the next one."""
    before = {number: signal.getsignal(number) for number in stops.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _beside(name: str) -> Path:
    path = BESIDE / name
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the project")
    return path


@pytest.fixture(scope="session")
def reference() -> Path:
    """Return the folder of reference facts and parity vectors."""
    return _beside("reference")


@pytest.fixture(scope="session")
def published() -> Path:
    """Return the folder of the team's statistics, old weights and blend table."""
    return _beside("published")


@pytest.fixture(scope="session")
def real_steps() -> Path:
    """Return the folder of real ClimSim months (YYYY-MM folders)."""
    return _beside("climsim_low-res_sample") / "train"


@pytest.fixture(scope="session")
def tiny_world() -> Path:
    """Return a world in Kaggle's and ClimSim's formats, made once for all runs of the same code.

    It has 48 columns, 12 training, 2 validation and 3 test steps. Tests read it and never write.
    """
    pytest.importorskip("netCDF4")
    from leapkit.core import file_lock

    cache = REPOSITORY / ".pytest_cache" / "tiny_world"
    root = cache / _code_digest()
    with file_lock.hold(cache / "lock"):  # several processes of one run want it at once
        if not root.exists():
            partial = cache / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            _make_tiny_world(partial)
            for other in cache.glob("code-*"):
                if time.time() - other.stat().st_mtime > 86400:
                    shutil.rmtree(other)
            partial.rename(root)
    return root / "raw_data"


def _code_digest() -> str:
    """Hash what decides the tiny world's bytes: leapkit's code, this file and the versions."""
    import numpy

    digest = hashlib.sha256(f"{sys.version}{numpy.__version__}".encode())
    kit = REPOSITORY / "shared" / "leapkit"
    for room in ("core", "data", "worlds", "sampleworld"):
        for path in sorted((kit / room).glob("*.py")):
            digest.update(path.read_bytes())
    digest.update(Path(__file__).read_bytes())
    return "code-" + digest.hexdigest()[:16]


def _make_tiny_world(folder: Path) -> None:
    from leapkit.core.receipts import now
    from leapkit.core.splits import Split
    from leapkit.sampleworld.steptime import StepTime
    from leapkit.sampleworld.write import write_steps
    from leapkit.worlds.make_world import make_world, write_world_receipt

    root = folder / "raw_data"
    steps = folder / "steps"
    split = Split(("0008-01", "0008-04"), ("0008-07",), 1, ("0009-02",))
    counts = {"0008-01": 6, "0008-04": 6, "0008-07": 2, "0009-02": 3}
    times = [
        StepTime(int(month[:4]), int(month[5:]), 3 + 2 * k, (k * 17 % 72) * 1200)
        for month, count in counts.items()
        for k in range(count)
    ]
    write_steps(steps, times, seed=7, columns=48)
    make_world(steps, steps, root, split, None, seed=3, csv_stride=2)
    write_world_receipt(root, {"made for": "tests"}, now(), {})


@pytest.fixture(scope="session")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a submission folder with untrained checkpoints of adam/195 and of max2020/022."""
    pytest.importorskip("torch")
    from tests.helpers.untrained import untrained

    root = tmp_path_factory.mktemp("untrained") / "submission"
    for experiment in ("adam/195", "max2020/022"):
        untrained(experiment, root / "outputs" / experiment)
    return root


@pytest.fixture(scope="session")
def maker(tiny_world: Path) -> Maker:
    """Return what writes artifacts with receipts on the tiny world."""
    from tests.helpers.small_blend import Maker

    return Maker(tiny_world)


@pytest.fixture(scope="session")
def sixteen_once(maker: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from leapkit.core.layout import Results
    from tests.helpers.small_blend import TRAINED, V10

    root = tmp_path_factory.mktemp("sixteen") / "submission"
    maker.all(Results(root), V10, TRAINED)
    return root


@pytest.fixture
def sixteen(sixteen_once: Path, tmp_path: Path) -> Results:
    """Return a copy of a submission folder with the published table's sixteen artifacts.

    Five of them are as if they had been trained here.
    """
    from leapkit.core.layout import Results

    shutil.copytree(str(sixteen_once), str(tmp_path / "submission"))
    return Results(tmp_path / "submission")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a real file system of 64 kB, to fill. It needs the right to mount."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    with contextlib.suppress(OSError):
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True).returncode == 0:
            try:
                yield folder
            finally:
                subprocess.run(["umount", "-l", str(folder)], check=True)
            return
    pytest.skip("a small file system cannot be mounted here")
