"""Where the tests find their data: what lies beside the project (skipped when absent) and a tiny world made once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Iterator

import pytest

if TYPE_CHECKING:
    from leapkit.core.layout import Results
    from tests.helpers.small_blend import Maker

REPOSITORY = Path(__file__).resolve().parent.parent
BESIDE = REPOSITORY.parent / "shared"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """`make test ARGS=...` asks several environments: one that has none of the tests is no failure."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and os.environ.get("LEAP_ONE_OF_SEVERAL"):
        session.exitstatus = pytest.ExitCode.OK


def _beside(name: str) -> Path:
    path = BESIDE / name
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the project")
    return path


@pytest.fixture(scope="session")
def reference() -> Path:
    """The reference facts and parity vectors."""
    return _beside("reference")


@pytest.fixture(scope="session")
def published() -> Path:
    """The team's statistics, old weights and blend table."""
    return _beside("published")


@pytest.fixture(scope="session")
def real_steps() -> Path:
    """Real ClimSim months (YYYY-MM folders)."""
    return _beside("climsim_low-res_sample") / "train"


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole world in Kaggle's and ClimSim's formats: 48 columns, 12 training, 2 validation and 3 test steps."""
    pytest.importorskip("netCDF4")
    from leapkit.core.receipts import now
    from leapkit.core.splits import Split
    from leapkit.sampleworld.steptime import StepTime
    from leapkit.sampleworld.write import write_steps
    from leapkit.worlds.make_world import make_world, write_world_receipt

    root = tmp_path_factory.mktemp("tiny") / "raw_data"
    steps = tmp_path_factory.mktemp("steps")
    split = Split(("0008-01", "0008-04"), ("0008-07",), 1, ("0009-02",))
    plan = {"0008-01": 6, "0008-04": 6, "0008-07": 2, "0009-02": 3}
    times = [
        StepTime(int(m[:4]), int(m[5:]), 3 + 2 * k, (k * 17 % 72) * 1200)
        for m, n in plan.items()
        for k in range(n)
    ]
    write_steps(steps, times, seed=7, columns=48)
    make_world(steps, steps, root, split, None, seed=3, csv_stride=2)
    write_world_receipt(root, {"made for": "tests"}, now(), {})
    return root


@pytest.fixture(scope="session")
def maker(tiny_world: Path) -> Maker:
    """Writes artifacts with receipts on the tiny world."""
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
    """A copy of a submission folder that holds all sixteen artifacts of the published table, five of them trained here."""
    from leapkit.core.layout import Results

    shutil.copytree(str(sixteen_once), str(tmp_path / "submission"))
    return Results(tmp_path / "submission")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 kB, to fill: needs the right to mount, so containers without it skip."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True
        )
    except OSError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
