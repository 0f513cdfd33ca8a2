"""The list of what can be fetched."""

from __future__ import annotations

from fetch.layout import KAGGLE_COLUMNS, KAGGLE_SIZES, STATISTICS, checkpoints
from leapkit.core.experiments import FAMILY_NAMES


def test_each_family_of_experiments_has_published_statistics() -> None:
    assert {family for family, _ in STATISTICS} == set(FAMILY_NAMES)


def test_each_file_of_kaggle_has_a_header_and_a_size() -> None:
    assert set(KAGGLE_COLUMNS) == set(KAGGLE_SIZES)


def test_each_published_checkpoint_has_a_name_of_its_own() -> None:
    stems = [stem for checkpoint in checkpoints() for stem in set(checkpoint.stems)]
    assert stems and len(stems) == len(set(stems))
