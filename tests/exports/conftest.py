"""Columns and statistics for exported files: real ones where they lie beside the project."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.conftest import BESIDE

ROWS = 61  # a number that no power of two divides
NO_NUMBER_OF_A_CLIMATE = -9e30


class World(NamedTuple):
    """The statistics that files hold, and columns of the same climate.

    raw_data  a world, or the team's folder of statistics
    x         (61, 556) float32 raw, Kaggle order
    """

    raw_data: Path
    x: np.ndarray


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest) -> World:
    """Return columns of a real step from pole to pole, or else of the tiny world's test set."""
    real, published = BESIDE / "climsim_low-res_sample" / "train", BESIDE / "published"
    if real.exists() and published.exists():
        return World(published, _of_step(real))
    from leapkit.core.layout import RawData
    from leapkit.data import kaggle_csv

    made = request.getfixturevalue("tiny_world")
    ((_, rows),) = kaggle_csv.read_test_csv(RawData(made).test_csv)
    return World(made, rows[:ROWS].astype(np.float32))


def _of_step(root: Path) -> np.ndarray:
    from leapkit.core import step_files
    from leapkit.data.step_reader import StepReader

    x, _ = StepReader().read(step_files.list_pairs(root)[0])
    return x[:: len(x) // ROWS][:ROWS].astype(np.float32)


@pytest.fixture(scope="session")
def coupled(world: World) -> np.ndarray:
    """Return the columns as the coupled model has them: (61, 557) float32.

    Kaggle left SNOWHICE out. No network may look at it, so it is no number that a climate has.
    """
    from leapkit.exports.contracts import COUPLED

    x = np.full((len(world.x), len(COUPLED.inputs)), NO_NUMBER_OF_A_CLIMATE, np.float32)
    x[:, COUPLED.to_kaggle] = world.x
    return x


@pytest.fixture(scope="session")
def scripted(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the TorchScript file of a network of seven copies, in the coupled model's order."""
    pytest.importorskip("torch")
    from leapkit.emulators import parts
    from leapkit.exports import exporting
    from tests.helpers.untrained import untrained

    folder = tmp_path_factory.mktemp("scripted")
    weights = untrained("max2020/022", folder / "weights")
    found = parts.find("max2020/022", weights, world.raw_data)
    return exporting.export(found, folder, ["torchscript"])[0]
