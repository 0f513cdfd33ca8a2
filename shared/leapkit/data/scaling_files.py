"""Where the statistics and the old weights lie: in a world, or as the team laid them out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict

from leapkit.core.errors import KitError
from leapkit.core.layout import RawData
from leapkit.data.scaling import FAMILIES, Scaling, load_scaling


@dataclass(frozen=True)
class PublishedScaling:
    """The team's statistics and Kaggle's old weights, if the user has them."""

    families: Dict[str, Path]  # family -> folder of mean.json and std.json
    old_weights: Path

    @staticmethod
    def find(root: Path) -> PublishedScaling:
        """Find them in a folder with the team's layout.

        It holds <family>/{mean,std}.json and a file of old weights. Raises KitError otherwise.
        """
        families = {name: root / name for name in FAMILIES if (root / name / "mean.json").exists()}
        candidates = [
            root / "kaggle-data" / "sample_submission_old.csv",
            root / "sample_submission_old.csv",
            root / "adam" / "old_sample_weight.csv",
        ]
        old_weights = [path for path in candidates if path.exists()]
        if not families or not old_weights:
            raise KitError(
                "holds no adam/mean.json or fdzm/mean.json, or no old weights",
                root,
                "give the folder of the team's published statistics",
            )
        return PublishedScaling(families, old_weights[0])


def find_scaling(root: Path, family: str) -> Scaling:
    """Return a family's scaling from a world, or from a folder with the team's layout.

    Raises KitError if it is neither, and for what load_scaling refuses.
    """
    world = RawData(root)
    if world.statistics(family).exists() or not (root / family).exists():
        return load_scaling(world.statistics(family), family, world.old_weights)
    published = PublishedScaling.find(root)
    return load_scaling(root / family, family, published.old_weights)
