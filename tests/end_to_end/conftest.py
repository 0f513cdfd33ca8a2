"""A fresh copy of the repository and a small world, made once for all whole runs of a file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Dict

import pytest

from tests.conftest import REPOSITORY
from tests.end_to_end.commands import engine_problem


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") and engine_problem():
        pytest.skip(f"no container engine with base images: {engine_problem()}")


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what git tracks or would track: what a fresh clone holds."""
    root = tmp_path_factory.mktemp("clone") / "kit"
    names = (
        subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=str(REPOSITORY),
            check=True,
            stdout=subprocess.PIPE,
        )
        .stdout.decode()
        .split("\0")
    )
    for name in filter(None, names):
        if (REPOSITORY / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(REPOSITORY / name), str(root / name))
    return root


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a world of 384 columns with training steps for about half a minute."""
    folder = tmp_path_factory.mktemp("small")
    return _world(folder, {"0008-01": 14, "0008-04": 14, "0008-07": 1, "0009-02": 1}, 384)


@pytest.fixture(scope="session")
def group_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a world of 48 columns, with just the rows that fine-tuning a group needs: 2,304."""
    folder = tmp_path_factory.mktemp("groups")
    return _world(folder, {"0008-01": 12, "0008-04": 36, "0008-07": 2, "0009-02": 3}, 48)


def _world(folder: Path, steps_of: Dict[str, int], columns: int) -> Path:
    """Return a new world of some steps of each month; the last two validate and test."""
    from leapkit.core.splits import Split
    from leapkit.sampleworld.steptime import StepTime
    from leapkit.sampleworld.write import write_steps
    from leapkit.worlds.make_world import make_world

    root, steps = folder / "raw_data", folder / "steps"
    steps.mkdir()
    times = [
        StepTime(int(m[:4]), int(m[5:]), 3 + 2 * k % 26, (k * 17 % 72) * 1200)
        for m, n in steps_of.items()
        for k in range(n)
    ]
    write_steps(steps, times, seed=11, columns=columns)
    *train, validation, test = steps_of
    make_world(steps, steps, root, Split(tuple(train), (validation,), 1, (test,)), None, 3, 4)
    return root
