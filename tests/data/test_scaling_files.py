"""Statistics and old weights, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leapkit.core.layout import RawData
from leapkit.data.scaling import FAMILIES, load_scaling
from leapkit.data.scaling_files import PublishedScaling, find_scaling
from tests.helpers.refusals import refused


def test_statistics_are_found_as_the_team_lays_them_out(published: Path, tmp_path: Path) -> None:
    published_scaling = PublishedScaling.find(published)
    assert (
        set(published_scaling.families) == {"adam", "fdzm"}
        and published_scaling.old_weights.exists()
    )
    with refused(tmp_path, "old weights"):
        PublishedScaling.find(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_world_and_the_teams_folders_give_the_same_scaling(
    tiny_world: Path, tmp_path: Path, family: str
) -> None:
    """The team's layout is that of a world without the folder `statistics`."""
    raw = RawData(tiny_world)
    (tmp_path / family).symlink_to(raw.statistics(family))
    (tmp_path / "kaggle-data").symlink_to(raw.root / "kaggle-data")
    expected = load_scaling(raw.statistics(family), family, raw.old_weights)
    for root in (tiny_world, tmp_path):
        scaling = find_scaling(root, family)
        assert scaling.family == expected.family
        assert np.array_equal(scaling.input_mean, expected.input_mean)
        assert np.array_equal(scaling.target_std, expected.target_std)
